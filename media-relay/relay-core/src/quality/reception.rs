//! What is heard of a peer's stream: loss and jitter by RFC 3550, appendix A.

use std::time::{Duration, Instant};

use super::Tally;
use crate::rtcp::Block;
use crate::rtp::Header;

/// Reception of one leg's stream; a new source starts anew and keeps the counts of those before it.
pub(crate) struct Reception {
    /// The start of the clock that timestamps and arrival times are compared on.
    epoch: Instant,
    source: Option<Source>,
    /// Of the sources before.
    before: Tally,
    /// Between the last two reports.
    interval: Tally,
}

struct Source {
    ssrc: u32,
    base: u32,
    highest: u32,
    received: u32,
    expected_prior: u32,
    received_prior: u32,
    clock_rate: u32,
    transit: Option<u32>,
    /// RFC 3550 A.8: scaled by 16.
    jitter: u32,
    last_report: Option<(u32, Instant)>,
}

impl Reception {
    pub(crate) fn new(epoch: Instant) -> Self {
        Self { epoch, source: None, before: Tally::default(), interval: Tally::default() }
    }

    /// An accepted packet. Events repeat their timestamp (RFC 4733 §2.5.1.2), so that they tell nothing of jitter.
    pub(crate) fn receive(&mut self, header: &Header, clock_rate: u32, is_event: bool, now: Instant) {
        let arrival = self.units(now, clock_rate);
        let source = self.source(header);
        if source.count(header.sequence) && !is_event {
            source.measure(header.timestamp, arrival, clock_rate);
        }
    }

    /// A packet of a format that was not negotiated (comfort noise, say): it isn't heard, but it was not lost. It begins no
    /// stream.
    pub(crate) fn pass_over(&mut self, header: &Header) {
        if let Some(source) = self.source.as_mut().filter(|source| source.ssrc == header.ssrc) {
            source.count(header.sequence);
        }
    }

    /// A sender report of the stream.
    pub(crate) fn sender_report(&mut self, ssrc: u32, ntp_middle: u32, now: Instant) {
        if let Some(source) = self.source.as_mut().filter(|source| source.ssrc == ssrc) {
            source.last_report = Some((ntp_middle, now));
        }
    }

    /// What comes next is another source, or the same after a pause in which it was not heard, whatever its numbers.
    pub(crate) fn restart(&mut self) {
        self.before = self.total();
        self.source = None;
    }

    /// The block that goes into our next report.
    pub(crate) fn report(&mut self, now: Instant) -> Option<Block> {
        let source = self.source.as_mut()?;
        let expected = source.expected();
        let expected_interval = expected.wrapping_sub(source.expected_prior);
        let received_interval = source.received.wrapping_sub(source.received_prior);
        (source.expected_prior, source.received_prior) = (expected, source.received);
        let lost_interval = i64::from(expected_interval) - i64::from(received_interval);
        self.interval = Tally { expected: u64::from(expected_interval), lost: lost_interval };
        let fraction_lost = (self.interval.loss().unwrap_or(0.0) * 256.0).min(255.0) as u8;
        let (last_report, delay) = match source.last_report {
            Some((ntp, at)) => (ntp, in_65536ths(now.saturating_duration_since(at)) as u32),
            None => (0, 0),
        };
        Some(Block {
            ssrc: source.ssrc,
            fraction_lost,
            lost: source.lost().clamp(-0x80_0000, 0x7F_FFFF) as i32,
            highest_sequence: source.highest,
            jitter: source.jitter >> 4,
            last_report,
            delay,
        })
    }

    /// Of all sources.
    pub(super) fn total(&self) -> Tally {
        let current = self.source.as_ref().map_or(Tally::default(), |source| Tally {
            expected: u64::from(source.expected()),
            lost: source.lost(),
        });
        self.before.plus(current)
    }

    /// What came between the last two reports, if it is enough to be judged.
    pub(super) fn take_interval(&mut self) -> Option<Tally> {
        Some(std::mem::take(&mut self.interval)).filter(|interval| interval.is_judgeable())
    }

    pub(super) fn jitter_ms(&self) -> f64 {
        self.source.as_ref().map_or(0.0, |source| {
            f64::from(source.jitter) / 16.0 * 1_000.0 / f64::from(source.clock_rate.max(1))
        })
    }

    /// Our time as NTP: RFC 3550 §6.4.1 lets it be the time since the start.
    pub(crate) fn ntp(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.epoch);
        // One second later than the truth, as an LSR of 0 means "none".
        let fraction = (u64::from(elapsed.subsec_nanos()) << 32) / 1_000_000_000;
        ((elapsed.as_secs() + 1) << 32) | fraction
    }

    /// The middle 32 bits of that, as LSR has them.
    pub(crate) fn ntp_middle(&self, now: Instant) -> u32 {
        (self.ntp(now) >> 16) as u32
    }

    fn units(&self, now: Instant, clock_rate: u32) -> u32 {
        let nanos = now.saturating_duration_since(self.epoch).as_nanos();
        (nanos * u128::from(clock_rate) / 1_000_000_000) as u32
    }

    fn source(&mut self, header: &Header) -> &mut Source {
        if self.source.as_ref().is_none_or(|source| source.ssrc != header.ssrc) {
            self.restart();
        }
        self.source.get_or_insert_with(|| Source::new(header))
    }
}

impl Source {
    fn new(header: &Header) -> Self {
        let first = u32::from(header.sequence);
        Self {
            ssrc: header.ssrc,
            base: first,
            highest: first.wrapping_sub(1),
            received: 0,
            expected_prior: 0,
            received_prior: 0,
            clock_rate: 0,
            transit: None,
            jitter: 0,
            last_report: None,
        }
    }

    /// RFC 3550 A.1; `false` for one that is late. A jump that no loss explains starts the count anew.
    fn count(&mut self, sequence: u16) -> bool {
        let lost_before = self.lost();
        self.received = self.received.wrapping_add(1);
        let ahead = sequence.wrapping_sub(self.highest as u16);
        match ahead {
            1..MAX_DROPOUT => self.highest = self.highest.wrapping_add(u32::from(ahead)),
            MAX_DROPOUT..=MIN_LATE => {
                self.highest = self.highest.wrapping_add(u32::from(ahead));
                // The gap was no loss: the base moves along, so that only what was lost before stays lost.
                let expected = i64::from(self.received).saturating_add(lost_before).max(1) as u32;
                self.base = self.highest.wrapping_sub(expected).wrapping_add(1);
                self.transit = None;
            }
            _ => return false,
        }
        true
    }

    /// RFC 3550 A.8.
    fn measure(&mut self, timestamp: u32, arrival: u32, clock_rate: u32) {
        let transit = arrival.wrapping_sub(timestamp);
        if self.clock_rate != clock_rate {
            (self.clock_rate, self.transit) = (clock_rate, None);
        }
        if let Some(before) = self.transit.replace(transit) {
            let difference = transit.wrapping_sub(before).cast_signed().unsigned_abs();
            // A pause that its timestamps do not show is no jitter.
            if difference < clock_rate * 5 {
                self.jitter = (self.jitter + difference).saturating_sub((self.jitter + 8) >> 4);
            }
        }
    }

    fn expected(&self) -> u32 {
        self.highest.wrapping_sub(self.base).wrapping_add(1)
    }

    fn lost(&self) -> i64 {
        i64::from(self.expected()) - i64::from(self.received)
    }
}

fn in_65536ths(time: Duration) -> u64 {
    (time.as_secs() << 16) | ((u64::from(time.subsec_nanos()) << 16) / 1_000_000_000)
}

/// RFC 3550 A.1: about a minute of packets.
const MAX_DROPOUT: u16 = 3_000;
/// Behind by fewer than RFC 3550 A.1's 100: late, not restarted.
const MIN_LATE: u16 = u16::MAX - 100;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn header(sequence: u16, timestamp: u32) -> Header {
        Header { marker: false, payload_type: 0, sequence, timestamp, ssrc: 1, payload: 12..172 }
    }

    #[test] // RFC 3550 A.3
    fn losses_are_counted_across_a_wrap_and_reordering() {
        let now = Instant::now();
        let mut reception = Reception::new(now);
        for sequence in [65_533, 65_535, 65_534, 0, 3] {
            reception.receive(&header(sequence, 0), 8_000, false, now);
        }
        assert_eq!(reception.total().lost, 2);
        let report = reception.report(now).unwrap();
        assert_eq!((report.lost, report.highest_sequence), (2, 65_536 + 3));
        assert_eq!(report.fraction_lost, (2 * 256 / 7) as u8);
        assert_eq!(reception.report(now).unwrap().fraction_lost, 0);
    }

    #[test] // RFC 3550 A.8
    fn a_steady_stream_has_no_jitter_and_an_uneven_one_has() {
        let start = Instant::now();
        let mut reception = Reception::new(start);
        for at in 0..100 {
            let now = start + Duration::from_millis(20 * u64::from(at));
            reception.receive(&header(at as u16, at * 160), 8_000, false, now);
        }
        assert!(reception.jitter_ms() < 0.2, "{}", reception.jitter_ms());
        for at in 100..400 {
            let now = start + Duration::from_millis(20 * u64::from(at) + 10 * u64::from(at % 2));
            reception.receive(&header(at as u16, at * 160), 8_000, false, now);
        }
        assert!((9.0..11.0).contains(&reception.jitter_ms()), "{}", reception.jitter_ms());
    }

    #[test]
    fn a_restarted_sequence_is_no_loss() {
        let now = Instant::now();
        let mut reception = Reception::new(now);
        for sequence in [1, 2, 4, 30_000, 30_001] {
            reception.receive(&header(sequence, 0), 8_000, false, now);
        }
        assert_eq!(reception.total().lost, 1);
    }

    #[test] // the same SSRC goes on elsewhere, or after a hold
    fn what_was_not_meant_to_be_heard_is_no_loss() {
        let now = Instant::now();
        let mut reception = Reception::new(now);
        for sequence in [1, 2, 4] {
            reception.receive(&header(sequence, 0), 8_000, false, now);
        }
        for next in [900, 880] {
            reception.restart();
            reception.receive(&header(next, 0), 8_000, false, now);
            reception.receive(&header(next + 1, 0), 8_000, false, now);
        }
        assert_eq!(reception.total(), Tally { expected: 4 + 2 + 2, lost: 1 });
    }
}
