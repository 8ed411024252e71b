//! The time of day. The only file of ours that asks the machine for it; rustls, which judges certificates, and the log ask themselves.

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
    start.at(Instant::now())
}

/// What both clocks said at one moment.
struct Start {
    monotonic: Instant,
    wall: Duration,
}

impl Start {
    /// By the monotonic clock alone: nobody asks the other one again.
    fn at(&self, now: Instant) -> Duration {
        self.wall + now.saturating_duration_since(self.monotonic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_the_wall_clock_moves_nothing() {
        let begin = Instant::now();
        let start = Start { monotonic: begin, wall: Duration::from_secs(1_800_000_000) };
        // Whatever the wall clock says by then.
        assert_eq!(start.at(begin), Duration::from_secs(1_800_000_000));
        assert_eq!(start.at(begin + Duration::from_secs(90)), Duration::from_secs(1_800_000_090));
        let first = since_1970();
        assert!(since_1970() >= first);
    }
}
