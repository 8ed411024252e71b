//! Connections that a listener of TURN does not let in, or that end before they have said anything in TURN: each is counted by its
//! reason, and told now and then.

use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use daemon::seldom::Seldom;

/// Why a connection was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Too many connections.
    Full,
    /// Too many connections of its address.
    AddressFull,
    /// Half frames of all connections together are as many as may be.
    HalfFrames,
    /// The TLS handshake failed.
    Tls,
    /// The handshake and the first message took too long.
    TooSlow,
    /// What came is no STUN message and no ChannelData.
    NotTurn,
    /// The system would not.
    System,
}

impl Refusal {
    const COUNT: usize = Self::System as usize + 1;

    /// A word for logs and metric labels.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::AddressFull => "address_full",
            Self::HalfFrames => "half_frames",
            Self::Tls => "tls",
            Self::TooSlow => "too_slow",
            Self::NotTurn => "not_turn",
            Self::System => "system",
        }
    }

    fn key(self) -> Option<&'static str> {
        match self {
            Self::Full => Some("turn.connections"),
            Self::AddressFull => Some("turn.connections_per_address"),
            Self::HalfFrames | Self::Tls | Self::TooSlow | Self::NotTurn | Self::System => None,
        }
    }
}

/// What one worker refused. Its lines are those of all workers.
#[derive(Debug)]
pub(super) struct Refusals {
    counts: [u64; Refusal::COUNT],
    lines: Lines,
}

/// When each reason was told last.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines(Arc<[Seldom<Instant>; Refusal::COUNT]>);

impl Refusals {
    pub(super) fn new(lines: Lines) -> Self {
        Self { counts: Default::default(), lines }
    }

    pub(super) fn of(&self, why: Refusal) -> u64 {
        self.counts[why as usize]
    }

    /// `detail` is ours, or that of the TLS library: never the peer's own words.
    pub(super) fn note(&mut self, why: Refusal, remote: SocketAddr, detail: impl Display, now: Instant) {
        self.counts[why as usize] += 1;
        if let Some(more) = self.lines.0[why as usize].allows(now) {
            let (reason, key) = (why.as_str(), why.key());
            tracing::info!(listener = "turn", reason, %remote, %detail, key, more, "connection refused");
        }
    }
}
