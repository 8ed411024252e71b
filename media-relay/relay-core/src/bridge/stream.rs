//! The one stream that a leg's peer hears: SSRC, sequence and timestamps go on whoever is behind it.

use std::time::{Duration, Instant};

use super::ptime_units;
use crate::rtp::{Header, Outgoing};

/// Outgoing stream of one leg.
pub(crate) struct Stream {
    ssrc: u32,
    /// Of the first packet.
    first: u16,
    sequence: u16,
    /// Sequence numbers from the first to the last, with those of packets that the source lost.
    numbers: u64,
    /// Of the packet sent last, and when that timestamp was new.
    timestamp: u32,
    timestamp_at: Option<Instant>,
    sent_at: Option<Instant>,
    clock_rate: u32,
    anchor: Option<Anchor>,
    origin: Origin,
    packets: u32,
    octets: u32,
}

/// What a receiver's report is to be read with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbering {
    /// Sequence number of the first packet.
    pub(crate) first: u16,
    /// From the first to the last: of more nobody can tell.
    pub(crate) numbers: u64,
    /// Of the packet sent last.
    pub(crate) clock_rate: u32,
}

/// Who made the last packet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Forwarded,
    Generated,
}

/// How a source's numbers become ours.
struct Anchor {
    ssrc: u32,
    clock_rate: u32,
    sequence_offset: u16,
    timestamp_offset: u32,
    /// Of the source: what was before it would get a number that is in use.
    first: u16,
    highest: u16,
}

impl Stream {
    /// RFC 3550 §5.1: SSRC, first sequence number and timestamp are random.
    pub(crate) fn new(ssrc: u32, sequence: u16, timestamp: u32) -> Self {
        // Below 2^15, so that the first rollover is far: RFC 3711 §3.3.1.
        let sequence = sequence & 0x7FFF;
        Self {
            ssrc,
            first: sequence + 1,
            sequence,
            numbers: 0,
            timestamp,
            timestamp_at: None,
            sent_at: None,
            clock_rate: 0,
            anchor: None,
            origin: Origin::Forwarded,
            packets: 0,
            octets: 0,
        }
    }

    pub(crate) fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// `None` before the first packet.
    pub(crate) fn numbering(&self) -> Option<Numbering> {
        let Self { first, numbers, clock_rate, .. } = *self;
        self.sent_at.map(|_| Numbering { first, numbers, clock_rate })
    }

    /// What comes next is from elsewhere, though its SSRC may be the same.
    pub(crate) fn forget_source(&mut self) {
        self.anchor = None;
    }

    pub(crate) fn sent_at(&self) -> Option<Instant> {
        self.sent_at
    }

    /// Was the last packet the relay's own?
    pub(crate) fn is_generated(&self) -> bool {
        self.origin == Origin::Generated
    }

    /// Packets and payload bytes, modulo 2³², and the timestamp of this moment: for a sender report.
    pub(crate) fn sender_state(&self, now: Instant) -> Option<(u32, u32, u32)> {
        let since = now.saturating_duration_since(self.timestamp_at?);
        Some((self.timestamp.wrapping_add(units(since, self.clock_rate)), self.packets, self.octets))
    }

    /// The header under which a source's packet goes on; `None` if it comes too late to have a number of its own.
    pub(crate) fn forward(
        &mut self,
        header: &Header,
        clock_rate: u32,
        payload_type: u8,
        now: Instant,
    ) -> Option<Outgoing> {
        let (anchor, is_new) = match self.anchor.take() {
            Some(anchor) if self.origin == Origin::Forwarded && anchor.continues(header, clock_rate) => {
                (anchor, false)
            }
            old => (self.anchored(old, header, clock_rate, now), true),
        };
        let is_known = !is_before(header.sequence, anchor.first);
        let outgoing = Outgoing {
            marker: header.marker || is_new,
            payload_type,
            sequence: header.sequence.wrapping_add(anchor.sequence_offset),
            timestamp: header.timestamp.wrapping_add(anchor.timestamp_offset),
            ssrc: self.ssrc,
        };
        let is_ahead = is_new || is_before(anchor.highest, header.sequence);
        let highest = if is_ahead { header.sequence } else { anchor.highest };
        self.anchor = Some(Anchor { highest, ..anchor });
        if !is_known {
            return None;
        }
        self.sent(&outgoing, is_ahead, header.payload.len(), clock_rate, now);
        self.origin = Origin::Forwarded;
        Some(outgoing)
    }

    /// The header of a packet that the relay makes: the next number, and the time that has passed.
    pub(crate) fn generate(
        &mut self,
        clock_rate: u32,
        payload_type: u8,
        size: usize,
        now: Instant,
    ) -> Outgoing {
        let is_new = !self.is_generated() || self.timestamp_at.is_none();
        let step = if is_new { self.elapsed(clock_rate, now) } else { ptime_units(clock_rate) };
        self.emit(is_new, self.timestamp.wrapping_add(step), clock_rate, payload_type, size, now)
    }

    /// The timestamp that an event beginning now has: RFC 4733 §2.2.
    pub(crate) fn event_timestamp(&self, clock_rate: u32, now: Instant) -> u32 {
        self.timestamp.wrapping_add(self.elapsed(clock_rate, now))
    }

    /// The header of an event's packet: its timestamp stays that of the beginning.
    pub(crate) fn event(
        &mut self,
        is_first: bool,
        timestamp: u32,
        clock_rate: u32,
        payload_type: u8,
        now: Instant,
    ) -> Outgoing {
        self.emit(is_first, timestamp, clock_rate, payload_type, EVENT_SIZE, now)
    }

    fn emit(
        &mut self,
        marker: bool,
        timestamp: u32,
        clock_rate: u32,
        payload_type: u8,
        size: usize,
        now: Instant,
    ) -> Outgoing {
        let sequence = self.sequence.wrapping_add(1);
        let outgoing = Outgoing { marker, payload_type, sequence, timestamp, ssrc: self.ssrc };
        self.sent(&outgoing, true, size, clock_rate, now);
        self.origin = Origin::Generated;
        outgoing
    }

    fn sent(&mut self, outgoing: &Outgoing, is_ahead: bool, size: usize, clock_rate: u32, now: Instant) {
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(size as u32);
        self.sent_at = Some(now);
        if is_ahead {
            self.numbers += u64::from(outgoing.sequence.wrapping_sub(self.sequence));
            self.sequence = outgoing.sequence;
            self.clock_rate = clock_rate;
            if self.timestamp_at.is_none() || outgoing.timestamp != self.timestamp {
                (self.timestamp, self.timestamp_at) = (outgoing.timestamp, Some(now));
            }
        }
    }

    /// Joins a source to the end of what was sent.
    fn anchored(&self, old: Option<Anchor>, header: &Header, clock_rate: u32, now: Instant) -> Anchor {
        let expected = self.timestamp.wrapping_add(self.elapsed(clock_rate, now));
        // A source that only paused has gone on counting: its own time is truer than ours, unless it is absurd.
        let kept = old
            .filter(|old| old.ssrc == header.ssrc && old.clock_rate == clock_rate)
            .map(|old| header.timestamp.wrapping_add(old.timestamp_offset))
            .filter(|timestamp| {
                let is_ahead = timestamp.wrapping_sub(self.timestamp).cast_signed() > 0;
                let error = timestamp.wrapping_sub(expected).cast_signed().unsigned_abs();
                is_ahead && error < clock_rate
            });
        Anchor {
            ssrc: header.ssrc,
            clock_rate,
            sequence_offset: self.sequence.wrapping_add(1).wrapping_sub(header.sequence),
            timestamp_offset: kept.unwrap_or(expected).wrapping_sub(header.timestamp),
            first: header.sequence,
            highest: header.sequence,
        }
    }

    /// Units since the last timestamp was new, at least one packet time.
    fn elapsed(&self, clock_rate: u32, now: Instant) -> u32 {
        let Some(at) = self.timestamp_at else { return 0 };
        units(now.saturating_duration_since(at), clock_rate).max(ptime_units(clock_rate))
    }
}

impl Anchor {
    /// RFC 3550 A.1: neither another source, nor one that began to count anew.
    fn continues(&self, header: &Header, clock_rate: u32) -> bool {
        let jump = i32::from(header.sequence.wrapping_sub(self.highest).cast_signed());
        self.ssrc == header.ssrc && self.clock_rate == clock_rate && (-MAX_LATE..MAX_DROPOUT).contains(&jump)
    }
}

fn is_before(a: u16, b: u16) -> bool {
    a.wrapping_sub(b).cast_signed() < 0
}

fn units(time: Duration, clock_rate: u32) -> u32 {
    (time.as_micros() * u128::from(clock_rate) / 1_000_000) as u32
}

const MAX_LATE: i32 = 100;
const MAX_DROPOUT: i32 = 3_000;
/// RFC 4733 §2.3.
const EVENT_SIZE: usize = 4;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn header(ssrc: u32, sequence: u16, timestamp: u32) -> Header {
        Header { marker: false, payload_type: 0, sequence, timestamp, ssrc, payload: 12..172 }
    }

    struct Line {
        stream: Stream,
        now: Instant,
        last: Option<Outgoing>,
    }

    impl Line {
        fn new() -> Self {
            Self { stream: Stream::new(9, 100, 5_000), now: Instant::now(), last: None }
        }

        fn hears(&mut self, ssrc: u32, sequence: u16, timestamp: u32) -> Option<Outgoing> {
            let out = self.stream.forward(&header(ssrc, sequence, timestamp), 8_000, 0, self.now);
            self.last = out.or(self.last);
            out
        }

        fn makes(&mut self) -> Outgoing {
            let out = self.stream.generate(8_000, 0, 160, self.now);
            self.last = Some(out);
            out
        }

        fn after(&mut self, milliseconds: u64) -> &mut Self {
            self.now += Duration::from_millis(milliseconds);
            self
        }
    }

    #[test]
    fn loss_and_reordering_of_the_source_stay_visible() {
        let mut line = Line::new();
        let first = line.hears(1, 65_534, 0).unwrap();
        assert!(first.marker && first.ssrc == 9);
        assert_eq!(line.after(20).hears(1, 0, 320).unwrap().sequence, first.sequence + 2);
        let late = line.hears(1, 65_535, 160).unwrap();
        assert_eq!((late.sequence, late.timestamp), (first.sequence + 1, first.timestamp + 160));
        assert_eq!(line.after(20).hears(1, 1, 480).unwrap().sequence, first.sequence + 3);
    }

    #[test] // RFC 3550 §5.1: a new source must not look like a loss
    fn another_source_joins_without_a_gap() {
        let mut line = Line::new();
        let last = line.hears(1, 10, 1_000).unwrap();
        let next = line.after(20).hears(2, 40_000, 77).unwrap();
        assert_eq!((next.sequence, next.timestamp), (last.sequence + 1, last.timestamp + 160));
        assert!(next.marker);
    }

    #[test]
    fn a_source_that_moved_joins_without_a_gap_under_its_old_ssrc() {
        let mut line = Line::new();
        line.hears(1, 40, 5_000).unwrap();
        let last = line.after(20).hears(1, 41, 5_160).unwrap();
        line.stream.forget_source();
        let next = line.after(20).hears(1, 11, 300).unwrap();
        assert_eq!((next.sequence, next.timestamp), (last.sequence + 1, last.timestamp + 160));
        assert!(next.marker);
        assert_eq!(line.after(20).hears(1, 12, 460).unwrap().sequence, last.sequence + 2);
    }

    #[test]
    fn silence_fills_the_pause_and_the_source_comes_back_in_its_own_time() {
        let mut line = Line::new();
        let last = line.hears(1, 10, 1_000).unwrap();
        let silence = line.after(100).makes();
        assert_eq!((silence.sequence, silence.timestamp), (last.sequence + 1, last.timestamp + 800));
        let silence = line.after(20).makes();
        assert_eq!(silence.timestamp, last.timestamp + 960);
        // 140 ms after its last packet, the source's timestamp says the same.
        let back = line.after(20).hears(1, 11, 1_000 + 1_120).unwrap();
        assert_eq!((back.sequence, back.timestamp), (silence.sequence + 1, last.timestamp + 1_120));
        assert!(back.marker);
        // What was under way meanwhile has no number left.
        assert_eq!(line.hears(1, 10, 1_000), None);
    }

    #[test]
    fn timestamps_rise_even_if_the_source_stood_still() {
        let mut line = Line::new();
        line.hears(1, 10, 1_000).unwrap();
        for _ in 0..10 {
            line.after(100).makes();
        }
        let silence = line.makes();
        let back = line.hears(1, 11, 1_160).unwrap();
        assert!(back.timestamp.wrapping_sub(silence.timestamp).cast_signed() > 0);
    }
}
