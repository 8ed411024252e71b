//! All sockets of the process behind the port [`Transport`].

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use prometheus::Registry;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;

use super::connections::Connections;
use super::counters::Statistics;
use super::dial::{DialSettings, Dialler, Reaching};
use super::limits::{Gate, Limits};
use super::listener::{Door, DoorKind, Gates, Kind, Listener, Stage};
use super::refusal::Refusals;
use super::udp::{DatagramSocket, Receiver};
use crate::ports::transport::{
    CloseReason, ConnectionId, Destination, Ingress, Otherwise, SendError, Sink, StreamTarget, Transport,
};

/// Every listener and connection. Cheap to clone; all clones are the same transports.
#[derive(Clone)]
pub struct Transports(Arc<Inner>);

struct Inner {
    connections: Arc<Connections>,
    datagrams: RwLock<HashMap<Arc<str>, Arc<DatagramSocket>>>,
    dialler: OnceLock<Arc<dyn Reaching>>,
    stage: watch::Sender<Stage>,
}

impl Transports {
    /// Without listeners yet: the application is made in between, since it sends by these and hears from the listeners. Peers that
    /// have not shown who they are hold so many bytes together.
    pub fn new(strangers_bytes: usize) -> Self {
        Self(Arc::new(Inner {
            connections: Arc::new(Connections::new(strangers_bytes)),
            datagrams: RwLock::default(),
            dialler: OnceLock::new(),
            stage: watch::Sender::new(Stage::Running),
        }))
    }

    /// Opens a listener and serves it until [`Transports::shutdown`]. Tells the address, with the port that was given.
    ///
    /// # Errors
    /// The port was taken since it was bound: until somebody listens, Linux lets others bind it.
    pub fn listen<I: Ingress>(&self, listener: Listener, ingress: I) -> io::Result<SocketAddr> {
        let Listener { name, edge, peers, proxies, socket, limits, kind } = listener;
        let kind = match kind {
            Kind::Udp => {
                let socket = Arc::new(socket.receive()?);
                let counters = Arc::clone(self.0.connections.counters());
                let stage = self.0.stage.subscribe();
                let local = socket.local();
                self.0.keep_datagram_socket(&name, &socket);
                tokio::spawn(Receiver { socket, name, edge, limits, counters, stage, ingress }.run());
                return Ok(local);
            }
            Kind::Tcp => DoorKind::Tcp,
            Kind::Tls(tls) => DoorKind::Tls(tls),
            Kind::Ws(web) => DoorKind::Ws(web),
            Kind::Wss { web, tls, turn } => DoorKind::Wss { web, tls: TlsAcceptor::from(tls), turn },
        };
        let socket = socket.listen()?;
        let local = socket.local_addr()?;
        let gates = Gates::new(peers, &limits);
        let lobby = Gate::new(&Limits { connections_per_address: limits.connections, ..limits.clone() });
        let (connections, stage) = (Arc::clone(&self.0.connections), self.0.stage.subscribe());
        let refusals = Refusals::new(&name, connections.counters());
        let limits = Arc::new(limits);
        let door =
            Door { name, edge, kind, limits, gates, proxies, lobby, refusals, connections, stage, ingress };
        tokio::spawn(Arc::new(door).run(socket));
        Ok(local)
    }

    /// Lets [`Transport::reach`] make connections. The first call counts.
    pub fn dial_with<I: Ingress>(&self, settings: DialSettings, ingress: I) {
        let limits = Arc::new(settings.limits.clone());
        let connections = Arc::clone(&self.0.connections);
        let dialler: Arc<dyn Reaching> = Arc::new(Dialler { settings, limits, connections, ingress });
        let _ = self.0.dialler.set(dialler);
    }

    /// Shows what is counted to the operators.
    ///
    /// # Errors
    /// If there are metrics of these names.
    pub fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        self.0.connections.counters().register(registry)
    }

    /// What was counted so far.
    pub fn statistics(&self) -> Statistics {
        self.0.connections.counters().snapshot()
    }

    /// Lets nothing new in, and closes all connections, spread evenly over `drain` so that browsers do not all come back
    /// to the next node at once. Datagrams are received to the end. Returns when all are closed, or a little after
    /// `drain` at the latest.
    pub async fn shutdown(&self, drain: Duration) {
        self.0.stage.send_replace(Stage::Draining);
        let connections = &self.0.connections;
        let ids = connections.ids();
        let step = drain / u32::try_from(ids.len().max(1)).unwrap_or(u32::MAX);
        let mut at = Instant::now();
        for id in ids {
            sleep_until(at).await;
            self.close(id, CloseReason::Restart);
            at += step;
        }
        // Those that were in their handshakes when draining began.
        for id in connections.ids() {
            self.close(id, CloseReason::Restart);
        }
        let _ = timeout(LAST_GOODBYES, connections.wait_until_empty()).await;
        self.0.stage.send_replace(Stage::Stopped);
    }
}

impl Transport for Transports {
    fn send(&self, to: &Destination, bytes: Bytes) -> Result<(), SendError> {
        match to {
            Destination::Connection(id) => self.0.push(*id, bytes),
            Destination::Answer { connection, back } => match self.0.push(*connection, bytes.clone()) {
                Err(SendError::Gone) => {
                    self.0.push(self.reach(back, Otherwise::Host(back.remote.ip()))?, bytes)
                }
                result => result,
            },
            Destination::Udp { listener, remote } => {
                self.0.datagram_socket(listener).ok_or(SendError::Gone)?.send_to(*remote, bytes)
            }
        }
    }

    fn reach(&self, target: &StreamTarget, otherwise: Otherwise) -> Result<ConnectionId, SendError> {
        let dialler = self.0.dialler.get().ok_or(SendError::Unsuitable)?;
        Arc::clone(dialler).reach(target, otherwise)
    }

    fn suspect(&self, connection: ConnectionId) {
        if let Some(outbox) = self.0.connections.get(connection) {
            outbox.suspect(Instant::now());
        }
    }

    fn keep(&self, connection: ConnectionId) {
        if let Some(outbox) = self.0.connections.get(connection) {
            outbox.keep();
        }
    }

    fn release(&self, connection: ConnectionId) {
        if let Some(outbox) = self.0.connections.get(connection) {
            outbox.release();
        }
    }

    fn authenticated(&self, connection: ConnectionId) {
        if let Some(outbox) = self.0.connections.get(connection) {
            outbox.identify();
        }
    }

    fn close(&self, connection: ConnectionId, why: CloseReason) {
        if let Some(outbox) = self.0.connections.get(connection) {
            outbox.close(why);
        }
    }
}

impl Inner {
    fn push(&self, connection: ConnectionId, bytes: Bytes) -> Result<(), SendError> {
        self.connections.get(connection).ok_or(SendError::Gone)?.push(bytes)
    }

    fn keep_datagram_socket(&self, name: &Arc<str>, socket: &Arc<DatagramSocket>) {
        let mut sockets = self.datagrams.write().unwrap_or_else(PoisonError::into_inner);
        sockets.insert(Arc::clone(name), Arc::clone(socket));
    }

    fn datagram_socket(&self, name: &str) -> Option<Arc<DatagramSocket>> {
        self.datagrams.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }
}

impl fmt::Debug for Transports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Transports").field(&self.statistics()).finish()
    }
}

/// For the last close handshakes of a drain.
const LAST_GOODBYES: Duration = Duration::from_secs(3);
