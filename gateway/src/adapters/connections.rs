//! The stream connections of this process, by number, and those with trunks by whom they reach.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::counters::Counters;
use super::limits::Admission;
use super::outbox::Outbox;
use super::room::{Hold, Room};
use crate::ports::transport::{CloseReason, ConnectionId, Otherwise, StreamProtocol, StreamTarget};

/// All connections, open or being made, and those by which trunks are reached.
#[derive(Debug)]
pub(crate) struct Connections {
    last: AtomicU64,
    shards: [Mutex<HashMap<ConnectionId, Arc<Outbox>>>; SHARDS],
    trunks: Mutex<Trunks>,
    counters: Arc<Counters>,
    emptied: Notify,
    strangers: Arc<Room>,
}

/// Whom a connection with a trunk reaches. Of several to one peer the latest counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Peer {
    /// It dialled us from there (RFC 5923: such a connection is used both ways).
    Accepted(StreamProtocol, SocketAddr),
    /// We dialled it.
    Dialled(StreamTarget),
}

/// What is known of connections with trunks.
#[derive(Debug, Default)]
struct Trunks {
    members: HashMap<Peer, Member>,
    /// When targets could not be dialled; at most [`MAX_REFUSED`].
    refused: HashMap<StreamTarget, Instant>,
}

#[derive(Debug)]
struct Member {
    id: ConnectionId,
    outbox: Arc<Outbox>,
    /// If it can't be dialled.
    otherwise: Otherwise,
}

impl Connections {
    /// Whose peers hold so many bytes together before they have shown who they are.
    pub(crate) fn new(strangers_bytes: usize) -> Self {
        Self {
            last: AtomicU64::default(),
            shards: Default::default(),
            trunks: Mutex::default(),
            counters: Arc::default(),
            emptied: Notify::new(),
            strangers: Room::new(strangers_bytes, strangers_bytes / STRANGERS_OF_ADDRESS),
        }
    }

    /// Gives a connection that was accepted its number. It can be sent to until its registration is dropped.
    pub(crate) fn register(
        self: &Arc<Self>,
        outbox: &Arc<Outbox>,
        peer: Option<Peer>,
        admission: Option<Admission>,
    ) -> Registration {
        let id = self.number(outbox);
        if let Some(peer) = &peer {
            let member = Member { id, outbox: Arc::clone(outbox), otherwise: Otherwise::Nothing };
            self.trunks().members.insert(peer.clone(), member);
        }
        self.registration(id, outbox, peer, admission)
    }

    /// A connection that [`Connections::reach`] told to dial is there.
    pub(crate) fn register_dialled(
        self: &Arc<Self>,
        id: ConnectionId,
        outbox: &Arc<Outbox>,
        target: StreamTarget,
    ) -> Registration {
        self.registration(id, outbox, Some(Peer::Dialled(target)), None)
    }

    pub(crate) fn get(&self, id: ConnectionId) -> Option<Arc<Outbox>> {
        self.shard(id).get(&id).cloned()
    }

    pub(crate) fn ids(&self) -> Vec<ConnectionId> {
        let mut ids = Vec::new();
        for shard in &self.shards {
            ids.extend(shard.lock().unwrap_or_else(PoisonError::into_inner).keys());
        }
        ids
    }

    /// The connection for `target`, whoever made it, or one that begins now with what `make` gives and that the caller has
    /// to dial.
    pub(crate) fn reach(
        &self,
        target: &StreamTarget,
        otherwise: Otherwise,
        make: impl FnOnce() -> Arc<Outbox>,
    ) -> Reach {
        let mut trunks = self.trunks();
        if let Some(id) = trunks.trusted(target, otherwise) {
            return Reach::Known(id);
        }
        if trunks.was_refused_lately(target)
            && let Some(member) = trunks.open(target.protocol, otherwise)
        {
            return Reach::Known(member.id);
        }
        let outbox = make();
        let id = self.number(&outbox);
        let member = Member { id, outbox: Arc::clone(&outbox), otherwise };
        trunks.members.insert(Peer::Dialled(target.clone()), member);
        Reach::New(id, outbox)
    }

    /// A connection that [`Connections::reach`] told to dial will not be. What it has queued goes over another one, which
    /// stands for it from now on; false if there is none.
    pub(crate) fn give_up(&self, id: ConnectionId, target: &StreamTarget, outbox: &Outbox) -> bool {
        let other = self.trunks().refused(id, target);
        let stands_in = other.and_then(|other| {
            self.shard(id).insert(id, Arc::clone(&other));
            Some((other.stand_for(id).ok()?, other))
        });
        let Some((forgotten, other)) = stands_in else {
            self.shard(id).remove(&id);
            outbox.finish();
            return false;
        };
        if let Some(forgotten) = forgotten {
            self.shard(forgotten).remove(&forgotten);
        }
        for message in outbox.finish() {
            // One that is full is closed, which tells everybody.
            let _ = other.push(message);
        }
        true
    }

    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Waits until no connection is open.
    pub(crate) async fn wait_until_empty(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.counters.open() == 0 {
                return;
            }
            emptied.await;
        }
    }

    fn number(&self, outbox: &Arc<Outbox>) -> ConnectionId {
        let id = ConnectionId(self.last.fetch_add(1, Ordering::Relaxed) + 1);
        self.shard(id).insert(id, Arc::clone(outbox));
        id
    }

    fn registration(
        self: &Arc<Self>,
        id: ConnectionId,
        outbox: &Arc<Outbox>,
        peer: Option<Peer>,
        admission: Option<Admission>,
    ) -> Registration {
        self.counters.note_opened();
        let (connections, outbox) = (Arc::clone(self), Arc::clone(outbox));
        Registration { id, connections, outbox, peer, admission }
    }

    fn forget(&self, id: ConnectionId, peer: Option<&Peer>) {
        self.shard(id).remove(&id);
        let Some(peer) = peer else { return };
        let members = &mut self.trunks().members;
        if members.get(peer).is_some_and(|member| member.id == id) {
            members.remove(peer);
        }
    }

    fn shard(&self, id: ConnectionId) -> MutexGuard<'_, HashMap<ConnectionId, Arc<Outbox>>> {
        let shard = &self.shards[(id.0 % SHARDS as u64) as usize];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn trunks(&self) -> MutexGuard<'_, Trunks> {
        self.trunks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Trunks {
    /// One that takes messages for `target`, and against which nothing speaks.
    fn trusted(&mut self, target: &StreamTarget, otherwise: Otherwise) -> Option<ConnectionId> {
        let accepted = self.members.get(&Peer::Accepted(target.protocol, target.remote));
        if let Some(member) = accepted.filter(|member| member.outbox.is_trusted()) {
            return Some(member.id);
        }
        let dialled = self.members.get_mut(&Peer::Dialled(target.clone()));
        let dialled = dialled.filter(|member| member.outbox.is_trusted())?;
        if otherwise != Otherwise::Nothing {
            dialled.otherwise = otherwise;
        }
        Some(dialled.id)
    }

    /// Notes that `target` could not be dialled; where what was queued for it goes.
    fn refused(&mut self, id: ConnectionId, target: &StreamTarget) -> Option<Arc<Outbox>> {
        let now = Instant::now();
        self.refused.retain(|_, at| now < *at + REFUSED_FOR);
        if self.refused.len() < MAX_REFUSED {
            self.refused.insert(target.clone(), now);
        }
        let peer = Peer::Dialled(target.clone());
        let is_current = self.members.get(&peer).is_some_and(|member| member.id == id);
        let member = is_current.then(|| self.members.remove(&peer)).flatten()?;
        // One that is suspect is better than none.
        let same = Otherwise::Peer(target.remote);
        let other = self.open(target.protocol, member.otherwise).or_else(|| self.open(target.protocol, same));
        other.map(|member| Arc::clone(&member.outbox))
    }

    fn was_refused_lately(&self, target: &StreamTarget) -> bool {
        self.refused.get(target).is_some_and(|at| Instant::now() < *at + REFUSED_FOR)
    }

    /// A connection over which messages have passed.
    fn open(&self, protocol: StreamProtocol, wanted: Otherwise) -> Option<&Member> {
        let fits = |peer: &Peer| match (peer, wanted) {
            (_, Otherwise::Nothing) => false,
            (Peer::Accepted(of, remote), Otherwise::Peer(address)) => *of == protocol && *remote == address,
            (Peer::Accepted(of, remote), Otherwise::Host(ip)) => *of == protocol && remote.ip() == ip,
            (Peer::Dialled(to), Otherwise::Peer(address)) => to.protocol == protocol && to.remote == address,
            (Peer::Dialled(to), Otherwise::Host(ip)) => to.protocol == protocol && to.remote.ip() == ip,
        };
        let members = self.members.iter().filter(|(peer, _)| fits(peer)).map(|(_, member)| member);
        members
            .filter(|member| member.outbox.is_open() && member.outbox.standing().identified)
            .max_by_key(|member| member.id)
    }
}

/// How a trunk's address is reached.
pub(crate) enum Reach {
    /// By this connection, open or being made.
    Known(ConnectionId),
    /// By this one, which the caller has to dial; what it queues goes out then.
    New(ConnectionId, Arc<Outbox>),
}

/// One connection's entry; dropping it removes the entry and makes room at the listener's gate.
#[derive(Debug)]
pub(crate) struct Registration {
    id: ConnectionId,
    connections: Arc<Connections>,
    outbox: Arc<Outbox>,
    peer: Option<Peer>,
    admission: Option<Admission>,
}

impl Registration {
    pub(crate) fn id(&self) -> ConnectionId {
        self.id
    }

    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.connections.counters
    }

    /// What the listener's gate knows of it; none if we dialled.
    pub(crate) fn admission(&mut self) -> Option<&mut Admission> {
        self.admission.as_mut()
    }

    /// For what it holds while its peer is a stranger.
    pub(crate) fn hold(&self, address: IpAddr) -> Hold {
        self.connections.strangers.hold(address)
    }

    /// Ends it with a reason for the statistics. Tells which connections it stood for.
    pub(crate) fn end(self, why: CloseReason) -> Vec<ConnectionId> {
        self.connections.counters.note_closed(why);
        self.outbox.stood_for()
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.outbox.finish();
        for id in self.outbox.stood_for() {
            self.connections.shard(id).remove(&id);
        }
        self.connections.forget(self.id, self.peer.as_ref());
        if self.connections.counters.note_gone() == 0 {
            self.connections.emptied.notify_waiters();
        }
    }
}

/// How long a target that could not be dialled is not tried where there is another way.
const REFUSED_FOR: Duration = Duration::from_secs(30);
/// Targets remembered like that; further ones are tried each time.
const MAX_REFUSED: usize = 256;

/// What one address may hold of what all strangers may: an eighth.
const STRANGERS_OF_ADDRESS: usize = 8;

/// Locks among which the connections are spread.
const SHARDS: usize = 16;
