//! Where the log goes.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::IsTerminal;
use std::panic::{self, PanicHookInfo};
use std::thread;

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt, registry};

use crate::config::Log;
use crate::output;

/// Starts logging to standard error, panics too.
///
/// # Errors
/// If the filter can't be read.
pub fn start(log: &Log) -> Result<(), String> {
    let filter = EnvFilter::try_new(&log.filter).map_err(|e| format!("log.filter: {e}"))?;
    let colours = std::io::stderr().is_terminal();
    let filter = filter.and(filter_fn(is_fit).with_max_level_hint(Level::TRACE));
    let lines =
        fmt::layer().with_ansi(colours).with_writer(output::stderr().clone()).log_internal_errors(false);
    match log.json {
        true => registry().with(lines.json().flatten_event(true).with_filter(filter)).init(),
        false => registry().with(lines.with_target(false).with_filter(filter)).init(),
    }
    panic::set_hook(Box::new(note_panic));
    Ok(())
}

/// The hook of the standard library writes to standard error itself, and waits for who reads it.
fn note_panic(panic: &PanicHookInfo<'_>) {
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(
        thread = thread::current().name(),
        at = panic.location().map(ToString::to_string),
        backtrace,
        "panicked: {}",
        reason(panic)
    );
}

fn reason<'a>(panic: &'a PanicHookInfo<'_>) -> &'a str {
    let payload = panic.payload();
    let text = payload.downcast_ref::<&str>().copied();
    text.or(payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("for no known reason")
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
