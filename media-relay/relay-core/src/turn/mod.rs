//! The TURN server of one worker: RFC 8656, on STUN as in RFC 8489.
//!
//! It is no general relay: peers are the media addresses of our own relays and what the configuration lists besides.
//! What a client sends to a media address of the same process does not even leave it:
//!
//! ```text
//! browser ── UDP, TCP, TLS ── Server::handle_input ─┬─ ToEngine ── Engine::handle_input(mux, from the relayed address)
//!                 │                                 └─ Io::send_to_peer ── a socket, opened when it is first needed
//!                 └────────── Server::from_engine ──── what the engine transmits to the relayed address
//! ```
//!
//! A driver hands in datagrams and whole frames of streams ([`frame_length`]), time, and what arrives at relayed sockets
//! ([`Server::from_peer`]). Nothing is allocated per relayed packet; state is made for the authenticated alone.

mod allocation;
mod bucket;
mod channel;
mod credentials;
mod message;
mod peers;
mod ports;
mod quota;
mod relaying;
mod reply;
mod requests;

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::ops::{Range, RangeInclusive};
use std::time::{Duration, Instant};

use relay_api::turn::Secret;
use slab::Slab;

use crate::engine::schedule::Schedule;
use crate::random::Random;
use allocation::Allocation;
use bucket::Strangers;
pub use channel::{LARGEST_FRAME, NotStun, frame_length};
use credentials::Guard;
use peers::Peers;
pub use peers::{LocalPeer, PeerRule};
use ports::Ports;
pub use quota::{Quota, Quotas};
use requests::Reservation;

/// What a server is told at its start.
pub struct Config {
    /// RFC 8489 §14.9; at most [`LONGEST_REALM`] characters are used. Short ones keep challenges small.
    pub realm: String,
    /// Which credentials count; several while they are rotated.
    pub secrets: Vec<Secret>,
    /// Where peers see clients: at most one of each address family.
    pub relayed: Vec<Relayed>,
    /// Where clients reach TURN, as bound and as advertised. Never a peer, whatever the rules say.
    pub listeners: Vec<SocketAddr>,
    /// The media addresses of this process, peers always.
    pub local: Vec<LocalPeer>,
    /// Further peers.
    pub peers: Vec<PeerRule>,
    /// For each allocation and direction, in octets of payload; a second's worth may come at once.
    pub bytes_per_second: u32,
    /// How long a relayed port rests before another allocation gets it.
    pub port_quarantine: Duration,
    /// The same for all workers, so that each accepts the others' nonces.
    pub nonce_key: [u8; 32],
    /// From the operating system's generator.
    pub seed: [u8; 32],
}

/// An address and ports for allocations.
#[derive(Clone, Debug)]
pub struct Relayed {
    /// What clients and peers are told.
    pub advertised: IpAddr,
    /// One for each allocation.
    pub ports: RangeInclusive<u16>,
}

/// Who sent a message: its five-tuple (RFC 8656 §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Client {
    /// At the n-th UDP listener.
    Udp {
        /// Which listener.
        listener: u8,
        /// The client's address.
        address: SocketAddr,
    },
    /// Over TCP or TLS.
    Stream {
        /// Never used again for another connection.
        id: u64,
        /// The client's address.
        address: SocketAddr,
    },
}

/// A port of a relayed address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RelayedPort {
    /// Index into [`Config::relayed`].
    pub relayed: u8,
    /// The port.
    pub port: u16,
}

/// What the server has done for it.
pub trait Io {
    /// Binds a relayed port: the first packet for a peer beyond this process is about to leave. `false` if it is taken:
    /// the packet is lost, and the next one tries again.
    fn open(&mut self, port: RelayedPort) -> bool;
    /// Closes a relayed port that was opened.
    fn close(&mut self, port: RelayedPort);
    /// Sends a datagram, or a whole frame to a stream, now or never.
    fn send_to_client(&mut self, client: &Client, message: &[u8]);
    /// Sends a datagram now or never.
    fn send_to_peer(&mut self, port: RelayedPort, peer: SocketAddr, payload: &[u8]);
}

/// A client's packet for a media address of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToEngine {
    /// The browser-facing socket it is meant for.
    pub mux: u8,
    /// Where it comes from, as the engine is to see it.
    pub relayed: SocketAddr,
    /// Where it is in the message.
    pub payload: Range<usize>,
}

/// What a server holds and has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Allocations now.
    pub allocations: usize,
    /// Relayed ports held or reserved now.
    pub ports: usize,
    /// Packets from clients that were handed to the engine or sent to peers.
    pub from_clients: u64,
    /// Packets of the engine or of peers that were sent to clients.
    pub to_clients: u64,
    /// Allocations granted.
    pub granted: u64,
    /// Requests without credentials or with stale ones, as every client's first is: 401 and 438.
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
    /// Messages that were no STUN, or of nobody, or not permitted, or could not be sent.
    pub dropped: u64,
}

/// See the [module's documentation](self).
pub struct Server {
    guard: Guard,
    peers: Peers,
    relayed: Vec<IpAddr>,
    ports: Vec<Ports>,
    quota: Box<dyn Quota>,
    rate: u32,
    allocations: Slab<Allocation>,
    by_client: HashMap<Client, usize>,
    /// In the order in which they expire.
    reservations: VecDeque<Reservation>,
    schedule: Schedule,
    strangers: Strangers,
    random: Random,
    totals: Totals,
    /// Where messages are written.
    out: Box<[u8]>,
}

impl Server {
    /// A server without allocations.
    pub fn new(config: Config, quota: Box<dyn Quota>, now: Instant) -> Self {
        let mut random = Random::new(config.seed);
        let mut salt = [0; 32];
        random.fill(&mut salt);
        let mut own: Vec<_> = config
            .listeners
            .iter()
            .map(|listener| (listener.ip(), listener.port()..=listener.port()))
            .collect();
        own.extend(config.relayed.iter().map(|relayed| (relayed.advertised, relayed.ports.clone())));
        let ports = config.relayed.iter().map(|relayed| &relayed.ports);
        let ports =
            ports.map(|range| Ports::new(range.clone(), config.port_quarantine, &mut random)).collect();
        let realm = config.realm.chars().take(LONGEST_REALM).collect();
        Self {
            guard: Guard::new(realm, config.secrets, &config.nonce_key),
            peers: Peers { local: config.local, rules: config.peers, own },
            relayed: config.relayed.iter().map(|relayed| relayed.advertised).collect(),
            ports,
            quota,
            rate: config.bytes_per_second,
            allocations: Slab::new(),
            by_client: HashMap::new(),
            reservations: VecDeque::new(),
            schedule: Schedule::new(now),
            strangers: Strangers::new(salt, now),
            random,
            totals: Totals::default(),
            out: vec![0; BUFFER].into(),
        }
    }

    /// From now on these credentials count for new allocations; the old allocations stay.
    pub fn set_secrets(&mut self, secrets: Vec<Secret>) {
        self.guard.secrets = secrets;
    }

    /// Frees a client's allocation at once: its stream has ended.
    pub fn close(&mut self, client: &Client, now: Instant, io: &mut dyn Io) {
        if let Some(slot) = self.by_client.get(client).copied() {
            self.free(slot, now, io);
        }
    }

    /// Whether this client holds an allocation.
    pub fn has_allocation(&self, client: &Client) -> bool {
        self.by_client.contains_key(client)
    }

    /// Frees what has expired: some of it, if there is much; [`Server::poll_timeout`] then is in the past.
    pub fn handle_timeout(&mut self, now: Instant, io: &mut dyn Io) {
        while self.reservations.front().is_some_and(|reservation| reservation.expires <= now) {
            let Some(reservation) = self.reservations.pop_front() else { break };
            self.rest(reservation.port, now);
        }
        for _ in 0..MOST_DUE {
            let Some(slot) = self.schedule.pop(now) else { return };
            let expires = self.allocations[slot].expires;
            if expires <= now { self.free(slot, now, io) } else { self.schedule.wake(slot, expires, now) }
        }
    }

    /// When [`Server::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let reservation = self.reservations.front().map(|reservation| reservation.expires);
        self.schedule.next().into_iter().chain(reservation).min()
    }

    /// What the server holds and has done.
    pub fn totals(&self) -> Totals {
        Totals {
            allocations: self.allocations.len(),
            ports: self.ports.iter().map(Ports::in_use).sum(),
            ..self.totals
        }
    }

    fn free(&mut self, slot: usize, now: Instant, io: &mut dyn Io) {
        let allocation = self.allocations.remove(slot);
        self.by_client.remove(&allocation.client);
        self.schedule.forget(slot);
        self.quota.give_back(allocation.user());
        if allocation.is_open {
            io.close(allocation.port);
        }
        self.rest(allocation.port, now);
        // The port after it was kept for the same client's next allocation.
        if let Some(token) = allocation.granted.token
            && let Some(at) = self.reservations.iter().position(|reservation| reservation.token == token)
            && let Some(reservation) = self.reservations.remove(at)
        {
            self.rest(reservation.port, now);
        }
    }

    fn rest(&mut self, port: RelayedPort, now: Instant) {
        self.ports[usize::from(port.relayed)].put_back(port.port, now);
    }
}

impl Client {
    /// The client's address.
    pub fn address(&self) -> SocketAddr {
        match self {
            Self::Udp { address, .. } | Self::Stream { address, .. } => *address,
        }
    }

    fn is_datagram(&self) -> bool {
        matches!(self, Self::Udp { .. })
    }
}

/// In characters: a challenge that answers the smallest Allocate should not be larger than an attacker would like.
pub const LONGEST_REALM: usize = 64;

/// The largest payload that is relayed.
const LARGEST: usize = 4_096;
/// With room for a Data indication around it.
const BUFFER: usize = LARGEST + 64;
/// Allocations freed in one go; packets wait meanwhile.
const MOST_DUE: usize = 256;

#[cfg(test)]
mod tests;
