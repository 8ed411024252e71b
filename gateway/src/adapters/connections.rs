//! The stream connections of this process, by number.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::counters::Counters;
use super::limits::Admission;
use super::outbox::Outbox;
use crate::ports::transport::{CloseReason, ConnectionId, StreamTarget};

/// All open connections, and the dialled ones by what they were dialled for.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    last: AtomicU64,
    shards: [Mutex<HashMap<ConnectionId, Arc<Outbox>>>; SHARDS],
    dialled: Mutex<HashMap<StreamTarget, Arc<Outbox>>>,
    counters: Arc<Counters>,
    emptied: Notify,
}

impl Connections {
    /// Gives a new connection its number. It can be sent to until its registration is dropped.
    pub(crate) fn register(
        self: &Arc<Self>,
        outbox: &Arc<Outbox>,
        target: Option<Arc<StreamTarget>>,
        admission: Option<Admission>,
    ) -> Registration {
        let id = ConnectionId(self.last.fetch_add(1, Ordering::Relaxed) + 1);
        self.shard(id).insert(id, Arc::clone(outbox));
        self.counters.note_opened();
        let (connections, outbox) = (Arc::clone(self), Arc::clone(outbox));
        Registration { id, connections, outbox, target, _admission: admission }
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

    /// The connection dialled for `target`, or the one that `make` makes now and that the caller has to dial.
    pub(crate) fn dialled(
        &self,
        target: &StreamTarget,
        make: impl FnOnce() -> Arc<Outbox>,
    ) -> (Arc<Outbox>, Dial) {
        let mut dialled = self.pool();
        if let Some(outbox) = dialled.get(target) {
            return (Arc::clone(outbox), Dial::NotNeeded);
        }
        let outbox = make();
        dialled.insert(target.clone(), Arc::clone(&outbox));
        (outbox, Dial::Needed)
    }

    /// Forgets a dialled connection, if it is still the one.
    pub(crate) fn forget_dialled(&self, target: &StreamTarget, outbox: &Arc<Outbox>) {
        let mut dialled = self.pool();
        if dialled.get(target).is_some_and(|known| Arc::ptr_eq(known, outbox)) {
            dialled.remove(target);
        }
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

    fn shard(&self, id: ConnectionId) -> MutexGuard<'_, HashMap<ConnectionId, Arc<Outbox>>> {
        let shard = &self.shards[(id.0 % SHARDS as u64) as usize];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pool(&self) -> MutexGuard<'_, HashMap<StreamTarget, Arc<Outbox>>> {
        self.dialled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a connection has to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dial {
    Needed,
    NotNeeded,
}

/// One connection's entry; dropping it removes the entry and makes room at the listener's gate.
#[derive(Debug)]
pub(crate) struct Registration {
    id: ConnectionId,
    connections: Arc<Connections>,
    outbox: Arc<Outbox>,
    target: Option<Arc<StreamTarget>>,
    _admission: Option<Admission>,
}

impl Registration {
    pub(crate) fn id(&self) -> ConnectionId {
        self.id
    }

    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.connections.counters
    }

    /// Ends it with a reason for the statistics.
    pub(crate) fn end(self, why: CloseReason) {
        self.connections.counters.note_closed(why);
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.outbox.finish();
        self.connections.shard(self.id).remove(&self.id);
        if let Some(target) = &self.target {
            self.connections.forget_dialled(target, &self.outbox);
        }
        if self.connections.counters.note_gone() == 0 {
            self.connections.emptied.notify_waiters();
        }
    }
}

/// Locks among which the connections are spread.
const SHARDS: usize = 16;
