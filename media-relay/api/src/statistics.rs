//! How a session's sound is: counters, and quality by leg and direction.

use serde::{Deserialize, Serialize};

use crate::SessionId;

/// Both legs since the session's start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionStatistics {
    /// Which session.
    pub id: SessionId,
    /// Leg A.
    pub a: LegStatistics,
    /// Leg B.
    pub b: LegStatistics,
}

/// One leg since its start.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LegStatistics {
    /// What its peer is.
    pub kind: LegKind,
    /// What the relay hears of the peer.
    pub received: StreamStatistics,
    /// What the peer hears of the relay, by its own reports: the other peer's sound, with what was lost of it before.
    pub sent: StreamStatistics,
    /// From RTCP (RFC 3550 §6.4.1), milliseconds; `None` while the peer reported none.
    pub round_trip_ms: Option<f64>,
    /// Dropped: payload type that nobody negotiated.
    pub unknown_payload_type: u64,
    /// Dropped: not from the believed source.
    pub wrong_source: u64,
    /// Dropped: failed authentication or replayed.
    pub unauthentic: u64,
    /// Silence packets that the relay made.
    pub silence_packets: u64,
}

/// What a leg's peer is, as [`crate::LegSpec`] says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LegKind {
    /// A browser.
    WebRtc,
    /// A plain RTP peer.
    Rtp,
    /// The relay itself.
    Service,
}

/// One direction of a leg since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StreamStatistics {
    /// RTP packets accepted or sent.
    pub packets: u64,
    /// RTP payload bytes accepted or sent.
    pub bytes: u64,
    /// `None` while nobody knows: nothing was received, or the peer has not reported.
    pub quality: Option<StreamQuality>,
}

/// How a stream arrives where it is heard.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamQuality {
    /// By the receiver's sequence numbers (RFC 3550 A.3); may be negative with duplicates.
    pub lost_packets: i64,
    /// Of the packets that the receiver expected, 0–100.
    pub loss_percent: f64,
    /// The last value (RFC 3550 A.8), milliseconds.
    pub jitter_ms: f64,
    /// Mean opinion score for conversation, 1–4.5, estimated from the above by the E-model (ITU-T G.107).
    pub mos: f64,
    /// The worst that [`crate::EventKind::Quality`] told; [`QualityClass::Good`] if it told nothing.
    pub worst: QualityClass,
}

/// How people rate a stream. A class is left when the score is 0.1 beyond its bound, so that it does not flutter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QualityClass {
    /// MOS below 3.1: many users or nearly all are dissatisfied (ITU-T G.109).
    Poor,
    /// MOS from 3.1 to 4.0: some users are dissatisfied.
    Fair,
    /// MOS of 4.0 and more: users are satisfied.
    Good,
}

/// One of the two streams of a leg, seen from the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamDirection {
    /// From the peer.
    Received,
    /// To the peer.
    Sent,
}

/// How a stream was between two reports of the relay (RFC 3550 §6.2: 2.5 s to 7.5 s).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct QualityReport {
    /// Which stream.
    pub direction: StreamDirection,
    /// The class it is in from now on.
    pub class: QualityClass,
    /// As [`StreamQuality::mos`], of this interval.
    pub mos: f64,
    /// As [`StreamQuality::loss_percent`], of this interval.
    pub loss_percent: f64,
    /// As [`StreamQuality::jitter_ms`].
    pub jitter_ms: f64,
    /// As [`LegStatistics::round_trip_ms`].
    pub round_trip_ms: Option<f64>,
}
