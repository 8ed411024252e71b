//! Time as an argument: nothing in this crate reads a clock.

use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment on this process' monotonic clock, counted from an arbitrary start. For timers that never leave the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Instant(pub Duration);

impl Instant {
    /// The arbitrary start.
    pub const START: Self = Self(Duration::ZERO);

    /// How long ago `earlier` was; zero when it lies in the future.
    pub fn saturating_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, after: Duration) -> Self {
        Self(self.0.saturating_add(after))
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    /// Stops at [`Instant::START`].
    fn sub(self, before: Duration) -> Self {
        Self(self.0.saturating_sub(before))
    }
}

impl Sub for Instant {
    type Output = Duration;

    /// Zero when `earlier` lies in the future.
    fn sub(self, earlier: Self) -> Duration {
        self.saturating_since(earlier)
    }
}

/// Wall-clock milliseconds since 1970-01-01T00:00:00Z. For what is stored and read on another node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// This moment moved forward; saturates at the end of time.
    pub fn plus(self, after: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(after.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long ago `earlier` was; zero when it lies in the future.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// Whole seconds from `now` until this moment, rounded up; zero when it has passed. What an `expires` says.
    pub fn seconds_after(self, now: Self) -> u32 {
        u32::try_from(self.0.saturating_sub(now.0).div_ceil(1000)).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_never_go_below_zero() {
        let later = Instant::START + Duration::from_secs(3);
        assert_eq!(later - Instant::START, Duration::from_secs(3));
        assert_eq!(Instant::START - later, Duration::ZERO);
        assert_eq!(Instant::START - Duration::from_secs(1), Instant::START);
        assert_eq!(UnixMillis(5).since(UnixMillis(9)), Duration::ZERO);
        assert_eq!(UnixMillis(5).plus(Duration::MAX), UnixMillis(u64::MAX));
    }

    #[test]
    fn remaining_seconds_round_up() {
        assert_eq!(UnixMillis(1_001).seconds_after(UnixMillis(0)), 2);
        assert_eq!(UnixMillis(1_000).seconds_after(UnixMillis(0)), 1);
        assert_eq!(UnixMillis(1_000).seconds_after(UnixMillis(2_000)), 0);
    }
}
