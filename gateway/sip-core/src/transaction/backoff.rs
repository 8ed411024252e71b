//! A retransmission interval that doubles: timers A, E and G.

use std::time::Duration;

use super::Attempt;
use super::machine::Fired;
use crate::message::Message;
use crate::time::Instant;

/// When to send again, and how long to wait after that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Backoff {
    at: Instant,
    interval: Duration,
    longest: Duration,
}

impl Backoff {
    /// First fires `interval` after `now`, then after twice that, and so on up to `longest`.
    pub fn new(interval: Duration, longest: Duration, now: Instant) -> Self {
        Self { at: now + interval, interval, longest }
    }

    /// The next time to send.
    pub fn at(&self) -> Instant {
        self.at
    }

    /// `message` again, when its time has come. A late driver gets one retransmission, not all that it missed.
    pub fn resend(&mut self, message: &Message, now: Instant) -> Fired {
        if now < self.at {
            return Fired::Nothing;
        }
        self.interval = self.interval.saturating_mul(2).min(self.longest);
        self.at = now + self.interval;
        Fired::Send(message.clone(), Attempt::Repeat)
    }

    /// From now on always the longest interval: RFC 3261 §17.1.2.2, timer E in Proceeding.
    pub fn settled(self) -> Self {
        Self { interval: self.longest, ..self }
    }
}
