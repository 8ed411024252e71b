//! Everything that the TURN server sends through.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use relay_core::turn::{Client, Io, RelayedPort};

use super::listeners::Listeners;
use super::streams::Streams;
use super::{SharedQuotas, Source};
use crate::sockets::{self, Registry};

pub(super) struct Wires {
    udp: Vec<UdpSocket>,
    pub(super) streams: Streams,
    /// Where the relayed ports are bound.
    binds: Vec<IpAddr>,
    relayed: HashMap<RelayedPort, UdpSocket>,
    registry: Registry,
    pub(super) send_failed: u64,
}

impl Wires {
    pub(super) fn new(
        listeners: Listeners,
        binds: Vec<IpAddr>,
        quotas: SharedQuotas,
        certificate: Option<Arc<ArcSwap<rustls::ServerConfig>>>,
        registry: Registry,
    ) -> io::Result<Self> {
        for (index, socket) in listeners.udp.iter().enumerate() {
            registry.add_turn(socket, Source::Udp(index as u8))?;
        }
        let streams = Streams::new(listeners.streams, quotas, certificate, registry.clone())?;
        Ok(Self { udp: listeners.udp, streams, binds, relayed: HashMap::new(), registry, send_failed: 0 })
    }

    pub(super) fn relayed_sockets(&self) -> usize {
        self.relayed.len()
    }

    pub(super) fn receive(&self, listener: u8, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        self.udp.get(usize::from(listener))?.recv_from(buffer).ok()
    }

    pub(super) fn receive_relayed(
        &self,
        port: RelayedPort,
        buffer: &mut [u8],
    ) -> Option<(usize, SocketAddr)> {
        self.relayed.get(&port)?.recv_from(buffer).ok()
    }

    fn bind(&mut self, port: RelayedPort) -> io::Result<UdpSocket> {
        let ip = self.binds[usize::from(port.relayed)];
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
            Ok(socket) => self.relayed.insert(port, socket).is_none(),
            Err(error) => {
                tracing::warn!(port = port.port, %error, "a relayed port cannot be bound");
                false
            }
        }
    }

    fn close(&mut self, port: RelayedPort) {
        // A closed socket leaves the poll by itself.
        self.relayed.remove(&port);
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
        let sent = self.relayed.get(&port).map(|socket| socket.send_to(payload, peer));
        self.count(sent);
    }
}
