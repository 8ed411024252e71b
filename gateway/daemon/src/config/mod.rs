//! The configuration: one TOML file, overlaid by the environment, read into typed values.
//!
//! Every mistake is reported at once, unknown keys are mistakes, and the reference in `docs/` is printed from the same
//! declarations that read the file ([`reference()`]).

mod field;
pub mod look;
mod reader;
mod section;

use std::path::{Path, PathBuf};

use ::config::{FileFormat, FileSourceString};
pub use ::config::{Value, ValueKind};
pub use field::{AddressList, Addresses, Duration, Field, PortRange};
pub use reader::{Mistake, Mistakes, Reader, Severity, Table};
pub use section::{FieldDoc, Log, Section};

/// The whole configuration of a program.
pub trait Configuration: Sized {
    /// Environment variables with this prefix overlay the file: `GATEWAY__LISTEN__WSS=127.0.0.1:8443`.
    const ENVIRONMENT: &'static str;
    /// The page with the reference, for whoever wrote an unknown key.
    const REFERENCE: &'static str;

    /// Takes every section out of the tree.
    fn take(reader: &mut Reader, root: &mut Table) -> Self;

    /// Paths in a file are relative to the file.
    fn resolve_paths(&mut self, base: &Path);

    /// What no single key can know.
    fn check(&self, reader: &mut Reader);

    /// In the order of the reference.
    fn sections() -> Vec<Section>;
}

/// Reads the file (or nothing: all defaults) and the environment.
///
/// Relative paths inside the file are taken from the file's folder.
///
/// # Errors
/// Every mistake found, each with its key.
pub fn load<C: Configuration>(file: Option<&Path>) -> Result<C, Mistakes> {
    match examine(file, |_: &C, _| {}) {
        (Some((settings, ())), mistakes) if mistakes.0.is_empty() => Ok(settings),
        (_, mistakes) => Err(mistakes),
    }
}

/// As [`load`], and then looks at what the values name, even if some values are wrong: every mistake of both kinds, and what
/// `look` has found there. There are no settings if the file can't be read at all.
pub fn examine<C: Configuration, T>(
    file: Option<&Path>,
    look: impl FnOnce(&C, &mut Reader) -> T,
) -> (Option<(C, T)>, Mistakes) {
    let (settings, mut reader) = match tree::<C>(file) {
        Ok((tree, base)) => reader::read(tree, &base),
        Err(mistakes) => return (None, mistakes),
    };
    let found = look(&settings, &mut reader);
    (Some((settings, found)), reader.into_mistakes())
}

fn tree<C: Configuration>(file: Option<&Path>) -> Result<(Value, PathBuf), Mistakes> {
    let mut builder = ::config::Config::builder();
    if let Some(path) = file {
        builder = builder.add_source(toml(path)?);
    }
    let environment =
        ::config::Environment::with_prefix(C::ENVIRONMENT).prefix_separator("__").separator("__");
    let tree = builder.add_source(environment).build().map_err(|e| Mistakes::unreadable(file, &e))?;
    let base = file.and_then(Path::parent).map_or_else(PathBuf::new, Path::to_path_buf);
    Ok((tree.cache, base))
}

/// The file, which has to say something: an empty one is what a failed copy leaves behind, and would mean all defaults.
fn toml(path: &Path) -> Result<::config::File<FileSourceString, FileFormat>, Mistakes> {
    let text = crate::text::read(path).map_err(|error| Mistakes::of_file(path, error.to_string()))?;
    let says_nothing = text
        .lines()
        .map(str::trim)
        .all(|line| line.is_empty() || line.starts_with('#') || line.starts_with('['));
    if says_nothing {
        let what = "sets no key: write those that you need, or leave --config out to run with the defaults";
        return Err(Mistakes::of_file(path, what.to_owned()));
    }
    Ok(::config::File::from_str(&text, FileFormat::Toml))
}

/// Reads a configuration text, as [`load`] does for a file without environment.
///
/// # Errors
/// Every mistake found, each with its key.
pub fn parse<C: Configuration>(text: &str, base: &Path) -> Result<C, Mistakes> {
    let tree = ::config::Config::builder()
        .add_source(::config::File::from_str(text, ::config::FileFormat::Toml))
        .build()
        .map_err(|e| Mistakes::unreadable(None, &e))?;
    let (settings, reader) = reader::read(tree.cache, base);
    match reader.into_mistakes() {
        mistakes if mistakes.0.is_empty() => Ok(settings),
        mistakes => Err(mistakes),
    }
}

/// The reference of all keys as Markdown, printed from the declarations.
pub fn reference<C: Configuration>() -> String {
    let mut out = String::new();
    for section in C::sections() {
        out.push_str(&format!("\n## {}\n\n{}\n\n", section.title, section.doc));
        out.push_str("| key | type | default | meaning |\n|---|---|---|---|\n");
        for field in section.fields {
            out.push_str(&format!(
                "| `{}` | {} | {} | {} |\n",
                field.key, field.kind, field.default, field.doc
            ));
        }
    }
    out
}
