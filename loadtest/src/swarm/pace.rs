//! Open-loop pacing: work is due by the clock, whether or not the server keeps up.

use std::time::Duration;

/// A steady rate, and what it has given so far.
#[derive(Debug, Clone)]
pub struct Pace {
    per_second: f64,
    limit: u64,
    given: u64,
}

impl Pace {
    /// `per_second` pieces of work, `limit` in all.
    pub fn new(per_second: f64, limit: u64) -> Self {
        Self { per_second: per_second.max(0.0), limit, given: 0 }
    }

    /// How many pieces became due since the last call, `elapsed` after the start. At most [`BURST`]: after a pause of this
    /// program the rest is caught up over the next calls, not in one blow.
    pub fn due(&mut self, elapsed: Duration) -> u64 {
        let by_now = if self.per_second.is_finite() {
            (elapsed.as_secs_f64() * self.per_second) as u64
        } else {
            self.limit
        };
        let due = by_now.min(self.limit).saturating_sub(self.given).min(BURST);
        self.given += due;
        due
    }

    /// Whether all is given.
    pub fn is_done(&self) -> bool {
        self.given >= self.limit
    }

    /// All the work there is.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Pieces given so far.
    pub fn given(&self) -> u64 {
        self.given
    }
}

/// The most work given at once.
pub const BURST: u64 = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_due_by_the_clock() {
        let mut pace = Pace::new(100.0, 1_000);
        assert_eq!(pace.due(Duration::from_millis(9)), 0);
        assert_eq!(pace.due(Duration::from_millis(25)), 2);
        assert_eq!(pace.due(Duration::from_millis(30)), 1);
        assert_eq!(pace.given(), 3);
    }

    #[test]
    fn a_pause_is_caught_up_in_bounded_steps_and_the_limit_holds() {
        let mut pace = Pace::new(1_000.0, 40);
        assert_eq!(pace.due(Duration::from_secs(60)), BURST);
        assert!(!pace.is_done());
        assert_eq!(pace.due(Duration::from_secs(60)), 8);
        assert!(pace.is_done());
        assert_eq!(pace.due(Duration::from_secs(99)), 0);
        assert_eq!(Pace::new(0.0, 10).due(Duration::from_secs(10)), 0);
    }
}
