//! How the two streams of a leg sound: counted as packets and reports come, judged at each of our reports.

mod audience;
mod judge;
mod mos;
mod reception;

use std::time::Instant;

use relay_api::{Codec, QualityReport, StreamDirection, StreamQuality};

use crate::bridge::routes::is_events;
use audience::Audience;
use judge::Judge;
use mos::{Impairment, Path};
use reception::Reception;

/// Of one leg.
pub(crate) struct Quality {
    /// What we hear of the peer.
    pub(crate) reception: Reception,
    /// What the peer hears of us.
    pub(crate) audience: Audience,
    received: Judge,
    sent: Judge,
    codec: Impairment,
}

impl Quality {
    pub(crate) fn new(epoch: Instant) -> Self {
        Self {
            reception: Reception::new(epoch),
            audience: Audience::default(),
            received: Judge::new(),
            sent: Judge::new(),
            codec: Impairment::of(""),
        }
    }

    /// The first codec is taken for the one that is spoken.
    pub(crate) fn set_codecs(&mut self, codecs: &[Codec]) {
        let spoken = codecs.iter().find(|codec| !is_events(codec));
        self.codec = Impairment::of(spoken.map_or("", |codec| &codec.name));
    }

    /// Judges what happened since the last call; what is news, received and sent.
    pub(crate) fn judge(&mut self) -> [Option<QualityReport>; 2] {
        let (heard, reported) = (self.reception.take_interval(), self.audience.take_interval());
        [
            heard.and_then(|interval| self.judge_one(StreamDirection::Received, interval)),
            reported.and_then(|interval| self.judge_one(StreamDirection::Sent, interval)),
        ]
    }

    /// Since the start, what we hear.
    pub(crate) fn received(&self) -> Option<StreamQuality> {
        self.since_start(self.reception.total(), self.reception.jitter_ms(), &self.received)
    }

    /// Since the start, what the peer hears.
    pub(crate) fn sent(&self) -> Option<StreamQuality> {
        self.since_start(self.audience.total(), self.audience.jitter_ms(), &self.sent)
    }

    pub(crate) fn round_trip_ms(&self) -> Option<f64> {
        self.audience.round_trip_ms()
    }

    fn judge_one(&mut self, direction: StreamDirection, interval: Tally) -> Option<QualityReport> {
        let (jitter_ms, judge) = match direction {
            StreamDirection::Received => (self.reception.jitter_ms(), &mut self.received),
            StreamDirection::Sent => (self.audience.jitter_ms(), &mut self.sent),
        };
        let (loss, round_trip_ms) = (interval.loss()?, self.audience.round_trip_ms());
        let mos = mos::mos(Path { loss, jitter_ms, round_trip_ms }, self.codec);
        let class = judge.judge(mos)?;
        Some(QualityReport { direction, class, mos, loss_percent: loss * 100.0, jitter_ms, round_trip_ms })
    }

    fn since_start(&self, total: Tally, jitter_ms: f64, judge: &Judge) -> Option<StreamQuality> {
        let loss = total.loss()?;
        let path = Path { loss, jitter_ms, round_trip_ms: self.round_trip_ms() };
        Some(StreamQuality {
            lost_packets: total.lost,
            loss_percent: loss * 100.0,
            jitter_ms,
            mos: mos::mos(path, self.codec),
            worst: judge.worst(),
        })
    }
}

/// Packets that a receiver expected by their numbers, and how many of them did not come; fewer than none with duplicates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    expected: u64,
    lost: i64,
}

impl Tally {
    fn plus(self, other: Self) -> Self {
        Self {
            expected: self.expected.saturating_add(other.expected),
            lost: self.lost.saturating_add(other.lost),
        }
    }

    /// 0–1; `None` if nothing was expected.
    fn loss(self) -> Option<f64> {
        (self.expected > 0).then(|| (self.lost.max(0) as f64 / self.expected as f64).min(1.0))
    }

    fn is_judgeable(self) -> bool {
        self.expected >= LEAST_JUDGED
    }
}

/// Half a second of sound: of less, one lost packet would say too much.
const LEAST_JUDGED: u64 = 25;
