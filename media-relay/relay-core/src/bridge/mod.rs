//! Between two legs: which payload goes where, one unbroken stream out of changing sources, digits, silence.

pub(crate) mod digits;
pub(crate) mod routes;
pub(crate) mod silence;
pub(crate) mod source;
pub(crate) mod stream;
mod timeline;

use std::time::Duration;

/// What a packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Sound,
    /// RFC 4733.
    Event,
}

/// The packet time of everything that the relay makes itself.
pub(crate) const PTIME: Duration = Duration::from_millis(20);

/// Timestamp units of one packet time.
pub(crate) fn ptime_units(clock_rate: u32) -> u32 {
    clock_rate / 50
}
