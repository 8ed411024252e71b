//! Lines of the log that strangers can cause: one now and then, each with the number of those that it stands for.

use std::ops::Sub;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Lets a line through at most every [`SELDOM`], and counts those between. `I` is an instant of a monotonic clock.
#[derive(Debug)]
pub struct Seldom<I>(Mutex<State<I>>);

#[derive(Debug)]
struct State<I> {
    last: Option<I>,
    silent: u64,
}

impl<I> Default for Seldom<I> {
    fn default() -> Self {
        Self(Mutex::new(State { last: None, silent: 0 }))
    }
}

impl<I: Copy + Sub<Output = Duration>> Seldom<I> {
    /// How many lines were left out since the last one, if this one may be written.
    pub fn allows(&self, now: I) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.last.is_some_and(|last| now - last < SELDOM) {
            state.silent += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.silent))
    }
}

/// Between two lines about the same.
pub const SELDOM: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn the_next_line_tells_how_many_were_left_out() {
        let seldom = Seldom::default();
        let start = Instant::now();
        assert_eq!(seldom.allows(start), Some(0));
        assert_eq!(seldom.allows(start), None);
        assert_eq!(seldom.allows(start + SELDOM / 2), None);
        assert_eq!(seldom.allows(start + SELDOM), Some(2));
        assert_eq!(seldom.allows(start + SELDOM * 2), Some(0));
    }
}
