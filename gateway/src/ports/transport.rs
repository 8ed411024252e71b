//! How SIP messages reach the application and leave it.
//!
//! Adapters do framing, keep-alives, handshakes and limits (RFC 3261 §18, RFC 5626 §4.4, RFC 7118); the application
//! sees whole messages and decides where answers go. It never opens a socket and never waits for one.

use std::fmt;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;

/// A SIP transport protocol; [`Transport`] is the sockets here.
pub use sip_core::routing::Transport as Protocol;

/// Implemented by the application; adapters are generic over it.
pub trait Ingress: Clone + Send + Sync + 'static {
    /// A stream connection is ready, its handshakes done. Called before the first [`Ingress::receive`] of it.
    fn opened(&self, source: &Source);

    /// One whole SIP message, not yet parsed. Messages of one connection come one after the other, the next
    /// only when this future is done; datagrams come concurrently.
    fn receive(&self, source: &Source, raw: Bytes) -> impl Future<Output = ()> + Send;

    /// The stream connection is gone. Called exactly once for each [`Ingress::opened`], after the last `receive`.
    fn closed(&self, source: &Source, why: CloseReason);

    /// Messages accepted by [`Transport::send`] were not delivered: the connection that [`Transport::reach`] began to
    /// make did not come about, or the network said that nobody takes datagrams there. Transactions towards it fail over at
    /// once.
    fn unreachable(&self, to: &Destination, why: SendError);
}

/// Where the application sends from; implemented by the transport adapters.
pub trait Transport: Send + Sync + 'static {
    /// Hands over one whole SIP message. Never blocks: the message is on the socket, or in the connection's bounded
    /// queue, or refused.
    ///
    /// # Errors
    /// Says at once why the message cannot leave.
    fn send(&self, to: &Destination, bytes: Bytes) -> Result<(), SendError>;

    /// The connection for a trunk's address: an open one that is not suspect, else one that is dialled now and queues
    /// meanwhile. If that fails, what it queued goes `otherwise`.
    ///
    /// # Errors
    /// [`SendError::Unsuitable`]: the transport is not configured.
    fn reach(&self, target: &StreamTarget, otherwise: Otherwise) -> Result<ConnectionId, SendError>;

    /// A request over this connection got no response in time. Until something is heard from the peer,
    /// [`Transport::reach`] takes another one. Unknown connections are ignored.
    fn suspect(&self, connection: ConnectionId);

    /// Calls live on this connection: it is not closed because nothing passes. Unknown connections are ignored.
    fn keep(&self, connection: ConnectionId);

    /// No call lives on it any more.
    fn release(&self, connection: ConnectionId);

    /// Lifts the limit on connections that have not identified themselves: call it when a browser has registered,
    /// or otherwise shown who it is. Unknown connections are ignored.
    fn authenticated(&self, connection: ConnectionId);

    /// Closes a connection after what is queued has been written, within seconds. Unknown connections are ignored.
    fn close(&self, connection: ConnectionId, why: CloseReason);
}

/// The socket and peer through which a message came, and the way back.
#[derive(Clone)]
pub struct Source {
    /// Which kind of listener it came in by; trust depends on this.
    pub edge: Edge,
    /// The listener's configured name; for a connection we dialled, the name given to the dialler.
    pub listener: Arc<str>,
    /// The transport protocol.
    pub protocol: Protocol,
    /// Our address of the socket. A datagram socket bound to a wildcard address says the wildcard.
    pub local: SocketAddr,
    /// The peer's address as the socket saw it.
    pub remote: SocketAddr,
    /// The stream connection; `None` for datagrams.
    pub connection: Option<ConnectionId>,
    /// For a connection we dialled: what it was dialled for.
    pub dialled: Option<Arc<StreamTarget>>,
    /// Sends on the same connection or socket.
    pub reply: Reply,
}

impl Source {
    /// The destination naming this connection, or this peer of the datagram socket.
    pub fn destination(&self) -> Destination {
        match self.connection {
            Some(connection) => Destination::Connection(connection),
            None => Destination::Udp { listener: Arc::clone(&self.listener), remote: self.remote },
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} from {} to {}", self.listener, self.protocol, self.remote, self.local)?;
        self.connection.map_or(Ok(()), |connection| write!(f, " ({connection})"))
    }
}

/// Sends back the way a message came. Cheap to clone.
#[derive(Clone)]
pub struct Reply {
    remote: SocketAddr,
    sink: Arc<dyn Sink>,
}

impl Reply {
    /// A way back to `remote` through `sink`.
    pub fn new(remote: SocketAddr, sink: Arc<dyn Sink>) -> Self {
        Self { remote, sink }
    }

    /// As [`Transport::send`].
    ///
    /// # Errors
    /// Says at once why the message cannot leave.
    pub fn send(&self, bytes: Bytes) -> Result<(), SendError> {
        self.sink.send_to(self.remote, bytes)
    }
}

/// One connection or datagram socket as seen by [`Reply`].
pub trait Sink: Send + Sync + 'static {
    /// Takes one whole message; a connection ignores `remote`.
    ///
    /// # Errors
    /// As [`Transport::send`].
    fn send_to(&self, remote: SocketAddr, bytes: Bytes) -> Result<(), SendError>;
}

/// Where a message goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Destination {
    /// A connection of this process, open or being made.
    Connection(ConnectionId),
    /// For responses to a trunk: the connection that its request came by, or once that is closed one to where its Via says
    /// that it listens (RFC 3261 §18.2.2).
    Answer {
        /// Of the request.
        connection: ConnectionId,
        /// The address that the request came from, with the port of the Via's `sent-by`.
        back: StreamTarget,
    },
    /// A datagram from the socket of the named listener.
    Udp {
        /// The listener whose socket (hence address and port) the datagram leaves from.
        listener: Arc<str>,
        /// The receiver.
        remote: SocketAddr,
    },
}

/// A trunk's address for connections we dial.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StreamTarget {
    /// TCP or TLS.
    pub protocol: StreamProtocol,
    /// The trunk's name: for the log, and for TLS its authorities and our certificate.
    pub trunk: Arc<str>,
    /// The address to connect to.
    pub remote: SocketAddr,
    /// TLS: the name the certificate must be valid for; without it, the address.
    pub server_name: Option<Arc<str>>,
}

/// An open connection of the same protocol to be taken when a target can't be dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Otherwise {
    /// None: the messages are not delivered.
    Nothing,
    /// The one with this other end.
    Peer(SocketAddr),
    /// Any that came from this host.
    Host(IpAddr),
}

/// What a trunk can be dialled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StreamProtocol {
    /// Plain TCP.
    Tcp,
    /// TLS over TCP (RFC 5922 for the server's name).
    Tls,
}

impl StreamProtocol {
    /// As a transport protocol of SIP.
    pub fn protocol(self) -> Protocol {
        match self {
            Self::Tcp => Protocol::Tcp,
            Self::Tls => Protocol::Tls,
        }
    }

    /// None for what trunks don't speak on a stream.
    pub fn of(protocol: Protocol) -> Option<Self> {
        match protocol {
            Protocol::Tcp => Some(Self::Tcp),
            Protocol::Tls => Some(Self::Tls),
            Protocol::Udp | Protocol::Ws | Protocol::Wss => None,
        }
    }
}

/// Which side of the gateway a listener serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Edge {
    /// Browsers: trusted by digest or token, never by address.
    Browser,
    /// Trunks: trusted by listener and address, or by client certificate.
    Trunk,
}

/// A stream connection, unique in the life of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection {}", self.0)
    }
}

/// Why a message did not leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The connection is closed, closing, or was never here; or there is no such listener.
    #[error("no such connection or listener")]
    Gone,
    /// The queue or the socket's buffer is full; the message was not taken. A full connection is being closed.
    #[error("queue full")]
    Full,
    /// No connection could be made: refused, timed out, or the certificate was not accepted.
    #[error("connection failed")]
    Unreachable,
    /// The message is too long for the transport, or the transport is not configured.
    #[error("message cannot be sent by this transport")]
    Unsuitable,
}

/// Why a connection ends. WebSocket close codes are of RFC 6455 §7.4.1; other streams are just closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The peer closed, orderly or not.
    Peer,
    /// We are done with it. 1000.
    Normal,
    /// The peer broke the protocol. 1002.
    Protocol,
    /// A text frame that is not UTF-8. 1007.
    NotText,
    /// The peer broke a rule of ours. 1008.
    Policy,
    /// A frame or message above the limit. 1009.
    TooBig,
    /// Handshake, frame, first message or identification did not come in time. 1008.
    TooSlow,
    /// No sign of life although asked for one. 1001.
    Silent,
    /// Nothing has passed for long. 1001.
    Idle,
    /// The peer does not read what we send. 1008.
    SlowReader,
    /// We are restarting or draining: come back, to any node. 1012.
    Restart,
    /// The socket failed.
    Io,
    /// Our own fault. 1011.
    Internal,
}

impl CloseReason {
    /// Every reason, for tables and metrics.
    pub const ALL: [Self; 13] = [
        Self::Peer,
        Self::Normal,
        Self::Protocol,
        Self::NotText,
        Self::Policy,
        Self::TooBig,
        Self::TooSlow,
        Self::Silent,
        Self::Idle,
        Self::SlowReader,
        Self::Restart,
        Self::Io,
        Self::Internal,
    ];

    /// The WebSocket close code; `None` when there is nobody to tell.
    pub fn websocket_code(self) -> Option<u16> {
        match self {
            Self::Peer | Self::Io => None,
            Self::Normal => Some(1000),
            Self::Silent | Self::Idle => Some(1001),
            Self::Protocol => Some(1002),
            Self::NotText => Some(1007),
            Self::Policy | Self::TooSlow | Self::SlowReader => Some(1008),
            Self::TooBig => Some(1009),
            Self::Internal => Some(1011),
            Self::Restart => Some(1012),
        }
    }

    /// Whether the peer may still read what is on its way when a connection ends for this reason.
    pub fn leaves_a_reader(self) -> bool {
        match self {
            Self::Io | Self::SlowReader => false,
            Self::Peer
            | Self::Normal
            | Self::Protocol
            | Self::NotText
            | Self::Policy
            | Self::TooBig
            | Self::TooSlow
            | Self::Silent
            | Self::Idle
            | Self::Restart
            | Self::Internal => true,
        }
    }

    /// A word for logs and metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Normal => "normal",
            Self::Protocol => "protocol",
            Self::NotText => "not_text",
            Self::Policy => "policy",
            Self::TooBig => "too_big",
            Self::TooSlow => "too_slow",
            Self::Silent => "silent",
            Self::Idle => "idle",
            Self::SlowReader => "slow_reader",
            Self::Restart => "restart",
            Self::Io => "io",
            Self::Internal => "internal",
        }
    }
}
