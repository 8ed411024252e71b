//! Counters of TURN.

use std::array;
use std::sync::atomic::{AtomicU64, Ordering};

use super::refusal::Refusal;
use super::wires::Wires;

/// Declares each figure once, with where it is counted: the struct, and the way into a row of figures and back.
macro_rules! totals {
    (($server:ident, $wires:ident) $($(#[$doc:meta])* $name:ident = $count:expr;)*) => {
        /// What TURN holds and has done since its start. Refusals are counted by their reason.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct TurnTotals {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl TurnTotals {
            pub(super) fn of($server: relay_core::turn::Totals, $wires: &Wires) -> Self {
                Self { $($name: $count,)* }
            }

            fn figures(self) -> [u64; FIGURES] {
                [$(self.$name),*]
            }

            fn from_figures([$($name),*]: [u64; FIGURES]) -> Self {
                Self { $($name),* }
            }
        }

        const FIGURES: usize = [$(stringify!($name)),*].len();
    };
}

totals! { (server, wires)
    /// Allocations now.
    allocations = server.allocations as u64;
    /// TCP and TLS connections now.
    streams = wires.streams.len() as u64;
    /// Relayed ports with a socket now: those of clients whose peers are beyond their worker.
    relayed_sockets = wires.relayed_sockets() as u64;
    /// Packets of clients that were handed on.
    from_clients = server.from_clients;
    /// Packets for clients that were handed on.
    to_clients = server.to_clients;
    /// Allocations granted.
    granted = server.granted;
    /// Requests without credentials or with stale nonces, as every client's first is: 401 and 438.
    challenged = server.challenged;
    /// Requests with wrong credentials: 401 and 441.
    unauthorized = server.unauthorized;
    /// Peers that nobody may have: 403.
    forbidden = server.forbidden;
    /// Allocations beyond a quota: 486.
    over_quota = server.over_quota;
    /// No port or no room: 508.
    full = server.full;
    /// Requests refused for other reasons.
    refused = server.refused;
    /// Packets beyond an allocation's bandwidth.
    throttled = server.throttled;
    /// Messages that were no STUN, or of nobody, or not permitted.
    dropped = server.dropped;
    /// Connections closed at once: too many.
    streams_full = wires.streams.refusals.of(Refusal::Full);
    /// Connections closed at once: too many of their address.
    streams_address_full = wires.streams.refusals.of(Refusal::AddressFull);
    /// Connections closed because half frames took too much.
    streams_half_frames = wires.streams.refusals.of(Refusal::HalfFrames);
    /// Connections whose TLS handshake failed.
    streams_tls = wires.streams.refusals.of(Refusal::Tls);
    /// Connections whose first message took too long.
    streams_too_slow = wires.streams.refusals.of(Refusal::TooSlow);
    /// Connections at which something else than TURN was spoken.
    streams_not_turn = wires.streams.refusals.of(Refusal::NotTurn);
    /// Connections that the operating system would not have.
    streams_system = wires.streams.refusals.of(Refusal::System);
    /// Datagrams that the operating system would not send at once.
    send_failed = wires.send_failed;
}

impl TurnTotals {
    pub(crate) fn plus(self, other: Self) -> Self {
        let (ours, theirs) = (self.figures(), other.figures());
        Self::from_figures(array::from_fn(|at| ours[at] + theirs[at]))
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
