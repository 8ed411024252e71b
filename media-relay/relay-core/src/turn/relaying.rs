//! Payload: ChannelData, Send and Data indications (RFC 8656 §11 and §12).

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Instant;

use super::channel;
use super::message::{DATA, DATA_INDICATION, Message, XOR_PEER_ADDRESS};
use super::peers::Route;
use super::{Client, Io, LARGEST, RelayedPort, Server, ToEngine};
use crate::stun::Writer;

impl Server {
    /// Whether packets to this address are for [`Server::from_engine`].
    pub fn relays(&self, to: SocketAddr) -> bool {
        self.holder(to).is_some()
    }

    /// What the engine sends from its `mux`-th browser-facing socket to a relayed address goes to the client.
    pub fn from_engine(&mut self, mux: u8, to: SocketAddr, payload: &[u8], now: Instant, io: &mut dyn Io) {
        let slot = self.holder(to);
        let peer = slot.and_then(|slot| self.allocations[slot].address_of(mux));
        match slot.zip(peer) {
            Some((slot, peer)) => self.deliver(slot, peer, payload, now, io),
            None => self.totals.dropped += 1,
        }
    }

    /// What a peer sent to the socket of a relayed port goes to the client.
    pub fn from_peer(
        &mut self,
        port: RelayedPort,
        peer: SocketAddr,
        payload: &[u8],
        now: Instant,
        io: &mut dyn Io,
    ) {
        let slot = self.ports.get(usize::from(port.relayed)).and_then(|ports| ports.owner(port.port));
        match slot.filter(|_| self.peers.route(peer).is_some()) {
            Some(slot) => self.deliver(slot, peer, payload, now, io),
            None => self.totals.dropped += 1,
        }
    }

    /// RFC 8656 §12.6.
    pub(super) fn channel_data(
        &mut self,
        client: &Client,
        datagram: &[u8],
        now: Instant,
        io: &mut dyn Io,
    ) -> Option<ToEngine> {
        let found = channel::read(datagram).and_then(|(number, payload)| {
            let slot = *self.by_client.get(client)?;
            let channel = self.allocations[slot].channel(number, now)?;
            Some((slot, channel, payload))
        });
        let Some((slot, channel, payload)) = found else {
            self.totals.dropped += 1;
            return None;
        };
        self.forward(slot, (channel.peer, channel.route), datagram, payload, now, io)
    }

    /// RFC 8656 §11.2. An indication is never answered.
    pub(super) fn send(
        &mut self,
        client: &Client,
        message: &Message<'_>,
        datagram: &[u8],
        now: Instant,
        io: &mut dyn Io,
    ) -> Option<ToEngine> {
        let is_understood = message.unknown().is_empty() && !message.is_malformed;
        let parts = message.peer.zip(message.data.clone()).filter(|_| is_understood);
        let found = parts.and_then(|(peer, payload)| {
            let slot = *self.by_client.get(client)?;
            let route = self.peers.route(peer).filter(|_| self.allocations[slot].permits(peer.ip(), now))?;
            Some((slot, (peer, route), payload))
        });
        let Some((slot, way, payload)) = found else {
            self.totals.dropped += 1;
            return None;
        };
        self.forward(slot, way, datagram, payload, now, io)
    }

    fn forward(
        &mut self,
        slot: usize,
        (peer, route): (SocketAddr, Route),
        datagram: &[u8],
        payload: Range<usize>,
        now: Instant,
        io: &mut dyn Io,
    ) -> Option<ToEngine> {
        let allocation = &mut self.allocations[slot];
        if !allocation.from_client.take(payload.len() as u32, self.rate, now) {
            self.totals.throttled += 1;
            return None;
        }
        match route {
            Route::Engine(mux) => {
                allocation.spoke_to(mux, peer);
                self.totals.from_clients += 1;
                Some(ToEngine { mux, relayed: allocation.relayed, payload })
            }
            Route::Socket => {
                allocation.is_open = allocation.is_open || io.open(allocation.port);
                if allocation.is_open {
                    io.send_to_peer(allocation.port, peer, &datagram[payload]);
                    self.totals.from_clients += 1;
                } else {
                    self.totals.dropped += 1;
                }
                None
            }
        }
    }

    fn deliver(&mut self, slot: usize, peer: SocketAddr, payload: &[u8], now: Instant, io: &mut dyn Io) {
        let allocation = &mut self.allocations[slot];
        if payload.len() > LARGEST || !allocation.permits(peer.ip(), now) {
            self.totals.dropped += 1;
            return;
        }
        if !allocation.to_client.take(payload.len() as u32, self.rate, now) {
            self.totals.throttled += 1;
            return;
        }
        let client = allocation.client;
        let length = match allocation.channel_to(peer, now) {
            Some(number) => channel_message(number, payload, &client, &mut self.out),
            None => {
                let mut transaction = [0; 12];
                self.random.fill(&mut transaction);
                data_indication(transaction, peer, payload, &mut self.out)
            }
        };
        io.send_to_client(&client, &self.out[..length]);
        self.totals.to_clients += 1;
    }

    fn holder(&self, relayed: SocketAddr) -> Option<usize> {
        let at = self.relayed.iter().position(|ip| *ip == relayed.ip())?;
        self.ports[at].owner(relayed.port())
    }
}

/// RFC 8656 §12.5: padded on a stream only.
fn channel_message(number: u16, payload: &[u8], client: &Client, out: &mut [u8]) -> usize {
    let end = channel::HEADER + payload.len();
    out[..channel::HEADER].copy_from_slice(&channel::header(number, payload.len() as u16));
    out[channel::HEADER..end].copy_from_slice(payload);
    match client {
        Client::Udp { .. } => end,
        Client::Stream { .. } => {
            let padded = end.next_multiple_of(4);
            out[end..padded].fill(0);
            padded
        }
    }
}

fn data_indication(transaction: [u8; 12], peer: SocketAddr, payload: &[u8], out: &mut [u8]) -> usize {
    let mut writer = Writer::new(out, DATA_INDICATION, transaction);
    writer.xor_address(XOR_PEER_ADDRESS, peer);
    writer.attribute(DATA, payload);
    writer.end()
}
