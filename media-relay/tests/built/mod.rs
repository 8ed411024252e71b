//! The relay's program, for tests of other crates.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Where it lies: where MEDIA_RELAY_BIN says, or beside `sibling`, built in the same profile and up to date.
pub fn media_relay(sibling: &str) -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Some(named) = env::var_os("MEDIA_RELAY_BIN") {
            return named.into();
        }
        let folder = Path::new(sibling).parent().unwrap();
        build(folder);
        folder.join("media-relay")
    })
}

/// As part of a test that needs it, with all crates' features: where everything is tested there is nothing to do.
fn build(folder: &Path) {
    let (target, profile) = (folder.parent().unwrap(), folder.file_name().unwrap());
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["test", "--no-run", "--quiet", "--locked", "--workspace", "--test", "control"]);
    cargo.arg("--target-dir").arg(target);
    // Build scripts that look at these of the test's own package would run again.
    for (name, _) in env::vars_os() {
        if OWN.iter().any(|own| name.to_string_lossy().starts_with(own)) {
            cargo.env_remove(name);
        }
    }
    if profile != "debug" {
        cargo.arg("--profile").arg(profile);
    }
    assert!(cargo.status().unwrap().success());
}

const OWN: [&str; 2] = ["CARGO_PKG_", "CARGO_MANIFEST_"];
