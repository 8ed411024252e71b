//! Everything that the TURN server sends through.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Instant;

use relay_core::turn::{Client, Io, RelayedPort};

use super::Source;
use super::listeners::Listeners;
use super::siblings::Siblings;
use super::streams::{Shared, Streams};
use crate::sockets::{self, Registry};

pub(super) struct Wires {
    udp: Vec<UdpSocket>,
    pub(super) streams: Streams,
    relayed: Relayed,
    sockets: HashMap<RelayedPort, UdpSocket>,
    registry: Registry,
    pub(super) send_failed: u64,
}

/// The side of the peers.
pub(super) struct Relayed {
    /// Where the relayed ports are bound.
    pub(super) binds: Vec<IpAddr>,
    pub(super) siblings: Siblings,
}

impl Wires {
    pub(super) fn new(
        listeners: Listeners,
        relayed: Relayed,
        shared: Shared,
        certificate: Option<Arc<rustls::ServerConfig>>,
        registry: Registry,
    ) -> io::Result<Self> {
        for (index, socket) in listeners.udp.iter().enumerate() {
            registry.add_turn(socket, Source::Udp(index as u8))?;
        }
        let streams = Streams::new(listeners.streams, shared, certificate, registry.clone())?;
        Ok(Self { udp: listeners.udp, streams, relayed, sockets: HashMap::new(), registry, send_failed: 0 })
    }

    pub(super) fn relayed_sockets(&self) -> usize {
        self.sockets.len()
    }

    pub(super) fn receive(&self, listener: u8, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        self.udp.get(usize::from(listener))?.recv_from(buffer).ok()
    }

    pub(super) fn receive_relayed(
        &self,
        port: RelayedPort,
        buffer: &mut [u8],
    ) -> Option<(usize, SocketAddr)> {
        let (length, source) = self.sockets.get(&port)?.recv_from(buffer).ok()?;
        Some((length, self.relayed.siblings.advertised(source)))
    }

    fn bind(&mut self, port: RelayedPort) -> io::Result<UdpSocket> {
        let ip = self.relayed.binds[usize::from(port.relayed)];
        let socket = sockets::bind(SocketAddr::new(ip, port.port))?;
        self.registry.add_turn(&socket, Source::Relayed(port))?;
        Ok(socket)
    }

    fn count(&mut self, sent: Option<io::Result<usize>>) {
        if !matches!(sent, Some(Ok(_))) {
            self.send_failed += 1;
        }
    }
}

impl Io for Wires {
    fn open(&mut self, port: RelayedPort) -> bool {
        match self.bind(port) {
            Ok(socket) => self.sockets.insert(port, socket).is_none(),
            Err(error) => {
                tracing::warn!(port = port.port, %error, "a relayed port cannot be bound");
                false
            }
        }
    }

    fn close(&mut self, port: RelayedPort) {
        // A closed socket leaves the poll by itself.
        self.sockets.remove(&port);
    }

    fn send_to_client(&mut self, client: &Client, message: &[u8]) {
        match client {
            Client::Udp { listener, address } => {
                let sent =
                    self.udp.get(usize::from(*listener)).map(|socket| socket.send_to(message, address));
                self.count(sent);
            }
            Client::Stream { id, .. } => self.streams.send(*id, message, Instant::now()),
        }
    }

    fn send_to_peer(&mut self, port: RelayedPort, peer: SocketAddr, payload: &[u8]) {
        let peer = self.relayed.siblings.bound(peer);
        let sent = self.sockets.get(&port).map(|socket| socket.send_to(payload, peer));
        self.count(sent);
    }
}
