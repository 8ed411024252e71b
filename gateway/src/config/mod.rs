//! The configuration: one TOML file, overlaid by the environment, read into typed values.
//!
//! Every mistake is reported at once, unknown keys are mistakes, and the reference in `docs/configuration.md` is printed
//! from the same declarations that read the file ([`reference()`]).

mod field;
mod reader;
mod settings;

use std::path::{Path, PathBuf};

pub use field::{Addresses, Duration, PortRange};
pub use reader::{Mistake, Mistakes};
pub use settings::{
    Admin, Browser, CODECS, Calls, Dialplan, DigestAlgorithm, Limits, Listen, Log, Relay, RelayKind,
    Settings, State, Store, StoreKind, Tls, Trunk, TrunkTransport, Users,
};

/// Environment variables with this prefix overlay the file: `GATEWAY__LISTEN__WSS=127.0.0.1:8443`.
pub const ENVIRONMENT_PREFIX: &str = "GATEWAY";

/// Reads the file (or nothing: all defaults) and the environment.
///
/// Relative paths inside the file are taken from the file's folder.
///
/// # Errors
/// Every mistake found, each with its key.
pub fn load(file: Option<&Path>) -> Result<Settings, Mistakes> {
    let mut builder = ::config::Config::builder();
    if let Some(path) = file {
        builder = builder.add_source(::config::File::from(path).format(::config::FileFormat::Toml));
    }
    let environment =
        ::config::Environment::with_prefix(ENVIRONMENT_PREFIX).prefix_separator("__").separator("__");
    let tree = builder.add_source(environment).build().map_err(|e| Mistakes::unreadable(file, &e))?;
    let base = file.and_then(Path::parent).map_or_else(PathBuf::new, Path::to_path_buf);
    reader::read(tree.cache, base)
}

/// Reads a configuration text, as [`load`] does for a file without environment.
///
/// # Errors
/// Every mistake found, each with its key.
pub fn parse(text: &str, base: &Path) -> Result<Settings, Mistakes> {
    let tree = ::config::Config::builder()
        .add_source(::config::File::from_str(text, ::config::FileFormat::Toml))
        .build()
        .map_err(|e| Mistakes::unreadable(None, &e))?;
    reader::read(tree.cache, base.to_path_buf())
}

/// The reference of all keys as Markdown, printed from the declarations.
pub fn reference() -> String {
    let mut out = String::new();
    for section in settings::sections() {
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
