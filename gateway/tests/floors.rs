//! Rules of the repository that the compiler does not know.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Floor of each top-level module of the gateway; a module imports from its own floor and below.
const FLOORS: [(&str, u8); 8] = [
    ("ports", 1),
    ("app", 2),
    ("adapters", 3),
    ("runtime", 3),
    ("http", 3),
    ("config", 4),
    ("wiring", 4),
    ("main", 4),
];

/// Arithmetic, parsing and values. `ring` and `dimpl` can draw chance: of the former `SystemRandom` is disallowed, the latter
/// draws what DTLS handshakes need.
const WITHOUT_IO: [&str; 19] = [
    "aes",
    "base64",
    "bytes",
    "crc32fast",
    "dimpl",
    "hmac",
    "ipnet",
    "md-5",
    "memchr",
    "rand_chacha",
    "relay-api",
    "ring",
    "serde",
    "sha1",
    "sha2",
    "slab",
    "subtle",
    "thiserror",
    "zeroize",
];

#[test]
fn arrows_point_down_only() {
    let mut wrong = Vec::new();
    for (module, floor) in FLOORS {
        for (file, text) in module_files(module) {
            let imported = imported(&text);
            let above = FLOORS.iter().filter(|(other, at)| *at > floor && imported.contains(*other));
            wrong.extend(
                above.map(|(other, at)| {
                    format!("{}: floor {floor} uses {other} of floor {at}", file.display())
                }),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_module_has_its_floor() {
    let entries = fs::read_dir(root().join("src")).unwrap().map(|entry| entry.unwrap().path());
    let modules = entries.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned());
    let strange: Vec<_> =
        modules.filter(|module| module != "lib" && FLOORS.iter().all(|(known, _)| module != known)).collect();
    assert!(strange.is_empty(), "on which floor is {strange:?}?");
}

/// What it has of the standard library is held by clippy.toml of each crate; a crate can be named only if it stands here.
#[test]
fn pure_crates_build_on_crates_without_io() {
    let allowed: HashSet<&str> = WITHOUT_IO.into_iter().collect();
    for folder in ["sip-core", "../media-relay/relay-core", "../media-relay/api"] {
        let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
        let found: HashSet<&str> = dependencies(&manifest).collect();
        let strange: Vec<_> = found.difference(&allowed).collect();
        assert!(
            strange.is_empty(),
            "{folder}: {strange:?}: has it neither clock, sockets, threads nor chance?"
        );
        assert!(root().join(folder).join("clippy.toml").is_file(), "{folder} has the rules of pure crates");
    }
}

#[test]
fn the_time_of_day_is_asked_once_lest_a_step_of_the_clock_move_anything() {
    let mut asking = Vec::new();
    for folder in ["src", "daemon/src", "../media-relay/src"] {
        for (file, text) in files(&root().join(folder)).into_iter().filter(|(file, _)| !is_test(file)) {
            if code(&text).any(|line| line.contains("SystemTime")) {
                asking.push(file.strip_prefix(root()).unwrap().display().to_string());
            }
        }
    }
    assert_eq!(asking, ["daemon/src/clock.rs"]);
}

#[test]
fn every_file_begins_with_what_it_is() {
    let folders = ["src", "daemon/src", "sip-core/src", "../media-relay", "../loadtest/src"];
    let silent: Vec<_> = folders
        .iter()
        .flat_map(|folder| files(&root().join(folder)))
        .filter(|(file, text)| !is_test(file) && !text.starts_with("//!"))
        .map(|(file, _)| file.display().to_string())
        .collect();
    assert!(silent.is_empty(), "no //! line at the top:\n{}", silent.join("\n"));
}

/// Names under `[dependencies]`, the only table of them that the pure crates have for their production code.
fn dependencies(manifest: &str) -> impl Iterator<Item = &str> {
    let lines = manifest.lines().skip_while(|line| *line != "[dependencies]").skip(1);
    let lines = lines.take_while(|line| !line.starts_with('[')).filter(|line| !line.is_empty());
    lines.map(|line| line.split(['.', ' ', '=']).next().unwrap_or_default())
}

/// `module.rs` and what is in `module/`.
fn module_files(module: &str) -> Vec<(PathBuf, String)> {
    let folder = root().join("src").join(module);
    let file = folder.with_extension("rs");
    let mut found = if folder.is_dir() { files(&folder) } else { Vec::new() };
    if let Ok(text) = fs::read_to_string(&file) {
        found.push((file, text));
    }
    assert!(!found.is_empty(), "there is no module {module}");
    found
}

/// Names behind `crate::`, alone or in braces.
fn imported(text: &str) -> HashSet<String> {
    let code: String = code(text).flat_map(|line| [line, "\n"]).collect();
    let mut found = HashSet::new();
    for behind in code.split("crate::").skip(1) {
        let names = match behind.strip_prefix('{') {
            Some(group) => group.split_once('}').map_or(group, |(names, _)| names),
            None => behind.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or_default(),
        };
        found.extend(
            names.split(',').map(|name| name.split("::").next().unwrap_or_default().trim().to_owned()),
        );
    }
    found
}

fn files(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}

/// Lines that are not comments, up to the tests of the file.
fn code(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().take_while(|line| *line != "#[cfg(test)]");
    lines.filter(|line| !line.trim_start().starts_with("//"))
}

/// `tests.rs` and `tests/` of a module.
fn is_test(file: &Path) -> bool {
    file.components().any(|part| ["tests", "tests.rs"].iter().any(|name| part.as_os_str() == *name))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
