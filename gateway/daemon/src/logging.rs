//! Where the log goes.

use std::io::IsTerminal;

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt, registry};

use crate::config::Log;

/// Starts logging to standard error.
///
/// # Errors
/// If the filter can't be read.
pub fn start(log: &Log) -> Result<(), String> {
    let filter = EnvFilter::try_new(&log.filter).map_err(|e| format!("log.filter: {e}"))?;
    let colours = std::io::stderr().is_terminal();
    let filter = filter.and(filter_fn(is_fit).with_max_level_hint(Level::TRACE));
    let lines = fmt::layer().with_ansi(colours).with_writer(std::io::stderr);
    match log.json {
        true => registry().with(lines.json().flatten_event(true).with_filter(filter)).init(),
        false => registry().with(lines.with_target(false).with_filter(filter)).init(),
    }
    Ok(())
}

/// What we log ourselves is made for it. Libraries show whole frames and keys below INFO, whatever the filter asks for.
fn is_fit(metadata: &Metadata<'_>) -> bool {
    let own = OWN.iter().any(|name| {
        metadata.target().strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    });
    own || *metadata.level() <= Level::INFO
}

/// The crates of this workspace.
const OWN: [&str; 6] = ["gateway", "daemon", "sip_core", "media_relay", "relay_core", "relay_api"];
