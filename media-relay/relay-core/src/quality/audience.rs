//! What the peer hears of our stream, by the report blocks it sends (RFC 3550 §6.4.1). The numbers are a stranger's: each is
//! bounded before it counts, and the worst that a liar gets is a bad mark.

use std::time::Duration;

use super::Tally;
use crate::bridge::stream::Numbering;
use crate::rtcp::Block;

#[derive(Default)]
pub(crate) struct Audience {
    latest: Option<Latest>,
    total: Tally,
    /// Since it was last asked for.
    interval: Tally,
    round_trip: Option<Duration>,
}

struct Latest {
    highest: u32,
    lost: i32,
    jitter_ms: f64,
}

impl Audience {
    /// A block about our stream, which is numbered like that. `ntp_middle` and LSR are on our own clock.
    pub(crate) fn report_block(&mut self, block: &Block, ours: Numbering, ntp_middle: u32) {
        let (step, lost) = match &self.latest {
            Some(before) => {
                (block.highest_sequence.wrapping_sub(before.highest), block.lost.saturating_sub(before.lost))
            }
            None => (1 + u32::from((block.highest_sequence as u16).wrapping_sub(ours.first)), block.lost),
        };
        // A step back, or over more than was sent: the peer counts anew, or has heard nothing yet and says 0.
        if self.total.expected + u64::from(step) <= ours.numbers {
            let most = i64::from(step);
            let step = Tally { expected: u64::from(step), lost: i64::from(lost).clamp(-most, most) };
            (self.total, self.interval) = (self.total.plus(step), self.interval.plus(step));
        }
        let jitter_ms = f64::from(block.jitter) * 1_000.0 / f64::from(ours.clock_rate.max(1));
        self.latest = Some(Latest {
            highest: block.highest_sequence,
            lost: block.lost,
            jitter_ms: jitter_ms.min(MAX_JITTER_MS),
        });
        self.note_round_trip(block, ntp_middle);
    }

    pub(super) fn total(&self) -> Tally {
        self.total
    }

    /// What was reported since the last call, once it is enough to be judged.
    pub(super) fn take_interval(&mut self) -> Option<Tally> {
        self.interval.is_judgeable().then(|| std::mem::take(&mut self.interval))
    }

    pub(super) fn jitter_ms(&self) -> f64 {
        self.latest.as_ref().map_or(0.0, |latest| latest.jitter_ms)
    }

    pub(super) fn round_trip_ms(&self) -> Option<f64> {
        self.round_trip.map(|time| time.as_secs_f64() * 1_000.0)
    }

    fn note_round_trip(&mut self, block: &Block, ntp_middle: u32) {
        if block.last_report == 0 {
            return;
        }
        let there_and_back = ntp_middle.wrapping_sub(block.last_report).wrapping_sub(block.delay);
        // A negative or absurd value comes of clocks that drift, or of a liar.
        if there_and_back <= MAX_ROUND_TRIP {
            self.round_trip = Some(Duration::from_secs_f64(f64::from(there_and_back) / 65_536.0));
        }
    }
}

/// No jitter buffer holds more.
const MAX_JITTER_MS: f64 = 10_000.0;
/// 60 s.
const MAX_ROUND_TRIP: u32 = 60 << 16;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const OURS: Numbering = Numbering { first: 0x7FF0, numbers: 0x2_0000, clock_rate: 8_000 };

    fn block(highest_sequence: u32, lost: i32, jitter: u32) -> Block {
        Block { highest_sequence, lost, jitter, ..Block::default() }
    }

    #[test] // RFC 3550 §6.4.4: the difference of two blocks is what happened between them
    fn losses_are_counted_over_all_reports_and_between_two() {
        let mut audience = Audience::default();
        audience.report_block(&block(0x7FF0 + 99, 10, 80), OURS, 0);
        assert_eq!(audience.take_interval(), Some(Tally { expected: 100, lost: 10 }));
        // The peer's number has its cycles, ours began anew meanwhile.
        audience.report_block(&block(0x1_0000 + 100, 10, 160), OURS, 0);
        audience.report_block(&block(0x1_0000 + 200, 35, 160), OURS, 0);
        let expected = 0x1_0000 + 200 - (0x7FF0 + 99);
        assert_eq!(audience.take_interval(), Some(Tally { expected, lost: 25 }));
        assert_eq!(audience.take_interval(), None, "nothing was reported since");
        assert_eq!(audience.total(), Tally { expected: 100 + expected, lost: 35 });
        assert_eq!(audience.jitter_ms(), 20.0);
    }

    #[test] // RFC 3550 §6.4.1, figure 2
    fn the_round_trip_is_what_the_peer_did_not_keep() {
        let mut audience = Audience::default();
        let block = Block { last_report: 1 << 16, delay: 65_536, ..Block::default() };
        audience.report_block(&block, OURS, (2 << 16) + 7_864);
        assert!((audience.round_trip_ms().unwrap() - 120.0).abs() < 0.1);
        // A clock that runs backwards changes nothing.
        audience.report_block(&block, OURS, 1 << 16);
        assert!((audience.round_trip_ms().unwrap() - 120.0).abs() < 0.1);
    }

    #[test] // RFC 3550 §6.4.1 has no number for a source of which nothing was heard
    fn a_peer_that_heard_nothing_yet_says_nothing_of_what_was_sent() {
        let mut audience = Audience::default();
        let mut ours = Numbering { first: 0x1000, numbers: 250, ..OURS };
        audience.report_block(&block(0, 0, 0), ours, 0);
        assert_eq!(audience.total(), Tally::default());
        // It hears from then on.
        ours.numbers = 500;
        audience.report_block(&block(0x1000 + 499, 0, 0), ours, 0);
        ours.numbers = 750;
        audience.report_block(&block(0x1000 + 749, 50, 0), ours, 0);
        assert_eq!(audience.total(), Tally { expected: 250, lost: 50 });
    }

    #[test]
    fn absurd_blocks_are_bounded() {
        let mut audience = Audience::default();
        let extremes = [0, 1, 0x7FFF, 0xFFFF, 0x8000_0000, u32::MAX];
        for highest in extremes {
            for lost in [-0x80_0000, 0, 0x7F_FFFF] {
                for jitter in extremes {
                    let block = Block { last_report: highest, delay: jitter, ..block(highest, lost, jitter) };
                    audience.report_block(&block, Numbering { clock_rate: 0, ..OURS }, jitter);
                    let Tally { expected, lost } = audience.total();
                    assert!(expected <= OURS.numbers && lost.unsigned_abs() <= expected);
                    assert!((0.0..=MAX_JITTER_MS).contains(&audience.jitter_ms()));
                    assert!(audience.round_trip_ms().is_none_or(|time| (0.0..=60_000.0).contains(&time)));
                }
            }
        }
    }
}
