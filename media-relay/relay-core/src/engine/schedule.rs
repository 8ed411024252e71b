//! When each session wants to be woken: one entry per session, on a grid so that wake-ups are shared.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

pub(crate) struct Schedule {
    epoch: Instant,
    queue: BTreeSet<(Instant, usize)>,
    /// By slot.
    entries: Vec<Option<Instant>>,
}

impl Schedule {
    pub(crate) fn new(epoch: Instant) -> Self {
        Self { epoch, queue: BTreeSet::new(), entries: Vec::new() }
    }

    /// Wakes `slot` at `at` or soon after. A deadline that has moved away keeps its entry until that is near: packets
    /// move deadlines away all the time, and should seldom touch the queue.
    pub(crate) fn wake(&mut self, slot: usize, at: Instant, now: Instant) {
        let at = self.rounded(at);
        if self.entries.len() <= slot {
            self.entries.resize(slot + 1, None);
        }
        match self.entries[slot] {
            Some(before) if before == at || (before < at && before > now + NEAR) => {}
            before => {
                if let Some(before) = before {
                    self.queue.remove(&(before, slot));
                }
                self.queue.insert((at, slot));
                self.entries[slot] = Some(at);
            }
        }
    }

    /// Is `slot` to be woken, but not soon?
    pub(crate) fn is_far(&self, slot: usize, now: Instant) -> bool {
        self.entries.get(slot).is_some_and(|entry| entry.is_some_and(|at| at > now + NEAR))
    }

    pub(crate) fn forget(&mut self, slot: usize) {
        if let Some(at) = self.entries.get_mut(slot).and_then(Option::take) {
            self.queue.remove(&(at, slot));
        }
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// A session whose time has come.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<usize> {
        let (_, slot) = self.queue.first().filter(|(at, _)| *at <= now).copied()?;
        self.forget(slot);
        Some(slot)
    }

    fn rounded(&self, at: Instant) -> Instant {
        let since = at.saturating_duration_since(self.epoch).as_micros() as u64;
        self.epoch + Duration::from_micros(since.next_multiple_of(GRID.as_micros() as u64))
    }
}

/// Silence and digits go out every 20 ms; a quarter of that is no harm to a jitter buffer.
pub(crate) const GRID: Duration = Duration::from_millis(5);

/// Longer than the time between two packets of a stream: who still speaks moves the deadline in time, so that nobody is
/// woken for the silence that has not begun.
const NEAR: Duration = Duration::from_millis(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_wish_of_a_session_counts() {
        let epoch = Instant::now();
        let at = |milliseconds| epoch + Duration::from_millis(milliseconds);
        let mut schedule = Schedule::new(epoch);
        schedule.wake(3, at(100), epoch);
        schedule.wake(3, at(200), epoch);
        schedule.wake(1, at(51), epoch);
        schedule.wake(3, at(41), epoch);
        assert_eq!(schedule.next(), Some(at(45)));
        assert_eq!(schedule.pop(at(44)), None);
        assert_eq!(schedule.pop(at(45)), Some(3));
        assert_eq!(schedule.pop(at(500)), Some(1));
        assert_eq!(schedule.pop(at(500)), None);
        schedule.wake(3, at(60), epoch);
        schedule.forget(3);
        assert_eq!(schedule.next(), None);
    }

    #[test]
    fn a_deadline_that_keeps_moving_away_wakes_nobody() {
        let epoch = Instant::now();
        let at = |milliseconds| epoch + Duration::from_millis(milliseconds);
        let mut schedule = Schedule::new(epoch);
        for now in (0..1_000).step_by(20) {
            schedule.wake(7, at(now + 100), at(now));
            assert_eq!(schedule.pop(at(now + 19)), None);
        }
        assert!(schedule.is_far(7, at(980)) && !schedule.is_far(7, at(1_060)));
        assert!(!schedule.is_far(8, at(980)));
    }
}
