//! When a busy worker waits before it looks for packets again (docs/adr/0005-data-plane.md).
//!
//! Waking up costs more than a packet does. While packets come fast, a worker looks for them once in a [`Pace::PAUSE`]
//! and finds several; while they come slowly it waits in the poll, and each is carried at once.

use std::time::{Duration, Instant};

/// How fast packets come to one worker.
pub(crate) struct Pace {
    since: Instant,
    packets: u32,
    is_busy: bool,
}

impl Pace {
    /// What a packet waits at most for others, but for what the system's timers add.
    pub(crate) const PAUSE: Duration = Duration::from_millis(1);

    pub(crate) fn new(now: Instant) -> Self {
        Self { since: now, packets: 0, is_busy: false }
    }

    /// Takes the packets of a round that began at `now`.
    pub(crate) fn count(&mut self, packets: u32, now: Instant) {
        self.packets = self.packets.saturating_add(packets);
        let took = now.saturating_duration_since(self.since);
        if took >= WINDOW {
            self.is_busy = f64::from(self.packets) >= took.as_secs_f64() * BUSY;
            (self.since, self.packets) = (now, 0);
        }
    }

    /// Are there likely to be several packets in a round?
    pub(crate) fn is_busy(&self) -> bool {
        self.is_busy
    }

    /// How long the round that began at `began` is to be followed by nothing; `None` if packets come slowly, or if it took long anyway.
    pub(crate) fn pause(&self, began: Instant, now: Instant) -> Option<Duration> {
        let left = Self::PAUSE.checked_sub(now.saturating_duration_since(began))?;
        (self.is_busy && !left.is_zero()).then_some(left)
    }
}

/// Packets a second from which on two of them are likely to share a wake-up.
const BUSY: f64 = 2_000.0;
/// A burst as short as a handshake is no load.
const WINDOW: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    /// `packets` in each of `rounds`, a millisecond apart.
    fn after(packets: u32, rounds: u32) -> (Pace, Instant) {
        let begin = Instant::now();
        let mut pace = Pace::new(begin);
        let at = |round| begin + Duration::from_millis(1) * round;
        (1..=rounds).for_each(|round| pace.count(packets, at(round)));
        (pace, at(rounds))
    }

    #[test]
    fn a_worker_under_load_waits_for_what_is_left_of_a_pause() {
        let (pace, now) = after(3, 40);
        assert_eq!(pace.pause(now, now), Some(Pace::PAUSE));
        assert_eq!(pace.pause(now, now + Pace::PAUSE / 4), Some(Pace::PAUSE * 3 / 4));
        assert_eq!(pace.pause(now, now + Pace::PAUSE), None);
        assert_eq!(pace.pause(now, now + Pace::PAUSE * 5), None);
    }

    #[test]
    fn a_worker_with_few_packets_or_a_short_burst_does_not_wait() {
        for (pace, now) in [after(1, 40), after(50, 10)] {
            assert_eq!(pace.pause(now, now), None);
        }
    }

    #[test]
    fn the_end_of_the_load_is_noticed() {
        let (mut pace, now) = after(3, 40);
        pace.count(1, now + WINDOW);
        assert_eq!(pace.pause(now + WINDOW, now + WINDOW), None);
    }
}
