//! Relayed ports: free in a random order, held, kept for a reservation, or resting.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use super::message::EvenPort;
use crate::random::Random;

/// The ports of one relayed address.
pub(super) struct Ports {
    first: u16,
    states: Vec<State>,
    /// First freed, first given.
    free: VecDeque<u16>,
    resting: VecDeque<(Instant, u16)>,
    quarantine: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Free,
    Held(u32),
    Reserved,
    Resting,
}

impl Ports {
    /// In an order that nobody can foresee (RFC 8656 §7.2).
    pub(super) fn new(range: RangeInclusive<u16>, quarantine: Duration, random: &mut Random) -> Self {
        let first = (*range.start()).max(1);
        let mut free: Vec<u16> = (first..=*range.end()).collect();
        for at in (1..free.len()).rev() {
            free.swap(at, random.u32() as usize % (at + 1));
        }
        let states = vec![State::Free; free.len()];
        Self { first, states, free: free.into(), resting: VecDeque::new(), quarantine }
    }

    /// Takes a port for the allocation in `slot`.
    pub(super) fn take(&mut self, even: Option<EvenPort>, slot: usize, now: Instant) -> Option<u16> {
        self.wake(now);
        let at = match even {
            None => 0,
            Some(EvenPort::Alone) => self.free.iter().position(|port| port % 2 == 0)?,
            Some(EvenPort::WithNext) => {
                self.free.iter().position(|port| port % 2 == 0 && self.is_free(port + 1))?
            }
        };
        let port = self.free.remove(at)?;
        self.set(port, State::Held(slot as u32));
        if even == Some(EvenPort::WithNext) {
            self.free.retain(|other| *other != port + 1);
            self.set(port + 1, State::Reserved);
        }
        Some(port)
    }

    /// Gives a reserved port to the allocation in `slot`.
    pub(super) fn take_reserved(&mut self, port: u16, slot: usize) {
        self.set(port, State::Held(slot as u32));
    }

    /// Takes a held or reserved port back.
    pub(super) fn put_back(&mut self, port: u16, now: Instant) {
        self.set(port, State::Resting);
        self.resting.push_back((now + self.quarantine, port));
    }

    /// The allocation that holds a port.
    pub(super) fn owner(&self, port: u16) -> Option<usize> {
        match self.states.get(usize::from(port.checked_sub(self.first)?))? {
            State::Held(slot) => Some(*slot as usize),
            State::Free | State::Reserved | State::Resting => None,
        }
    }

    /// Held and reserved ones.
    pub(super) fn in_use(&self) -> usize {
        self.states.len() - self.free.len() - self.resting.len()
    }

    fn wake(&mut self, now: Instant) {
        while let Some((_, port)) = self.resting.front().copied().filter(|(until, _)| *until <= now) {
            self.resting.pop_front();
            self.set(port, State::Free);
            self.free.push_back(port);
        }
    }

    fn is_free(&self, port: u16) -> bool {
        self.states.get(usize::from(port - self.first)) == Some(&State::Free)
    }

    fn set(&mut self, port: u16, state: State) {
        self.states[usize::from(port - self.first)] = state;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_port_is_given_once_and_rests_before_it_comes_again() {
        let (now, rest) = (Instant::now(), Duration::from_secs(5));
        let mut ports = Ports::new(40_001..=40_004, rest, &mut Random::new([1; 32]));
        let even = ports.take(Some(EvenPort::WithNext), 7, now).expect("40,002 and 40,003");
        assert_eq!((even, ports.owner(40_002), ports.owner(40_003)), (40_002, Some(7), None));
        assert_eq!(ports.take(Some(EvenPort::WithNext), 8, now), None); // 40,005 is not ours
        assert_eq!(ports.take(Some(EvenPort::Alone), 8, now), Some(40_004));
        assert_eq!(ports.take(None, 9, now), Some(40_001));
        assert_eq!((ports.take(None, 9, now), ports.in_use()), (None, 4));
        ports.take_reserved(40_003, 6);
        assert_eq!(ports.owner(40_003), Some(6));
        ports.put_back(40_003, now);
        assert_eq!((ports.take(None, 9, now), ports.in_use()), (None, 3));
        assert_eq!(ports.take(None, 9, now + rest), Some(40_003));
        assert_eq!((ports.owner(0), ports.owner(65_535)), (None, None));
    }

    #[test]
    fn the_last_port_of_all_has_no_next() {
        let mut ports = Ports::new(65_534..=65_535, Duration::ZERO, &mut Random::new([1; 32]));
        assert_eq!(ports.take(Some(EvenPort::WithNext), 1, Instant::now()), Some(65_534));
        assert_eq!(
            Ports::new(0..=0, Duration::ZERO, &mut Random::new([1; 32])).take(None, 0, Instant::now()),
            None
        );
    }
}
