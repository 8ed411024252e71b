//! Counters of the relay as a whole.

use std::iter::Sum;
use std::sync::atomic::{AtomicU64, Ordering};

use relay_core::{Failure, TransportFailures};

use crate::sockets::Sockets;
use crate::turn::{self, TurnTotals};

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
    /// Transports of browsers that failed, by reason.
    pub failures: TransportFailures,
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
            failures: TransportFailures::of_each(|failure| {
                sum.failures.of(failure) + one.failures.of(failure)
            }),
            turn: sum.turn.plus(one.turn),
        })
    }
}

/// Figures that the worker writes after each wake-up and anybody reads.
#[derive(Default)]
pub(crate) struct Shared {
    sessions: AtomicU64,
    rtp_sockets: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
    send_failed: AtomicU64,
    strangers: AtomicU64,
    events_lost: AtomicU64,
    failures: [AtomicU64; Failure::ALL.len()],
    turn: turn::Shared,
}

impl Shared {
    pub(crate) fn write(
        &self,
        totals: relay_core::Totals,
        sockets: &Sockets,
        received: u64,
        turn: Option<TurnTotals>,
    ) {
        self.sessions.store(totals.sessions as u64, Ordering::Relaxed);
        self.rtp_sockets.store(sockets.rtp_sockets() as u64, Ordering::Relaxed);
        self.received.store(received, Ordering::Relaxed);
        self.sent.store(sockets.sent, Ordering::Relaxed);
        self.send_failed.store(sockets.send_failed, Ordering::Relaxed);
        self.strangers.store(totals.strangers, Ordering::Relaxed);
        self.events_lost.store(totals.events_lost, Ordering::Relaxed);
        for failure in Failure::ALL {
            self.failures[failure as usize].store(totals.failures.of(failure), Ordering::Relaxed);
        }
        if let Some(turn) = turn {
            self.turn.write(turn);
        }
    }

    pub(crate) fn read(&self) -> Totals {
        Totals {
            sessions: self.sessions.load(Ordering::Relaxed),
            rtp_sockets: self.rtp_sockets.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
            sent: self.sent.load(Ordering::Relaxed),
            send_failed: self.send_failed.load(Ordering::Relaxed),
            strangers: self.strangers.load(Ordering::Relaxed),
            events_lost: self.events_lost.load(Ordering::Relaxed),
            failures: TransportFailures::of_each(|failure| {
                self.failures[failure as usize].load(Ordering::Relaxed)
            }),
            turn: self.turn.read(),
        }
    }
}
