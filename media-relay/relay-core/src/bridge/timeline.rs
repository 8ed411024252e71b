//! The timestamps that a peer hears in one clock: they rise with the time, whoever makes them.

use std::time::{Duration, Instant};

use super::ptime_units;

/// Where a stream stands in one clock.
#[derive(Clone, Copy)]
pub(crate) struct Timeline {
    pub(crate) clock_rate: u32,
    /// The newest.
    pub(crate) timestamp: u32,
    /// When that was new.
    at: Instant,
    /// From a source's timestamps to ours.
    offset: Option<Offset>,
}

#[derive(Clone, Copy)]
struct Offset {
    value: u32,
    /// The number of the source from which on it holds; `None` until the first packet of another source.
    since: Option<u16>,
}

/// How a packet found its timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joint {
    /// The source's clock went on.
    Continued(u32),
    /// The source's clock says nothing that fits what was sent: it is joined to the end.
    Joined(u32),
}

impl Timeline {
    pub(crate) fn new(clock_rate: u32, timestamp: u32, now: Instant) -> Self {
        Self { clock_rate, timestamp, at: now, offset: None }
    }

    /// The timestamp of this moment.
    pub(crate) fn at(&self, now: Instant) -> u32 {
        self.timestamp.wrapping_add(units(now.saturating_duration_since(self.at), self.clock_rate))
    }

    /// The timestamp of something that begins now, in any clock: at least a packet time after the newest.
    pub(crate) fn next(&self, clock_rate: u32, now: Instant) -> u32 {
        let elapsed = units(now.saturating_duration_since(self.at), clock_rate);
        self.timestamp.wrapping_add(elapsed.max(ptime_units(clock_rate)))
    }

    /// The timestamp of a source's newest packet. Its own time is truer than ours, as long as it stays within
    /// `backward` and a second ahead of what has passed.
    pub(crate) fn join(&mut self, sequence: u16, timestamp: u32, backward: Backward, now: Instant) -> Joint {
        let expected = self.next(self.clock_rate, now);
        let own = self.offset.map(|offset| timestamp.wrapping_add(offset.value));
        let own = own.filter(|own| self.takes(*own, expected, backward));
        if let (Some(own), Some(offset)) = (own, &mut self.offset) {
            offset.since.get_or_insert(sequence);
            return Joint::Continued(own);
        }
        self.offset = Some(Offset { value: expected.wrapping_sub(timestamp), since: Some(sequence) });
        Joint::Joined(expected)
    }

    /// The next packet is of another source, or of one that began to count anew.
    pub(crate) fn forget_source(&mut self) {
        if let Some(offset) = &mut self.offset {
            offset.since = None;
        }
    }

    /// The timestamp of a packet that was overtaken; `None` if it belongs to a time before the last joint.
    pub(crate) fn look_back(&self, sequence: u16, timestamp: u32) -> Option<u32> {
        let Offset { value, since } = self.offset?;
        let is_of_now = since.is_some_and(|since| sequence.wrapping_sub(since).cast_signed() >= 0);
        is_of_now.then(|| timestamp.wrapping_add(value))
    }

    /// A packet with that timestamp left.
    pub(crate) fn advance(&mut self, timestamp: u32, now: Instant) {
        if timestamp.wrapping_sub(self.timestamp).cast_signed() > 0 {
            (self.timestamp, self.at) = (timestamp, now);
        }
    }

    fn takes(&self, own: u32, expected: u32, backward: Backward) -> bool {
        let ahead = i64::from(own.wrapping_sub(self.timestamp).cast_signed());
        let early = i64::from(own.wrapping_sub(expected).cast_signed());
        let second = i64::from(self.clock_rate);
        let least = match backward {
            Backward::No => 1,
            Backward::Standing => 0,
            Backward::Second => -second,
        };
        ahead >= least && early <= second
    }
}

/// How far behind the newest timestamp of a stream the next may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backward {
    /// Something of ours was heard meanwhile.
    No,
    /// Two packets may have one time.
    Standing,
    /// An event has the time of its beginning, which may be found out late (RFC 4733 §2.5.1.1).
    Second,
}

fn units(time: Duration, clock_rate: u32) -> u32 {
    (time.as_micros() * u128::from(clock_rate) / 1_000_000) as u32
}
