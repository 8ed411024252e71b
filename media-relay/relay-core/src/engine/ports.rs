//! Which port pairs are free: first freed, first given, never before their rest is over.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// The port pairs of one interface.
pub(crate) struct Ports {
    first: u16,
    /// By pair: the session's slot that holds it.
    owners: Vec<Option<usize>>,
    free: VecDeque<u16>,
    resting: VecDeque<(Instant, u16)>,
    quarantine: Duration,
}

impl Ports {
    /// Every whole pair of the range, even port first.
    pub(crate) fn new(range: RangeInclusive<u16>, quarantine: Duration) -> Self {
        let first = range.start().max(&1).checked_next_multiple_of(2).unwrap_or(u16::MAX);
        let free: VecDeque<u16> = (first..*range.end()).step_by(2).filter(|port| *port > 0).collect();
        Self { first, owners: vec![None; free.len()], free, resting: VecDeque::new(), quarantine }
    }

    /// Takes the pair that has rested longest.
    pub(crate) fn take(&mut self, slot: usize, now: Instant) -> Option<u16> {
        while let Some((_, port)) = self.resting.front().copied().filter(|(until, _)| *until <= now) {
            self.resting.pop_front();
            self.free.push_back(port);
        }
        let port = self.free.pop_front()?;
        if let Some(owner) = self.owner_mut(port) {
            *owner = Some(slot);
        }
        Some(port)
    }

    /// Gives a pair back.
    pub(crate) fn put_back(&mut self, port: u16, now: Instant) {
        if let Some(owner) = self.owner_mut(port)
            && owner.take().is_some()
        {
            self.resting.push_back((now + self.quarantine, port));
        }
    }

    /// The session that holds a pair.
    pub(crate) fn owner(&self, port: u16) -> Option<usize> {
        let at = usize::from(port.checked_sub(self.first)? / 2);
        self.owners.get(at).copied().flatten()
    }

    pub(crate) fn in_use(&self) -> usize {
        self.owners.len() - self.free.len() - self.resting.len()
    }

    fn owner_mut(&mut self, port: u16) -> Option<&mut Option<usize>> {
        self.owners.get_mut(usize::from(port.checked_sub(self.first)? / 2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_begin_even_and_rest_before_they_come_again() {
        let now = Instant::now();
        let rest = Duration::from_secs(5);
        let mut ports = Ports::new(40_001..=40_006, rest);
        assert_eq!(ports.take(7, now), Some(40_002));
        assert_eq!(ports.take(8, now), Some(40_004));
        assert_eq!(ports.take(9, now), None); // 40,006 has no odd partner in the range
        assert_eq!((ports.owner(40_002), ports.owner(40_005), ports.owner(9)), (Some(7), Some(8), None));
        ports.put_back(40_004, now);
        ports.put_back(40_004, now);
        assert_eq!((ports.in_use(), ports.take(9, now)), (1, None));
        assert_eq!(ports.take(9, now + rest), Some(40_004));
        assert_eq!(ports.take(9, now + rest), None);
        assert!(Ports::new(65_535..=65_535, rest).take(0, now).is_none());
    }
}
