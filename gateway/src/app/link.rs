//! Between the core's destinations, which are stored, and the sockets of this node.

use std::net::SocketAddr;

use sip_core::message::Message;
use sip_core::routing::{self, FlowId, TrunkAddress};
use sip_core::transaction::Reliability;

use super::{Node, Runtime};
use crate::ports::transport::{
    ConnectionId, Destination, Edge, Otherwise, Protocol, Source, StreamProtocol, StreamTarget,
};

/// Name of the listener for SIP over UDP; datagrams to trunks leave from it.
pub const UDP_LISTENER: &str = "sip_udp";

impl<R: Runtime> Node<R> {
    /// Where a response to this request goes: RFC 3261 §18.2.2 as amended by RFC 3581 §4.
    pub(super) fn reply_to(&self, source: &Source, request: &Message) -> Destination {
        match source.destination() {
            Destination::Udp { listener, remote } => {
                let via = request.via();
                let port = match via.rport {
                    Some(_) => remote.port(),
                    None => via.port.unwrap_or(DEFAULT_PORT),
                };
                Destination::Udp { listener, remote: SocketAddr::new(remote.ip(), port) }
            }
            Destination::Connection(connection) => match self.way_back(source, request) {
                Some(back) => Destination::Answer { connection, back },
                None => Destination::Connection(connection),
            },
            answer @ Destination::Answer { .. } => answer,
        }
    }

    /// Where a trunk's responses go once the connection of the request is closed. Never to a host out of the message: the
    /// request came from there, and a trunk is trusted there. A browser's responses die with its flow.
    fn way_back(&self, source: &Source, request: &Message) -> Option<StreamTarget> {
        let trunk = self.0.trunks.trusting(source.remote.ip()).filter(|_| source.edge == Edge::Trunk)?;
        let protocol = StreamProtocol::of(source.protocol)?;
        let port = request.via().port.unwrap_or(source.protocol.default_port());
        Some(self.stream_target(&trunk.name, protocol, SocketAddr::new(source.remote.ip(), port)))
    }

    /// The stored form of where a message came from.
    pub(super) fn origin(&self, source: &Source, request: &Message) -> routing::Destination {
        match (source.edge, source.connection) {
            (Edge::Browser, Some(connection)) => routing::Destination::Flow(self.flow_id(connection)),
            (Edge::Browser | Edge::Trunk, _) => routing::Destination::Trunk(TrunkAddress {
                trunk: self
                    .0
                    .trunks
                    .trusting(source.remote.ip())
                    .map_or_else(String::new, |t| t.name.to_string()),
                transport: source.protocol,
                address: match self.reply_to(source, request) {
                    Destination::Udp { remote, .. } => remote,
                    Destination::Connection(_) | Destination::Answer { .. } => source.remote,
                },
                otherwise: None,
            }),
        }
    }

    /// The trunk that this came from, by its name.
    pub(super) fn trunk_of(&self, source: &Source) -> Option<&str> {
        match source.edge {
            Edge::Browser => None,
            Edge::Trunk => self.0.trunks.trusting(source.remote.ip()).map(|trunk| &*trunk.name),
        }
    }

    /// The socket behind a stored destination; `None` for a flow of another node or life, or a trunk that is gone.
    pub(super) fn socket(&self, to: &routing::Destination) -> Option<Destination> {
        match to {
            routing::Destination::Flow(flow) => (flow.node == self.0.identity.node)
                .then_some(Destination::Connection(ConnectionId(flow.connection))),
            routing::Destination::Trunk(trunk) => self.trunk_socket(trunk),
        }
    }

    pub(super) fn flow_id(&self, connection: ConnectionId) -> FlowId {
        FlowId { node: self.0.identity.node, connection: connection.0 }
    }

    fn trunk_socket(&self, trunk: &TrunkAddress) -> Option<Destination> {
        let remote = trunk.address;
        let protocol = match trunk.transport {
            routing::Transport::Udp => {
                return Some(Destination::Udp { listener: UDP_LISTENER.into(), remote });
            }
            routing::Transport::Tcp => StreamProtocol::Tcp,
            routing::Transport::Tls => StreamProtocol::Tls,
            routing::Transport::Ws | routing::Transport::Wss => return None,
        };
        let otherwise = trunk.otherwise.map_or(Otherwise::Nothing, Otherwise::Peer);
        let target = self.stream_target(&trunk.trunk, protocol, remote);
        self.0.ports.transport.reach(&target, otherwise).ok().map(Destination::Connection)
    }

    fn stream_target(&self, trunk: &str, protocol: StreamProtocol, remote: SocketAddr) -> StreamTarget {
        let server_name = match protocol {
            StreamProtocol::Tls => self.0.trunks.server_name(trunk, remote),
            StreamProtocol::Tcp => None,
        };
        StreamTarget { protocol, trunk: trunk.into(), remote, server_name }
    }
}

pub(super) fn reliability(protocol: Protocol) -> Reliability {
    if protocol.is_reliable() { Reliability::Reliable } else { Reliability::Unreliable }
}

/// RFC 3261 §18.2.2.
const DEFAULT_PORT: u16 = 5060;
