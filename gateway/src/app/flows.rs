//! The browsers' connections of this node: who has shown on them who he is, and which calls they carry.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sip_core::auth::{NonceId, NonceUses};
use sip_core::routing::{CallId, LegId};
use sip_core::time::UnixMillis;

use crate::ports::transport::ConnectionId;

/// All connections of this node, and those that broke while calls waited for them.
#[derive(Default)]
pub(super) struct Flows {
    table: Mutex<Table>,
    hasher: RandomState,
}

#[derive(Default)]
struct Table {
    flows: HashMap<ConnectionId, Flow>,
    /// Which flows carry a call: at most one a leg, and former ones.
    carriers: HashMap<CallId, Vec<ConnectionId>>,
    /// Where each user has shown who he is.
    connections: HashMap<Arc<str>, Vec<ConnectionId>>,
}

#[derive(Default)]
struct Flow {
    /// Who registered or authenticated here.
    user: Option<Arc<str>>,
    /// Which of his pages that is.
    page: Option<Page>,
    /// Until when he is registered here.
    registered_until: Option<UnixMillis>,
    /// Of the nonces that were given here.
    nonces: NonceUses,
    /// At most `calls_per_user`.
    calls: Vec<(CallId, LegId)>,
    /// The connection is gone; kept until its calls have moved or ended.
    gone: bool,
}

/// What a page goes on using when it comes back over another connection: its Contact, or the Call-ID of its REGISTERs
/// (RFC 3261 §10.2). Its instance is no proof: a tab that was duplicated has the same. As hashes.
#[derive(Clone, Copy)]
pub(super) struct Page {
    contact: u64,
    call_id: u64,
}

impl Page {
    fn is(self, other: Self) -> bool {
        self.contact == other.contact || self.call_id == other.call_id
    }
}

impl Flows {
    pub(super) fn opened(&self, connection: ConnectionId) {
        self.lock().flows.insert(connection, Flow::default());
    }

    /// The calls that lost their browser.
    pub(super) fn closed(&self, connection: ConnectionId) -> Vec<(CallId, LegId)> {
        let mut table = self.lock();
        let Some(flow) = table.flows.get_mut(&connection) else { return Vec::new() };
        flow.gone = true;
        let calls = flow.calls.clone();
        table.forget_if_done(connection);
        calls
    }

    pub(super) fn is_open(&self, connection: ConnectionId) -> bool {
        self.lock().flows.get(&connection).is_some_and(|flow| !flow.gone)
    }

    pub(super) fn authenticated(&self, connection: ConnectionId, user: &str) {
        let mut table = self.lock();
        let Some(flow) = table.flows.get_mut(&connection).filter(|flow| flow.user.as_deref() != Some(user))
        else {
            return;
        };
        let user: Arc<str> = user.into();
        let before = flow.user.replace(Arc::clone(&user));
        table.leave(before, connection);
        table.connections.entry(user).or_default().push(connection);
    }

    /// The page that registered.
    pub(super) fn page(&self, contact: &str, call_id: &str) -> Page {
        Page { contact: self.hasher.hash_one(contact), call_id: self.hasher.hash_one(call_id) }
    }

    /// A page of this user is here now; tells where its calls are: on its former connections, and on those of `replaced` that
    /// are gone. A connection that lives keeps its calls, whatever another page registers.
    pub(super) fn came(
        &self,
        connection: ConnectionId,
        user: &str,
        page: Page,
        replaced: &[ConnectionId],
    ) -> Vec<ConnectionId> {
        let mut table = self.lock();
        if let Some(flow) = table.flows.get_mut(&connection) {
            flow.page = Some(page);
        }
        let known = |other: &ConnectionId| table.flows.get(other).map(|flow| (*other, flow));
        let of_user = table.connections.get(user).into_iter().flatten().filter_map(known);
        let of_page = of_user.filter(|(_, flow)| flow.page.is_some_and(|former| former.is(page)));
        let gone = replaced.iter().filter_map(known).filter(|(_, flow)| flow.gone);
        let mut left: Vec<ConnectionId> = of_page.chain(gone).map(|(other, _)| other).collect();
        left.retain(|other| *other != connection);
        left
    }

    /// Until when the user is registered here from now on; until when he was.
    pub(super) fn registered(
        &self,
        connection: ConnectionId,
        until: Option<UnixMillis>,
    ) -> Option<UnixMillis> {
        let mut table = self.lock();
        let flow = table.flows.get_mut(&connection)?;
        std::mem::replace(&mut flow.registered_until, until)
    }

    /// Who is registered here, and until when.
    pub(super) fn registration(&self, connection: ConnectionId) -> Option<(Arc<str>, UnixMillis)> {
        let table = self.lock();
        let flow = table.flows.get(&connection)?;
        flow.user.clone().zip(flow.registered_until)
    }

    /// Users whose registration has come to its time; each is told once.
    pub(super) fn expired(&self, now: UnixMillis) -> Vec<Arc<str>> {
        let mut table = self.lock();
        let open = table.flows.values_mut().filter(|flow| !flow.gone);
        open.filter_map(|flow| {
            flow.registered_until.take_if(|until| *until <= now)?;
            flow.user.clone()
        })
        .collect()
    }

    pub(super) fn user(&self, connection: ConnectionId) -> Option<Arc<str>> {
        self.lock().flows.get(&connection).and_then(|flow| flow.user.clone())
    }

    /// The number of the next challenge here; `None` if the connection is gone.
    pub(super) fn next_challenge(&self, connection: ConnectionId) -> Option<u32> {
        self.lock().flows.get_mut(&connection).map(|flow| flow.nonces.next_challenge())
    }

    /// Whether a nonce that was given here is used as it may be, and not again.
    pub(super) fn uses_nonce(&self, connection: ConnectionId, nonce: NonceId, nc: u32) -> bool {
        self.lock().flows.get_mut(&connection).is_some_and(|flow| flow.nonces.accept(nonce, nc))
    }

    /// Calls that all connections of this user carry, each counted once: it may ring on all of them.
    pub(super) fn calls_of(&self, user: &str) -> usize {
        let table = self.lock();
        let connections = table.connections.get(user).into_iter().flatten();
        let flows = connections.filter_map(|connection| table.flows.get(connection));
        flows.flat_map(|flow| &flow.calls).map(|(call, _)| call).collect::<HashSet<_>>().len()
    }

    /// From now on this leg is reached here.
    pub(super) fn carries(&self, connection: ConnectionId, call: CallId, leg: LegId) {
        let mut table = self.lock();
        if let Some(flow) = table.flows.get_mut(&connection)
            && !flow.calls.contains(&(call, leg))
        {
            flow.calls.push((call, leg));
            table.carriers.entry(call).or_default().push(connection);
        }
    }

    /// Moves all calls of one connection to another; returns them.
    pub(super) fn move_calls(&self, from: ConnectionId, to: ConnectionId) -> Vec<(CallId, LegId)> {
        let mut table = self.lock();
        let Some(calls) = table.flows.get_mut(&from).map(|flow| std::mem::take(&mut flow.calls)) else {
            return Vec::new();
        };
        for (call, _) in &calls {
            table.carriers.entry(*call).or_default().push(to);
        }
        if let Some(flow) = table.flows.get_mut(&to) {
            flow.calls.extend(calls.iter().copied());
        }
        table.forget_if_done(from);
        calls
    }

    /// The call is over.
    pub(super) fn drops(&self, call: CallId) {
        let mut flows = self.lock();
        let carriers: Vec<ConnectionId> = flows.carriers.remove(&call).unwrap_or_default();
        for connection in carriers {
            if let Some(flow) = flows.flows.get_mut(&connection) {
                flow.calls.retain(|(carried, _)| *carried != call);
            }
            flows.forget_if_done(connection);
        }
    }

    /// Connections known.
    pub(super) fn len(&self) -> usize {
        self.lock().flows.len()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn forget_if_done(&mut self, connection: ConnectionId) {
        if self.flows.get(&connection).is_some_and(|flow| flow.gone && flow.calls.is_empty()) {
            let user = self.flows.remove(&connection).and_then(|flow| flow.user);
            self.leave(user, connection);
        }
    }

    fn leave(&mut self, user: Option<Arc<str>>, connection: ConnectionId) {
        let Some(user) = user else { return };
        let Some(connections) = self.connections.get_mut(&user) else { return };
        connections.retain(|other| *other != connection);
        if connections.is_empty() {
            self.connections.remove(&user);
        }
    }
}
