//! SIGHUP: the configuration and the files that it names are read again, and count if all of it is good.

use std::path::Path;

use crate::config::{self, Configuration, Reader, Severity};
use crate::told;

/// The new settings with what `files` reads of them, once `look` has seen no error in what they name. `None` if something is
/// wrong: everything stays as it is then. The log tells what is wrong, and what is to be warned of.
pub fn read<C: Configuration, T>(
    file: Option<&Path>,
    look: impl FnOnce(&C, &mut Reader),
    files: impl FnOnce(&C) -> anyhow::Result<T>,
) -> Option<(C, T)> {
    let (read, found) = config::examine(file, |settings, reader| {
        look(settings, reader);
        (reader.severity() != Some(Severity::Error)).then(|| files(settings))
    });
    match read {
        Some((settings, Some(Ok(read)))) => {
            found.0.iter().for_each(|mistake| tracing::warn!("{mistake}"));
            Some((settings, read))
        }
        Some((_, Some(Err(why)))) => {
            tracing::error!("the new configuration is refused: {}", told(&why));
            None
        }
        Some((_, None)) | None => {
            tracing::error!("the new configuration is refused: {found}");
            None
        }
    }
}

/// Says what was read again and counts from now on, such as `certificates`, and which changed keys don't yet.
pub fn done(read: &str, fixed_changes: &[&str]) {
    if !fixed_changes.is_empty() {
        tracing::warn!(keys = fixed_changes.join(", "), "changed, but counts only after a restart");
    }
    tracing::info!("{read} were read again");
}
