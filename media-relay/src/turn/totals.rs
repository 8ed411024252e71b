//! Counters of TURN.

use std::array;
use std::sync::atomic::{AtomicU64, Ordering};

use super::wires::Wires;

/// What TURN holds and has done since its start. Refusals are counted by their reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TurnTotals {
    /// Allocations now.
    pub allocations: u64,
    /// TCP and TLS connections now.
    pub streams: u64,
    /// Relayed ports with a socket now: those of clients whose peers are beyond their worker.
    pub relayed_sockets: u64,
    /// Packets of clients that were handed on.
    pub from_clients: u64,
    /// Packets for clients that were handed on.
    pub to_clients: u64,
    /// Allocations granted.
    pub granted: u64,
    /// Requests without credentials or with stale nonces, as every client's first is: 401 and 438.
    pub challenged: u64,
    /// Requests with wrong credentials: 401 and 441.
    pub unauthorized: u64,
    /// Peers that nobody may have: 403.
    pub forbidden: u64,
    /// Allocations beyond a quota: 486.
    pub over_quota: u64,
    /// No port or no room: 508.
    pub full: u64,
    /// Requests refused for other reasons.
    pub refused: u64,
    /// Packets beyond an allocation's bandwidth.
    pub throttled: u64,
    /// Messages that were no STUN, or of nobody, or not permitted.
    pub dropped: u64,
    /// Connections closed at once: too many.
    pub streams_refused: u64,
    /// Datagrams that the operating system would not send at once.
    pub send_failed: u64,
}

impl TurnTotals {
    pub(super) fn of(server: relay_core::turn::Totals, wires: &Wires) -> Self {
        Self {
            allocations: server.allocations as u64,
            streams: wires.streams.len() as u64,
            relayed_sockets: wires.relayed_sockets() as u64,
            from_clients: server.from_clients,
            to_clients: server.to_clients,
            granted: server.granted,
            challenged: server.challenged,
            unauthorized: server.unauthorized,
            forbidden: server.forbidden,
            over_quota: server.over_quota,
            full: server.full,
            refused: server.refused,
            throttled: server.throttled,
            dropped: server.dropped,
            streams_refused: wires.streams.refused,
            send_failed: wires.send_failed,
        }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        let (ours, theirs) = (self.figures(), other.figures());
        Self::from_figures(array::from_fn(|at| ours[at] + theirs[at]))
    }

    fn figures(self) -> [u64; FIGURES] {
        [
            self.allocations,
            self.streams,
            self.relayed_sockets,
            self.from_clients,
            self.to_clients,
            self.granted,
            self.challenged,
            self.unauthorized,
            self.forbidden,
            self.over_quota,
            self.full,
            self.refused,
            self.throttled,
            self.dropped,
            self.streams_refused,
            self.send_failed,
        ]
    }

    fn from_figures(figures: [u64; FIGURES]) -> Self {
        let [
            allocations,
            streams,
            relayed_sockets,
            from_clients,
            to_clients,
            granted,
            challenged,
            unauthorized,
            forbidden,
            over_quota,
            full,
            refused,
            throttled,
            dropped,
            streams_refused,
            send_failed,
        ] = figures;
        Self {
            allocations,
            streams,
            relayed_sockets,
            from_clients,
            to_clients,
            granted,
            challenged,
            unauthorized,
            forbidden,
            over_quota,
            full,
            refused,
            throttled,
            dropped,
            streams_refused,
            send_failed,
        }
    }
}

/// Figures that the worker writes after each wake-up and anybody reads.
#[derive(Default)]
pub(crate) struct Shared([AtomicU64; FIGURES]);

impl Shared {
    pub(crate) fn write(&self, totals: TurnTotals) {
        for (place, figure) in self.0.iter().zip(totals.figures()) {
            place.store(figure, Ordering::Relaxed);
        }
    }

    pub(crate) fn read(&self) -> TurnTotals {
        TurnTotals::from_figures(array::from_fn(|at| self.0[at].load(Ordering::Relaxed)))
    }
}

const FIGURES: usize = 16;
