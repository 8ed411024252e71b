//! Which connections with trunks calls live on: such a connection is not closed because nothing passes for long.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sip_core::routing::CallId;

use crate::ports::transport::ConnectionId;

/// Calls by the connections that their messages go over, and the reverse.
#[derive(Default)]
pub(super) struct Carriers(Mutex<Table>);

#[derive(Default)]
struct Table {
    /// Few for each call: one a leg, and those that took their place.
    used: HashMap<CallId, Vec<ConnectionId>>,
    /// How many calls.
    calls: HashMap<ConnectionId, usize>,
}

impl Carriers {
    /// Notes that a call that lives goes over this connection; true if it is the connection's first one.
    pub(super) fn carries(&self, connection: ConnectionId, call: CallId) -> bool {
        let mut table = self.lock();
        let used = table.used.entry(call).or_default();
        if used.contains(&connection) {
            return false;
        }
        used.push(connection);
        let calls = table.calls.entry(connection).or_default();
        *calls += 1;
        *calls == 1
    }

    /// The call is over. Gives the connections that carry none any more.
    pub(super) fn drops(&self, call: CallId) -> Vec<ConnectionId> {
        let mut table = self.lock();
        let used = table.used.remove(&call).unwrap_or_default();
        used.into_iter().filter(|connection| table.leave(*connection)).collect()
    }

    /// The connection is closed.
    pub(super) fn closed(&self, connection: ConnectionId) {
        self.lock().calls.remove(&connection);
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// True if that was the last call.
    fn leave(&mut self, connection: ConnectionId) -> bool {
        let Some(calls) = self.calls.get_mut(&connection) else { return false };
        *calls -= 1;
        let is_free = *calls == 0;
        if is_free {
            self.calls.remove(&connection);
        }
        is_free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: CallId = CallId([1; 12]);
    const TWO: CallId = CallId([2; 12]);
    const CONNECTION: ConnectionId = ConnectionId(7);

    #[test]
    fn a_connection_is_free_with_the_end_of_its_last_call() {
        let carriers = Carriers::default();
        assert!(carriers.carries(CONNECTION, ONE));
        assert!(!carriers.carries(CONNECTION, ONE) && !carriers.carries(CONNECTION, TWO));
        assert!(carriers.drops(ONE).is_empty() && carriers.drops(ONE).is_empty());
        assert_eq!(carriers.drops(TWO), [CONNECTION]);
        assert!(carriers.carries(CONNECTION, TWO), "a new one");
        carriers.closed(CONNECTION);
        assert!(carriers.drops(TWO).is_empty());
    }
}
