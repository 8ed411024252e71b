//! Where the log goes.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::Log;

/// Starts logging to standard error.
///
/// # Errors
/// If the filter can't be read.
pub fn start(log: &Log) -> Result<(), String> {
    let filter = EnvFilter::try_new(&log.filter).map_err(|e| format!("log.filter: {e}"))?;
    let colours = std::io::stderr().is_terminal();
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr);
    match log.json {
        true => subscriber.json().flatten_event(true).init(),
        false => subscriber.with_target(false).init(),
    }
    Ok(())
}
