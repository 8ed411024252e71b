//! SIGHUP: the configuration and the files that it names are read again, and count if all of it is good.

use std::path::Path;

use anyhow::anyhow;

use crate::config::{self, Configuration};
use crate::told;

/// The new settings with what `files` reads of them; `None` if something is wrong, which the log tells: everything stays as
/// it is then.
pub fn read<C: Configuration, T>(
    file: Option<&Path>,
    files: impl FnOnce(&C) -> anyhow::Result<T>,
) -> Option<(C, T)> {
    let settings = config::load(file).map_err(|mistakes| anyhow!("{mistakes}"));
    let read = settings.and_then(|settings: C| files(&settings).map(|read| (settings, read)));
    read.inspect_err(|why| tracing::error!("the new configuration is refused: {}", told(why))).ok()
}

/// Says what was read again and counts from now on, such as `certificates`, and which changed keys don't yet.
pub fn done(read: &str, fixed_changes: &[&str]) {
    if !fixed_changes.is_empty() {
        tracing::warn!(keys = fixed_changes.join(", "), "changed, but counts only after a restart");
    }
    tracing::info!("{read} were read again");
}
