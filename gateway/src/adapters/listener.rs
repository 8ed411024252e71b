//! Listeners of stream transports: binding, accepting, TLS, and the way to a session.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use daemon::handshake;
use ipnet::IpNet;
use media_relay::Relay;
use rustls::ServerConfig;
use socket2::{Domain, Protocol as SocketProtocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::connections::{Connections, Peer};
use super::limits::{Admission, Gate, Limits};
use super::outbox::Outbox;
use super::proxy::{self, Greeting, Proxies};
use super::refusal::{Refusal, Refusals};
use super::session::{self, Line, Wire};
use super::tcp::StreamWire;
use super::turn;
use super::udp::{self, DatagramSocket};
use super::ws::{self, Web};
use crate::ports::transport::{Edge, Ingress, Protocol, Reply, Source, StreamProtocol};

/// A listener to open.
#[derive(Debug)]
pub struct Listener {
    /// Its name, in [`Source::listener`] and in logs.
    pub name: Arc<str>,
    /// Whom it serves.
    pub edge: Edge,
    /// Whose connections it takes.
    pub peers: Peers,
    /// In front of it.
    pub proxies: Proxies,
    /// Of its transport.
    pub socket: BoundSocket,
    /// Its bounds.
    pub limits: Limits,
    /// What is spoken there.
    pub kind: Kind,
}

/// A socket that has its port and lets nobody in yet.
#[derive(Debug)]
pub struct BoundSocket(Socket);

impl BoundSocket {
    /// For SIP over UDP; port 0 takes a free one.
    ///
    /// # Errors
    /// The address can't be had.
    pub fn of_datagrams(at: SocketAddr) -> io::Result<Self> {
        udp::bind(at).map(Self)
    }

    /// For a stream transport. Windows of what we send are kept small for browsers, so that a peer that does not read cannot make
    /// the kernel hold megabytes.
    ///
    /// # Errors
    /// The address can't be had.
    pub fn of_streams(at: SocketAddr, edge: Edge) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(at), Type::STREAM, Some(SocketProtocol::TCP))?;
        socket.set_reuse_address(true)?;
        if edge == Edge::Browser {
            socket.set_send_buffer_size(BROWSER_SEND_BUFFER)?;
        }
        socket.set_nonblocking(true)?;
        serve_both_families(&socket, at)?;
        socket.bind(&at.into())?;
        Ok(Self(socket))
    }

    /// Lets peers connect.
    pub(crate) fn listen(self) -> io::Result<TcpListener> {
        self.0.listen(BACKLOG)?;
        TcpListener::from_std(self.0.into())
    }

    pub(crate) fn receive(self) -> io::Result<DatagramSocket> {
        DatagramSocket::new(self.0.into())
    }
}

/// Whose connections a listener takes.
#[derive(Clone, Debug)]
pub enum Peers {
    /// Everybody's, within its limits.
    Anyone,
    /// Those of these trunks, by their networks. The limits are each trunk's own, so that no other takes its places, and who
    /// is outside of all is closed before he counts.
    Trunks(Vec<Vec<IpNet>>),
}

/// What is spoken on a listener.
#[derive(Clone, Debug)]
pub enum Kind {
    /// SIP over UDP.
    Udp,
    /// SIP over TCP.
    Tcp,
    /// SIP over TLS.
    Tls(TrunkTls),
    /// HTTP with SIP over WebSocket.
    Ws(Web),
    /// HTTPS with SIP over secure WebSocket.
    Wss {
        /// What HTTP serves.
        web: Web,
        /// Offers [`daemon::tls::HTTP`], and with `turn` [`daemon::tls::TURN`].
        tls: Arc<ServerConfig>,
        /// The relay that gets connections of TURN clients.
        turn: Option<Relay>,
    },
}

/// TLS of a listener for trunks: which certificates are demanded depends on who comes.
#[derive(Clone, Debug)]
pub struct TrunkTls {
    /// Of trunks, by the networks that they come from; the first one counts.
    pub by_network: Vec<(Vec<IpNet>, Arc<ServerConfig>)>,
    /// Of everybody else.
    pub others: Arc<ServerConfig>,
}

impl TrunkTls {
    fn towards(&self, peer: IpAddr) -> &Arc<ServerConfig> {
        let is_from = |cidrs: &[IpNet]| cidrs.iter().any(|cidr| cidr.contains(&peer));
        self.by_network.iter().find(|(cidrs, _)| is_from(cidrs)).map_or(&self.others, |(_, config)| config)
    }
}

/// How far the process is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Running,
    /// Nothing new is let in.
    Draining,
    Stopped,
}

impl Stage {
    /// Waits until the process is that far, or further.
    pub(crate) async fn reached(self, now: &mut watch::Receiver<Self>) {
        let _ = now.wait_for(|now| *now >= self).await;
    }
}

/// One listener of a stream transport at work.
pub(crate) struct Door<I> {
    pub(crate) name: Arc<str>,
    pub(crate) edge: Edge,
    pub(crate) kind: DoorKind,
    pub(crate) limits: Arc<Limits>,
    pub(crate) gates: Gates,
    pub(crate) proxies: Proxies,
    /// For connections of proxies, until it is known whose they are.
    pub(crate) lobby: Arc<Gate>,
    pub(crate) refusals: Refusals,
    pub(crate) connections: Arc<Connections>,
    pub(crate) stage: watch::Receiver<Stage>,
    pub(crate) ingress: I,
}

/// Who is let in, and how many.
pub(crate) enum Gates {
    Anyone(Arc<Gate>),
    Trunks(Vec<(Vec<IpNet>, Arc<Gate>)>),
}

impl Gates {
    pub(crate) fn new(peers: Peers, limits: &Limits) -> Self {
        match peers {
            Peers::Anyone => Self::Anyone(Gate::new(limits)),
            Peers::Trunks(trunks) => {
                Self::Trunks(trunks.into_iter().map(|networks| (networks, Gate::new(limits))).collect())
            }
        }
    }

    pub(crate) fn admit(&self, address: IpAddr) -> Result<Admission, Refusal> {
        match self {
            Self::Anyone(gate) => gate.admit(address),
            Self::Trunks(trunks) => {
                let of_trunk =
                    trunks.iter().find(|(networks, _)| networks.iter().any(|net| net.contains(&address)));
                of_trunk.ok_or(Refusal::Stranger)?.1.admit(address)
            }
        }
    }
}

/// [`Kind`] without UDP, ready for use.
pub(crate) enum DoorKind {
    Tcp,
    Tls(TrunkTls),
    Ws(Web),
    Wss { web: Web, tls: TlsAcceptor, turn: Option<Relay> },
}

/// Where an accepted connection comes from.
pub(crate) struct Visitor {
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    /// By then all handshakes are done.
    pub(crate) deadline: Instant,
    pub(crate) admission: Admission,
}

/// A listener on `::` serves IPv4 as well, whatever the system's default.
pub(crate) fn serve_both_families(socket: &Socket, at: SocketAddr) -> io::Result<()> {
    match at {
        SocketAddr::V4(_) => Ok(()),
        SocketAddr::V6(at) => socket.set_only_v6(!at.ip().is_unspecified()),
    }
}

/// An IPv4 peer of such a listener, as IPv4.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(_) => address,
        SocketAddr::V6(v6) => match v6.ip().to_canonical() {
            IpAddr::V4(ip) => SocketAddr::new(ip.into(), v6.port()),
            IpAddr::V6(_) => address,
        },
    }
}

impl<I: Ingress> Door<I> {
    /// Accepts until draining begins.
    pub(crate) async fn run(self: Arc<Self>, listener: TcpListener) {
        let mut stage = self.stage.clone();
        let mut pause = ACCEPT_PAUSE_MIN;
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = Stage::Draining.reached(&mut stage) => return,
            };
            match accepted {
                Ok((stream, remote)) => {
                    pause = ACCEPT_PAUSE_MIN;
                    self.admit(stream, canonical(remote));
                }
                Err(error) => {
                    // Without descriptors accept fails at once, again and again: wait for some to be closed.
                    self.connections.counters().note_accept_failure();
                    tracing::warn!(listener = %self.name, %error, "accept failed");
                    sleep(pause).await;
                    pause = (pause * 2).min(ACCEPT_PAUSE_MAX);
                }
            }
        }
    }

    fn admit(self: &Arc<Self>, stream: TcpStream, remote: SocketAddr) {
        let gate = match self.may_be_proxied(remote.ip()) {
            true => self.lobby.admit(remote.ip()),
            false => self.gates.admit(remote.ip()),
        };
        let admission = match gate {
            Ok(admission) => admission,
            Err(why) => return self.refusals.note(why, remote, ""),
        };
        let _ = stream.set_nodelay(true);
        let Ok(local) = stream.local_addr() else { return };
        let deadline = Instant::now() + self.limits.handshake;
        let visitor = Visitor { local: canonical(local), remote, deadline, admission };
        // The handshakes have a task of their own: the room that they take is given back when they are done.
        tokio::spawn(Arc::clone(self).shake_hands(stream, visitor));
    }

    /// Are we going to be told for whom the peer connects?
    fn may_be_proxied(&self, peer: IpAddr) -> bool {
        let is_told = match self.kind {
            DoorKind::Ws(_) | DoorKind::Wss { .. } => true,
            DoorKind::Tcp | DoorKind::Tls(_) => self.proxies.greeting == Greeting::ProxyV2,
        };
        is_told && self.proxies.trusts(peer)
    }

    /// Lets in whom a proxy speaks for by HTTP, or the proxy itself; none if the peer is no proxy and has been let in.
    pub(crate) fn admit_forwarded(
        &self,
        headers: &HeaderMap,
        peer: IpAddr,
    ) -> Result<Option<(IpAddr, Admission)>, Refusal> {
        if !self.proxies.trusts(peer) {
            return Ok(None);
        }
        let client = self.proxies.forwarded_for(headers, peer).unwrap_or(peer);
        self.gates.admit(client).map(|admission| Some((client, admission)))
    }

    /// Reads what a proxy says first. None if the connection is of no use.
    async fn greet(&self, stream: &mut TcpStream, mut visitor: Visitor) -> Option<Visitor> {
        if self.proxies.greeting == Greeting::None || !self.proxies.trusts(visitor.remote.ip()) {
            return Some(visitor);
        }
        let (proxy, read) = (visitor.remote, proxy::read_header(stream));
        let admitted = match timeout_at(visitor.deadline, read).await {
            Err(_) => Err((Refusal::TooSlow, "PROXY".to_owned())),
            Ok(Err(error)) => Err((Refusal::Proxy, error.to_string())),
            Ok(Ok(client)) => {
                visitor.remote = client.unwrap_or(proxy);
                self.gates.admit(visitor.remote.ip()).map_err(|why| (why, String::new()))
            }
        };
        match admitted {
            Ok(admission) => Some(Visitor { admission, ..visitor }),
            Err((why, detail)) => {
                self.refusals.note(why, visitor.remote, detail);
                None
            }
        }
    }

    async fn shake_hands(self: Arc<Self>, mut stream: TcpStream, visitor: Visitor) {
        let Some(visitor) = self.greet(&mut stream, visitor).await else { return };
        match &self.kind {
            DoorKind::Tcp => {
                watch_peer(&stream);
                self.start_session(Protocol::Tcp, visitor, |limits| StreamWire::new(stream, limits));
            }
            DoorKind::Tls(tls) => {
                watch_peer(&stream);
                let acceptor = TlsAcceptor::from(Arc::clone(tls.towards(visitor.remote.ip())));
                if let Some(stream) = self.accept_tls(&acceptor, stream, &visitor).await {
                    self.start_session(Protocol::Tls, visitor, |limits| StreamWire::new(stream, limits));
                }
            }
            DoorKind::Ws(web) => ws::serve(&self, web, Protocol::Ws, stream, visitor).await,
            DoorKind::Wss { web, tls, turn } => {
                let Some(mut stream) = self.accept_tls(tls, stream, &visitor).await else { return };
                match turn {
                    Some(relay) if turn::is_spoken(&mut stream, visitor.deadline).await => {
                        turn::hand_over(relay, stream, visitor).await;
                    }
                    _ => ws::serve(&self, web, Protocol::Wss, stream, visitor).await,
                }
            }
        }
    }

    async fn accept_tls(
        &self,
        acceptor: &TlsAcceptor,
        stream: TcpStream,
        visitor: &Visitor,
    ) -> Option<TlsStream<handshake::Transport>> {
        match timeout_at(visitor.deadline, handshake::accept(acceptor, stream)).await {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                self.refusals.note(Refusal::Tls, visitor.remote, error);
                None
            }
            Err(_) => {
                self.refusals.note(Refusal::TooSlow, visitor.remote, "TLS");
                None
            }
        }
    }

    /// Starts the session of a connection whose handshakes are done, as a task of its own.
    pub(crate) fn start_session<W: Wire + 'static>(
        &self,
        protocol: Protocol,
        visitor: Visitor,
        wire: impl FnOnce(&Limits) -> W,
    ) {
        let Visitor { local, remote, admission, .. } = visitor;
        let outbox = Arc::new(Outbox::new(&self.limits));
        let peer = match self.edge {
            Edge::Trunk => StreamProtocol::of(protocol).map(|protocol| Peer::Accepted(protocol, remote)),
            Edge::Browser => None,
        };
        let registration = self.connections.register(&outbox, peer, Some(admission));
        let source = Source {
            edge: self.edge,
            listener: Arc::clone(&self.name),
            protocol,
            local,
            remote,
            connection: Some(registration.id()),
            dialled: None,
            reply: Reply::new(remote, outbox.clone()),
        };
        let line = Line {
            ingress: self.ingress.clone(),
            source: Arc::new(source),
            outbox,
            limits: Arc::clone(&self.limits),
            registration,
        };
        tokio::spawn(session::run(wire(&self.limits), line));
    }
}

/// Lets the kernel find out about trunks that vanished without a word; browsers are asked by ping.
pub(crate) fn watch_peer(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    let probes = TcpKeepalive::new().with_time(PROBE_AFTER).with_interval(PROBE_EVERY);
    let _ = socket.set_tcp_keepalive(&probes);
    let _ = socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
}

/// Connections that the kernel finishes before we accept them.
const BACKLOG: i32 = 1_024;

/// Bytes; Linux doubles it.
const BROWSER_SEND_BUFFER: usize = 32 * 1024;

const ACCEPT_PAUSE_MIN: Duration = Duration::from_millis(20);
const ACCEPT_PAUSE_MAX: Duration = Duration::from_secs(1);

/// Of silence; a firewall's memory of a connection is longer.
const PROBE_AFTER: Duration = Duration::from_secs(10);
const PROBE_EVERY: Duration = Duration::from_secs(5);
/// What is sent, a probe included, is acknowledged by then, or the connection ends (RFC 5482). Two lost probes in a row, or
/// half a dozen repeats of a segment; and of the 32 s of timers B and F enough is left to try another connection.
const UNACKNOWLEDGED: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[tokio::test] // RFC 5482; RFC 3261 §17.1.1.2, timer B
    async fn a_dead_connection_leaves_time_for_another_one() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        watch_peer(&stream);
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        let (limit, timer_b) = (socket.tcp_user_timeout().unwrap().unwrap(), Duration::from_secs(32));
        assert!(limit <= timer_b * 2 / 3, "{limit:?}");
        assert!(limit >= PROBE_AFTER + PROBE_EVERY * 2, "one lost probe is no death");
    }
}
