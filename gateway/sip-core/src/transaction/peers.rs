//! Which transactions talk to whom, so that the end of a connection costs what that connection has.

use std::collections::HashMap;
use std::hash::Hash;

use super::arena::Slot;

/// Live transactions by where their messages go.
pub(super) struct Peers<D> {
    by_peer: HashMap<D, Vec<Slot>>,
}

/// Where a transaction stands in the list of its peer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seat(usize);

/// A transaction got another seat.
pub(super) struct Moved {
    pub slot: Slot,
    pub to: Seat,
}

impl<D: Clone + Eq + Hash> Peers<D> {
    /// Nobody.
    pub fn new() -> Self {
        Self { by_peer: HashMap::new() }
    }

    /// Notes a transaction.
    pub fn seat(&mut self, peer: &D, slot: Slot) -> Seat {
        // Most transactions of a table have one of few peers: the key is not copied for each.
        let seats = match self.by_peer.get_mut(peer) {
            Some(seats) => seats,
            None => self.by_peer.entry(peer.clone()).or_default(),
        };
        seats.push(slot);
        Seat(seats.len() - 1)
    }

    /// Forgets the transaction on that seat; the last one takes it.
    pub fn leave(&mut self, peer: &D, seat: Seat) -> Option<Moved> {
        let seats = self.by_peer.get_mut(peer)?;
        if seat.0 < seats.len() {
            seats.swap_remove(seat.0);
        }
        let moved = seats.get(seat.0).map(|slot| Moved { slot: *slot, to: seat });
        if seats.is_empty() {
            self.by_peer.remove(peer);
            if self.by_peer.capacity() > self.by_peer.len().saturating_mul(8).saturating_add(SPARE) {
                self.by_peer.shrink_to(self.by_peer.len().saturating_mul(2));
            }
        } else if seats.capacity() > seats.len().saturating_mul(8).saturating_add(SPARE) {
            seats.shrink_to(seats.len().saturating_mul(2));
        }
        moved
    }

    /// The transactions with that peer.
    pub fn of(&self, peer: &D) -> Vec<Slot> {
        self.by_peer.get(peer).cloned().unwrap_or_default()
    }
}

/// Room that is kept however little is used.
const SPARE: usize = 64;
