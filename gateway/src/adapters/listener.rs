//! Listeners of stream transports: binding, accepting, TLS, and the way to a session.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use media_relay::Relay;
use rustls::ServerConfig;
use socket2::{Domain, Protocol as SocketProtocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_rustls::TlsAcceptor;

use super::connections::{Connections, Peer};
use super::limits::{Admission, Gate, Limits};
use super::outbox::Outbox;
use super::session::{self, Line, Wire};
use super::tcp::StreamWire;
use super::turn;
use super::ws::{self, Web};
use crate::ports::transport::{Edge, Ingress, Protocol, Reply, Source, StreamProtocol};

/// A listener to open.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Its name, in [`Source::listener`] and in logs.
    pub name: Arc<str>,
    /// Whom it serves.
    pub edge: Edge,
    /// Where; port 0 takes a free one.
    pub bind: SocketAddr,
    /// Its bounds.
    pub limits: Limits,
    /// What is spoken there.
    pub kind: Kind,
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
    pub(crate) gate: Arc<Gate>,
    pub(crate) connections: Arc<Connections>,
    pub(crate) stage: watch::Receiver<Stage>,
    pub(crate) ingress: I,
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

/// Opens a socket that listens. Windows of what we send are kept small for browsers, so that a peer that does not read
/// cannot make the kernel hold megabytes.
pub(crate) fn bind(at: SocketAddr, edge: Edge) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(at), Type::STREAM, Some(SocketProtocol::TCP))?;
    socket.set_reuse_address(true)?;
    if edge == Edge::Browser {
        socket.set_send_buffer_size(BROWSER_SEND_BUFFER)?;
    }
    socket.set_nonblocking(true)?;
    serve_both_families(&socket, at)?;
    socket.bind(&at.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
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
        let Some(admission) = self.gate.admit(remote.ip()) else {
            self.connections.counters().note_refused();
            tracing::debug!(listener = %self.name, %remote, "too many connections");
            return;
        };
        let _ = stream.set_nodelay(true);
        let Ok(local) = stream.local_addr() else { return };
        let deadline = Instant::now() + self.limits.handshake;
        let visitor = Visitor { local: canonical(local), remote, deadline, admission };
        // The handshakes have a task of their own: the room that they take is given back when they are done.
        tokio::spawn(Arc::clone(self).shake_hands(stream, visitor));
    }

    async fn shake_hands(self: Arc<Self>, stream: TcpStream, visitor: Visitor) {
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
    ) -> Option<tokio_rustls::server::TlsStream<TcpStream>> {
        match timeout_at(visitor.deadline, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                self.connections.counters().note_handshake_failed();
                tracing::debug!(listener = %self.name, remote = %visitor.remote, %error, "TLS failed");
                None
            }
            Err(_) => {
                self.connections.counters().note_handshake_failed();
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
