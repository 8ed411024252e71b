//! The trunks as this node sees them: whose addresses are trusted, where each is now, which address failed lately.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sip_core::time::Instant;

use super::Trunk;
use crate::ports::transport::ConnectionId;

pub(super) struct Trunks {
    trunks: Vec<State>,
    connections: Mutex<HashMap<SocketAddr, ConnectionId>>,
}

struct State {
    trunk: Trunk,
    addresses: Mutex<Vec<Address>>,
}

struct Address {
    address: SocketAddr,
    /// Not tried before this unless every other one failed too (RFC 3263 §4.3).
    rested: Instant,
}

impl Trunks {
    pub(super) fn new(trunks: &[Trunk]) -> Self {
        let state = |trunk: &Trunk| State { trunk: trunk.clone(), addresses: Mutex::default() };
        Self { trunks: trunks.iter().map(state).collect(), connections: Mutex::default() }
    }

    /// The trunk whose requests may come from this address.
    pub(super) fn trusting(&self, address: IpAddr) -> Option<&Trunk> {
        self.trunks.iter().map(|state| &state.trunk).find(|trunk| trunk.trusts(address))
    }

    pub(super) fn named(&self, name: &str) -> Option<&Trunk> {
        self.state(name).map(|state| &state.trunk)
    }

    /// RFC 5922 §7.2: the certificate must be for the name that was configured, not for what DNS made of it.
    pub(super) fn server_name(&self, name: &str) -> Option<Arc<str>> {
        let host = &self.named(name)?.host;
        let bare = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
        Some(bare.map_or(host.as_str(), |(host, _)| host).into())
    }

    /// What the resolver found, best first. An address that failed lately stays so.
    pub(super) fn resolved(&self, name: &str, found: &[SocketAddr]) {
        let Some(state) = self.state(name) else { return };
        let mut addresses = lock(&state.addresses);
        let rested =
            |address| addresses.iter().find(|a| a.address == address).map_or(Instant::START, |a| a.rested);
        *addresses = found
            .iter()
            .take(MAX_ADDRESSES)
            .map(|&address| Address { address, rested: rested(address) })
            .collect();
    }

    /// Where to send a new call: the first address that did not fail lately, or else the one that failed first.
    pub(super) fn address(&self, name: &str, now: Instant) -> Option<SocketAddr> {
        let addresses = lock(&self.state(name)?.addresses);
        let rested = addresses.iter().find(|a| a.rested <= now);
        rested.or_else(|| addresses.iter().min_by_key(|a| a.rested)).map(|a| a.address)
    }

    /// An address did not answer.
    pub(super) fn failed(&self, address: SocketAddr, now: Instant) {
        for state in &self.trunks {
            for known in lock(&state.addresses).iter_mut().filter(|a| a.address == address) {
                known.rested = now + REST;
            }
        }
    }

    pub(super) fn connected(&self, remote: SocketAddr, connection: ConnectionId) {
        lock(&self.connections).insert(remote, connection);
    }

    pub(super) fn disconnected(&self, remote: SocketAddr, connection: ConnectionId) {
        let mut connections = lock(&self.connections);
        if connections.get(&remote) == Some(&connection) {
            connections.remove(&remote);
        }
    }

    pub(super) fn connection(&self, remote: SocketAddr) -> Option<ConnectionId> {
        lock(&self.connections).get(&remote).copied()
    }

    fn state(&self, name: &str) -> Option<&State> {
        self.trunks.iter().find(|state| *state.trunk.name == *name)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long a failed address is passed over.
const REST: Duration = Duration::from_secs(30);
/// Of one trunk; more are not looked at.
const MAX_ADDRESSES: usize = 16;
