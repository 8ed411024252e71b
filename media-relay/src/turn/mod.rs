//! TURN in one worker: listeners, streams and relayed sockets around `relay_core::turn`, in the worker's own poll.

pub(crate) mod access;
pub(crate) mod config;
mod listeners;
pub(crate) mod metrics;
mod refusal;
pub(crate) mod settings;
mod siblings;
mod stream;
mod streams;
mod totals;
mod wires;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use daemon::clock;
use relay_api::turn::Secret;
use relay_core::turn::{Client, LocalPeer, PeerRule, Quota, Quotas, RelayedPort, Server, ToEngine};

use crate::config::{Config, StartError};
use crate::sockets::Registry;
use config::TurnConfig;
pub use listeners::Bound;
pub(crate) use listeners::Listeners;
use refusal::{Lines, Refusal};
pub(crate) use siblings::MediaAddress;
use siblings::Siblings;
pub use stream::AcceptedStream;
pub(crate) use totals::Shared;
pub use totals::TurnTotals;
use wires::{Relayed, Wires};

/// What of TURN has something to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The n-th UDP listener.
    Udp(u8),
    /// The n-th TCP or TLS listener.
    Accept(u8),
    Relayed(RelayedPort),
    /// A client's connection; also when it can be written to again.
    Stream(u64),
}

/// One message read.
pub(crate) enum Read {
    /// There is no more.
    Nothing,
    Done,
    /// The engine is to have a part of the buffer.
    ToEngine(ToEngine),
}

/// The worker's TURN server with its sockets.
pub(crate) struct Turn {
    server: Server,
    wires: Wires,
}

/// What all workers' servers share.
pub(crate) struct Common {
    quotas: SharedQuotas,
    streams: streams::Shared,
    nonce_key: [u8; 32],
    /// Browser-facing addresses of every worker.
    media: Vec<MediaAddress>,
}

/// One count for all workers: asked when an allocation or a connection comes or goes, never for a packet.
#[derive(Clone)]
pub(crate) struct SharedQuotas(Arc<Mutex<Quotas>>);

impl SharedQuotas {
    /// As [`Quota::take`], and says which bound was met.
    fn admit(&self, address: &[u8]) -> Result<(), Refusal> {
        let mut quotas = self.0.lock().map_err(|_| Refusal::System)?;
        match quotas.take(address) {
            true => Ok(()),
            false if quotas.is_full() => Err(Refusal::Full),
            false => Err(Refusal::AddressFull),
        }
    }
}

impl Quota for SharedQuotas {
    fn take(&mut self, user: &[u8]) -> bool {
        self.0.lock().is_ok_and(|mut quotas| quotas.take(user))
    }

    fn give_back(&mut self, user: &[u8]) {
        if let Ok(mut quotas) = self.0.lock() {
            quotas.give_back(user);
        }
    }
}

impl Common {
    pub(crate) fn new(
        config: &TurnConfig,
        media: Vec<MediaAddress>,
        workers: usize,
    ) -> Result<Self, StartError> {
        let quotas = |each, total| SharedQuotas(Arc::new(Mutex::new(Quotas::new(each, total))));
        Ok(Self {
            quotas: quotas(config.allocations_per_user, config.allocations),
            streams: streams::Shared {
                quotas: quotas(config.streams_per_address, config.streams),
                workers,
                lines: Lines::default(),
            },
            nonce_key: seed()?,
            media,
        })
    }
}

impl Turn {
    /// Takes over this worker's listeners; `local` are its own browser-facing addresses.
    pub(crate) fn new(
        (config, number): (&Config, usize),
        turn: &TurnConfig,
        listeners: Listeners,
        local: Vec<LocalPeer>,
        common: &Common,
        registry: Registry,
    ) -> Result<Self, StartError> {
        let told = common.media.iter().map(|media| media.advertised);
        let others = told.filter(|media| local.iter().all(|local| local.address != *media));
        let mut peers: Vec<PeerRule> = turn.peers.clone();
        peers.extend(
            others.map(|media| PeerRule { network: media.ip().into(), ports: media.port()..=media.port() }),
        );
        let server = relay_core::turn::Config {
            realm: turn.realm.clone(),
            secrets: turn.secrets.clone(),
            relayed: turn.relayed_of(number, config.workers)?,
            listeners: listeners.addresses(&turn.advertised),
            local,
            peers,
            bytes_per_second: turn.bytes_per_second,
            port_quarantine: config.port_quarantine,
            nonce_key: common.nonce_key,
            seed: seed()?,
        };
        let server = Server::new(server, Box::new(common.quotas.clone()), Instant::now());
        let binds: Vec<IpAddr> = turn.relayed.iter().map(|relayed| relayed.bind).collect();
        let relayed = Relayed { siblings: Siblings::new(&common.media, &binds), binds };
        let wires =
            Wires::new(listeners, relayed, common.streams.clone(), turn.certificate.clone(), registry)?;
        Ok(Self { server, wires })
    }

    /// Whether a packet of the engine to this address is for a client.
    pub(crate) fn relays(&self, to: SocketAddr) -> bool {
        self.server.relays(to)
    }

    pub(crate) fn send_from_engine(&mut self, mux: u8, to: SocketAddr, payload: &[u8], now: Instant) {
        self.server.from_engine(mux, to, payload, now, &mut self.wires);
        self.bury(now);
    }

    /// Takes over a client's connection. What came with it is there to be read.
    pub(crate) fn take_over(&mut self, stream: AcceptedStream, now: Instant) -> Option<Source> {
        self.wires.streams.take_over(stream, now).map(Source::Stream)
    }

    /// Accepts connections, and moves octets between a stream's socket and its buffers.
    pub(crate) fn prepare(&mut self, source: Source, now: Instant) {
        match source {
            Source::Accept(index) => self.wires.streams.accept(index, now),
            Source::Stream(id) => self.wires.streams.pump(id, now),
            Source::Udp(_) | Source::Relayed(_) => {}
        }
        self.bury(now);
    }

    /// Reads one message into `buffer[..room]` and carries it out.
    pub(crate) fn read(&mut self, source: Source, buffer: &mut [u8], now: Instant) -> Read {
        let (client, length) = match source {
            Source::Udp(listener) => match self.wires.receive(listener, buffer) {
                Some((length, address)) => (Client::Udp { listener, address }, length),
                None => return Read::Nothing,
            },
            Source::Stream(id) => match self.wires.streams.next_frame(id, buffer, now) {
                Some((length, address)) => (Client::Stream { id, address }, length),
                None => {
                    self.bury(now);
                    return Read::Nothing;
                }
            },
            Source::Relayed(port) => {
                let Some((length, peer)) = self.wires.receive_relayed(port, buffer) else {
                    return Read::Nothing;
                };
                self.server.from_peer(port, peer, &buffer[..length], now, &mut self.wires);
                self.bury(now);
                return Read::Done;
            }
            Source::Accept(_) => return Read::Nothing,
        };
        let to_engine = self.server.handle_input(client, &buffer[..length], now, unix_now(), &mut self.wires);
        self.bury(now);
        to_engine.map_or(Read::Done, Read::ToEngine)
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.server.poll_timeout().is_some_and(|due| due <= now) {
            self.server.handle_timeout(now, &mut self.wires);
        }
        let server = &self.server;
        self.wires.streams.handle_timeout(now, |client| server.has_allocation(client));
        self.bury(now);
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.server.poll_timeout().into_iter().chain(self.wires.streams.poll_timeout()).min()
    }

    pub(crate) fn set_secrets(&mut self, secrets: Vec<Secret>) {
        self.server.set_secrets(secrets);
    }

    pub(crate) fn totals(&self) -> TurnTotals {
        TurnTotals::of(self.server.totals(), &self.wires)
    }

    /// A stream that failed takes its allocation with it.
    fn bury(&mut self, now: Instant) {
        while let Some(client) = self.wires.streams.pop_dead() {
            self.server.close(&client, now, &mut self.wires);
        }
    }
}

/// Credentials say when they expire.
fn unix_now() -> u64 {
    clock::since_1970().as_secs()
}

fn seed() -> Result<[u8; 32], StartError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(std::io::Error::from)?;
    Ok(seed)
}
