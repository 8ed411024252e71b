//! The time of day. The only file that asks the machine for it.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Time since 1970 by a clock that is never set: the wall clock as this process first saw it, and from then on as much time as
/// has passed. Who corrects the machine's clock by a step makes nothing expire, and lets nothing live longer.
pub fn since_1970() -> Duration {
    static START: OnceLock<Start> = OnceLock::new();
    let start = START.get_or_init(|| Start {
        monotonic: Instant::now(),
        wall: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO),
    });
    start.wall + start.monotonic.elapsed()
}

struct Start {
    monotonic: Instant,
    wall: Duration,
}
