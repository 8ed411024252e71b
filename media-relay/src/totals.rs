//! Counters of the relay as a whole.

use std::iter::Sum;

use crate::turn::TurnTotals;

/// What the relay holds and has done since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Sessions now.
    pub sessions: u64,
    /// Sockets of plain RTP legs open now.
    pub rtp_sockets: u64,
    /// Datagrams received.
    pub received: u64,
    /// Datagrams sent.
    pub sent: u64,
    /// Datagrams that the operating system would not send at once: lost, as UDP may.
    pub send_failed: u64,
    /// Datagrams dropped because they came from nobody we know, or were none of STUN, DTLS, SRTP.
    pub strangers: u64,
    /// Events that nobody fetched in time.
    pub events_lost: u64,
    /// The TURN server's part; its datagrams are not counted above.
    pub turn: TurnTotals,
}

impl Sum for Totals {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            sessions: sum.sessions + one.sessions,
            rtp_sockets: sum.rtp_sockets + one.rtp_sockets,
            received: sum.received + one.received,
            sent: sum.sent + one.sent,
            send_failed: sum.send_failed + one.send_failed,
            strangers: sum.strangers + one.strangers,
            events_lost: sum.events_lost + one.events_lost,
            turn: sum.turn.plus(one.turn),
        })
    }
}
