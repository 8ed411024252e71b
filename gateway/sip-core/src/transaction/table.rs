//! The table of all live transactions.

mod client;
mod server;

use std::collections::VecDeque;
use std::hash::Hash;

use super::arena::{Arena, Slot};
use super::machine::{Fired, Machine};
use super::matching::{Fingerprint, Index, Matcher};
use super::peers::{Peers, Seat};
use super::schedule::Schedule;
use super::timing::{AllTimers, Reliability, Timing, Trying};
use super::{Attempt, ClientKey, Output, Replies, Sender, ServerKey};
use crate::message::Message;
use crate::time::Instant;

/// The transaction layer as one table. `D` says where bytes go, `U` is what the transaction user keeps with a request of its
/// own, and `P` a permit that a transaction holds as long as it lives.
///
/// The table is as large as its user lets it become: who lets a request in, or asks, has taken a share of [`cost`] bytes before and
/// hands it over as the permit, which gives it back when it is dropped.
///
/// Whatever is fed in, [`Transactions::poll_output`] is to be emptied before the next, and
/// [`Transactions::handle_timeout`] to be called when [`Transactions::poll_timeout`] says. One message gives at most
/// two outputs, one moment at most one for each transaction.
pub struct Transactions<D, U, P = ()> {
    matcher: Matcher,
    trying: Trying,
    timers: AllTimers,
    entries: Arena<Entry<D, U, P>>,
    index: Index,
    peers: Peers<D>,
    schedule: Schedule,
    outputs: VecDeque<Output<D, U>>,
}

/// One transaction and where its messages go.
struct Entry<D, U, P> {
    names: Names,
    to: D,
    seat: Seat,
    reliability: Reliability,
    /// The one wake-up in the schedule that counts; never later than the machine's own time.
    wake: Option<Instant>,
    machine: Machine<U>,
    _permit: P,
}

/// How many bytes a transaction of this request may hold at most: the entry with its names and wake-ups, and what is to be repeated,
/// the request itself or a response that has its Via, From, To and Call-ID and something of ours.
pub fn cost(request: &Message) -> usize {
    ENTRY_AND_OURS.saturating_add(request.bytes().len())
}

/// All under which the index knows a transaction.
struct Names {
    own: Fingerprint,
    /// Of an RFC 2543 server transaction: the name that its responses have.
    old: Option<Fingerprint>,
    /// Of the first copy of a request that may come in several (RFC 3261 §8.2.2.2).
    origin: Option<Fingerprint>,
}

impl<D: Clone + Eq + Hash, U: Clone, P> Transactions<D, U, P> {
    /// `key` is a secret of this process: sixteen random bytes.
    pub fn new(timing: Timing, key: [u8; 16]) -> Self {
        Self {
            matcher: Matcher::new(key),
            trying: timing.trying,
            timers: AllTimers::new(&timing),
            entries: Arena::new(),
            index: Index::default(),
            peers: Peers::new(),
            schedule: Schedule::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((at, slot)) = self.schedule.first()
            && at <= now
        {
            self.schedule.drop_first();
            self.wake(slot, at, now);
        }
    }

    /// When to call [`Transactions::handle_timeout`] next; it may turn out that there was nothing to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.schedule.first().map(|(at, _)| at)
    }

    /// What to do next, in order.
    pub fn poll_output(&mut self) -> Option<Output<D, U>> {
        self.outputs.pop_front()
    }

    /// How many transactions are alive.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is alive.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What [`Output::Send`] asked for could not be sent.
    pub fn send_failed(&mut self, by: Sender) {
        match by {
            Sender::Client(key) => self.fail_client(key.0, Machine::handle_send_failure),
            // RFC 6026 §8 on RFC 3261 §17.2.4: the TU is told, the state stays.
            Sender::Server(key) if self.entries.get(key.0).is_some() => {
                self.outputs.push_back(Output::ServerUnreachable { key });
            }
            Sender::Server(_) => {}
        }
    }

    /// A connection is gone, or an address was found to be unreachable. Requests of ours that were sent there end with
    /// [`Output::TransportError`], except an INVITE that has had a provisional response: its final one may come by another way.
    /// What becomes of requests that came from there `replies` says. Costs what this destination has.
    pub fn destination_failed(&mut self, to: &D, replies: Replies) {
        for slot in self.peers.of(to) {
            match (self.entries.get(slot).map(|entry| sender(slot, &entry.machine)), replies) {
                (Some(Sender::Client(_)), _) => self.fail_client(slot, Machine::handle_peer_lost),
                (Some(Sender::Server(_)), Replies::Lost) => self.remove(slot),
                (Some(Sender::Server(_)), Replies::MayGoElsewhere) | (None, _) => {}
            }
        }
    }

    fn wake(&mut self, slot: Slot, at: Instant, now: Instant) {
        let Some(entry) = self.entries.get_mut(slot) else { return };
        if entry.wake != Some(at) {
            return;
        }
        entry.wake = None;
        match entry.machine.handle_timeout(now) {
            Fired::Send(message, attempt) => {
                let (to, by) = (entry.to.clone(), sender(slot, &entry.machine));
                self.outputs.push_back(Output::Send { to, message, by, attempt });
            }
            Fired::TimedOut => {
                if let Some(user) = entry.machine.user().cloned() {
                    let to = entry.to.clone();
                    self.outputs.push_back(Output::Timeout { key: ClientKey(slot), user, to });
                }
            }
            Fired::Gone(reason) => {
                self.outputs.push_back(Output::ServerGone { key: ServerKey(slot), reason })
            }
            Fired::Nothing => {}
        }
        self.settle(slot);
    }

    /// After every step of a machine: either it waits for something, or it is over.
    fn settle(&mut self, slot: Slot) {
        let Some(entry) = self.entries.get_mut(slot) else { return };
        match (entry.machine.poll_timeout(), entry.wake) {
            (None, _) => self.remove(slot),
            // Waking too early costs less than taking a wake-up out of the schedule.
            (Some(at), Some(wake)) if wake <= at => {}
            (Some(at), _) => {
                entry.wake = Some(at);
                self.schedule.add(at, slot);
                self.compact();
            }
        }
    }

    fn insert(&mut self, new: New<D, U, P>) -> Slot {
        let New { names, to, reliability, machine, permit } = new;
        let known_as = [Some(names.own), names.old, names.origin];
        let peer = to.clone();
        let entry =
            Entry { names, to, seat: Seat::default(), reliability, wake: None, machine, _permit: permit };
        let slot = self.entries.insert(entry);
        let seat = self.peers.seat(&peer, slot);
        if let Some(entry) = self.entries.get_mut(slot) {
            entry.seat = seat;
        }
        self.index.extend(known_as.into_iter().flatten().map(|name| (name, slot)));
        self.settle(slot);
        slot
    }

    fn remove(&mut self, slot: Slot) {
        let Some(Entry { names, to, seat, .. }) = self.entries.remove(slot) else { return };
        if let Some(moved) = self.peers.leave(&to, seat)
            && let Some(entry) = self.entries.get_mut(moved.slot)
        {
            entry.seat = moved.to;
        }
        for name in [Some(names.own), names.old, names.origin].into_iter().flatten() {
            // Two RFC 2543 transactions may have one name for their responses: it belongs to the later one.
            if self.index.get(&name) == Some(&slot) {
                self.index.remove(&name);
            }
        }
        if self.index.capacity() > self.index.len().saturating_mul(8).saturating_add(SPARE_NAMES) {
            self.index.shrink_to(self.index.len().saturating_mul(2));
        }
        self.compact();
    }

    fn compact(&mut self) {
        if self.schedule.is_mostly_stale(self.entries.len()) {
            let waiting = self.entries.iter().filter_map(|(slot, entry)| Some((entry.wake?, slot)));
            self.schedule.rebuild(waiting);
        }
    }

    fn send(&mut self, slot: Slot, message: Message, attempt: Attempt) {
        if let Some(entry) = self.entries.get(slot) {
            let (to, by) = (entry.to.clone(), sender(slot, &entry.machine));
            self.outputs.push_back(Output::Send { to, message, by, attempt });
        }
    }
}

/// A transaction to be.
struct New<D, U, P> {
    names: Names,
    to: D,
    reliability: Reliability,
    machine: Machine<U>,
    permit: P,
}

fn sender<U>(slot: Slot, machine: &Machine<U>) -> Sender {
    match machine {
        Machine::InviteClient(..) | Machine::NonInviteClient(..) => Sender::Client(ClientKey(slot)),
        Machine::InviteServer(_) | Machine::NonInviteServer(_) => Sender::Server(ServerKey(slot)),
    }
}

/// Bytes of an entry with its names and wake-ups, of the index of a message, and of what a response of ours adds to what it
/// repeats.
const ENTRY_AND_OURS: usize = 4_096;
/// Names whose room is kept however few are in use.
const SPARE_NAMES: usize = 256;
