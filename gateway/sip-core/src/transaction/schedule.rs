//! When which transaction next has something to do: a heap with lazy deletion.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::arena::Slot;
use crate::time::Instant;

/// Wake-ups in order of time.
///
/// Wake-ups that no longer matter are not searched for: the table skips them when they come up. They never outnumber
/// the transactions by more than [`SLACK`]; the table sees to that with [`Schedule::is_mostly_stale`].
#[derive(Default)]
pub(super) struct Schedule {
    heap: BinaryHeap<Reverse<(Instant, Slot)>>,
}

impl Schedule {
    /// Asks for a wake-up.
    pub fn add(&mut self, at: Instant, slot: Slot) {
        self.heap.push(Reverse((at, slot)));
    }

    /// The earliest wake-up, due or not.
    pub fn first(&self) -> Option<(Instant, Slot)> {
        self.heap.peek().map(|Reverse(wake_up)| *wake_up)
    }

    /// Drops the earliest wake-up.
    pub fn drop_first(&mut self) {
        self.heap.pop();
    }

    /// Whether the wake-ups of transactions that are gone cost more than a rebuild.
    pub fn is_mostly_stale(&self, live: usize) -> bool {
        live == 0 || self.heap.len() > live.saturating_mul(2).saturating_add(SLACK)
    }

    /// Starts over with these wake-ups.
    pub fn rebuild(&mut self, wake_ups: impl Iterator<Item = (Instant, Slot)>) {
        let mut kept = std::mem::take(&mut self.heap).into_vec();
        kept.clear();
        kept.extend(wake_ups.map(Reverse));
        kept.shrink_to(kept.len().saturating_mul(2).saturating_add(SLACK));
        self.heap = BinaryHeap::from(kept);
    }
}

/// Stale wake-ups that are always tolerated.
const SLACK: usize = 64;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::arena::Arena;
    use super::*;

    #[test]
    fn a_schedule_of_the_dead_is_rebuilt_from_the_living() {
        let mut arena = Arena::new();
        let mut schedule = Schedule::default();
        let slots: Vec<Slot> = (0..200).map(|_| arena.insert(())).collect();
        for (slot, second) in slots.iter().zip(0..) {
            schedule.add(Instant::START + Duration::from_secs(second), *slot);
        }
        assert!(!schedule.is_mostly_stale(200));
        assert!(!schedule.is_mostly_stale(68));
        assert!(schedule.is_mostly_stale(67));
        let living = slots.iter().zip(0..).skip(150);
        schedule.rebuild(living.map(|(slot, second)| (Instant::START + Duration::from_secs(second), *slot)));
        assert_eq!(schedule.heap.len(), 50);
        assert_eq!(schedule.first().map(|(at, _)| at), Some(Instant::START + Duration::from_secs(150)));
    }
}
