//! A network drawn from the seed: datagrams get lost, repeated and late; connections are slow but lose nothing.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use gateway::app::{Node, UDP_LISTENER};
use gateway::ports::runtime::Runtime;
use gateway::ports::transport::{
    CloseReason, ConnectionId, Destination, Edge, Ingress, Otherwise, Protocol, Reply, SendError, Sink,
    Source, StreamTarget, Transport,
};
use gateway::runtime::sim::Simulated;
use tokio::sync::mpsc;

/// What can go wrong with a datagram.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    /// Percent that never arrive.
    pub lost: u64,
    /// Percent that arrive twice.
    pub doubled: u64,
    /// Most milliseconds on the way; they overtake each other.
    pub delay: u64,
}

/// Where an agent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// A trunk's address.
    Udp(SocketAddr),
    /// A browser's connection.
    Connection(ConnectionId),
}

/// The network between one node and its agents. Clones are the same network.
#[derive(Clone)]
pub struct Network(Arc<Inner>);

struct Inner {
    machine: Simulated,
    faults: Faults,
    node: OnceLock<Node<Simulated>>,
    inboxes: Mutex<HashMap<Place, mpsc::UnboundedSender<Bytes>>>,
    /// Streams keep their order: one queue each way.
    streams: Mutex<HashMap<Place, mpsc::UnboundedSender<Bytes>>>,
}

impl Network {
    pub fn new(machine: Simulated, faults: Faults) -> Self {
        Self(Arc::new(Inner {
            machine,
            faults,
            node: OnceLock::new(),
            inboxes: Mutex::default(),
            streams: Mutex::default(),
        }))
    }

    pub fn connect_node(&self, node: Node<Simulated>) {
        assert!(self.0.node.set(node).is_ok(), "one node");
    }

    /// Puts an agent on the network; what reaches it comes out of the inbox.
    pub fn join(&self, place: Place) -> mpsc::UnboundedReceiver<Bytes> {
        let (inbox, receiver) = mpsc::unbounded_channel();
        self.0.inboxes.lock().unwrap().insert(place, inbox);
        if let Place::Connection(_) = place {
            self.node().opened(&self.source(place));
            let (up, sent_up) = mpsc::unbounded_channel();
            self.0.streams.lock().unwrap().insert(place, up);
            self.0.machine.spawn(self.clone().carry_up(place, sent_up));
        }
        receiver
    }

    /// A browser's connection breaks.
    pub fn leave(&self, place: Place) {
        self.0.inboxes.lock().unwrap().remove(&place);
        self.0.streams.lock().unwrap().remove(&place);
        self.node().closed(&self.source(place), CloseReason::Peer);
    }

    /// An agent sends to the node.
    pub fn to_node(&self, from: Place, bytes: Bytes) {
        self.trace("→ node", from, &bytes);
        match from {
            Place::Connection(_) => {
                if let Some(stream) = self.0.streams.lock().unwrap().get(&from) {
                    let _ = stream.send(bytes);
                }
            }
            Place::Udp(_) => self.datagram(move |network| {
                let bytes = bytes.clone();
                async move {
                    let source = network.source(from);
                    network.node().receive(&source, bytes).await;
                }
            }),
        }
    }

    fn to_agent(&self, place: Place, bytes: Bytes) -> Result<(), SendError> {
        self.trace("← node", place, &bytes);
        let inbox = self.0.inboxes.lock().unwrap().get(&place).cloned().ok_or(SendError::Gone)?;
        match place {
            Place::Connection(_) => {
                let _ = inbox.send(bytes);
            }
            Place::Udp(_) => self.datagram(move |_| {
                let (inbox, bytes) = (inbox.clone(), bytes.clone());
                async move {
                    let _ = inbox.send(bytes);
                }
            }),
        }
        Ok(())
    }

    /// Lets a delivery happen never, once or twice, each after its own delay.
    fn datagram<F: Future<Output = ()> + Send + 'static>(
        &self,
        deliver: impl Fn(Network) -> F + Send + Sync + 'static,
    ) {
        let Faults { lost, doubled, delay } = self.0.faults;
        let deliver = Arc::new(deliver);
        let chance = |percent| self.0.machine.below(100) < percent;
        let copies = if chance(lost) { 0 } else { 1 + u64::from(chance(doubled)) };
        for _ in 0..copies {
            let at = self.0.machine.now() + Duration::from_millis(self.0.machine.below(delay + 1));
            let (network, deliver) = (self.clone(), Arc::clone(&deliver));
            self.0.machine.spawn(async move {
                network.0.machine.sleep_until(at).await;
                deliver(network.clone()).await;
            });
        }
    }

    async fn carry_up(self, place: Place, mut sent: mpsc::UnboundedReceiver<Bytes>) {
        while let Some(bytes) = sent.recv().await {
            let machine = &self.0.machine;
            let at = machine.now() + Duration::from_millis(machine.below(self.0.faults.delay + 1));
            machine.sleep_until(at).await;
            self.node().receive(&self.source(place), bytes).await;
        }
    }

    /// `SIMULATION_TRACE=1` prints what is sent, lost or not.
    fn trace(&self, way: &str, place: Place, bytes: &Bytes) {
        if std::env::var_os("SIMULATION_TRACE").is_none() {
            return;
        }
        let text = String::from_utf8_lossy(bytes);
        let line =
            |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_string();
        let at = self.0.machine.now().0.as_millis();
        eprintln!("{at:>7} {way} {place:?} {} | {} | {}", line(""), line("CSeq"), line("Call-ID"));
    }

    fn node(&self) -> &Node<Simulated> {
        self.0.node.get().expect("the node joins first")
    }

    fn source(&self, place: Place) -> Source {
        let (edge, listener, protocol, remote, connection) = match place {
            Place::Udp(remote) => (Edge::Trunk, UDP_LISTENER, Protocol::Udp, remote, None),
            Place::Connection(id) => {
                (Edge::Browser, "wss", Protocol::Wss, "198.51.100.9:4711".parse().unwrap(), Some(id))
            }
        };
        Source {
            edge,
            listener: listener.into(),
            protocol,
            local: "192.0.2.1:5060".parse().unwrap(),
            remote,
            connection,
            dialled: None,
            reply: Reply::new(remote, Arc::new(Back { network: self.clone(), place })),
        }
    }
}

impl Transport for Network {
    fn send(&self, to: &Destination, bytes: Bytes) -> Result<(), SendError> {
        match to {
            Destination::Connection(id) => self.to_agent(Place::Connection(*id), bytes),
            Destination::Answer { connection, .. } => self.to_agent(Place::Connection(*connection), bytes),
            // A datagram to nobody is no error.
            Destination::Udp { remote, .. } => self.to_agent(Place::Udp(*remote), bytes).or(Ok(())),
        }
    }

    fn reach(&self, _: &StreamTarget, _: Otherwise) -> Result<ConnectionId, SendError> {
        Err(SendError::Unsuitable)
    }

    fn suspect(&self, _: ConnectionId) {}

    fn keep(&self, _: ConnectionId) {}

    fn release(&self, _: ConnectionId) {}

    fn authenticated(&self, _: ConnectionId) {}

    fn close(&self, _: ConnectionId, _: CloseReason) {}
}

struct Back {
    network: Network,
    place: Place,
}

impl Sink for Back {
    fn send_to(&self, _: SocketAddr, bytes: Bytes) -> Result<(), SendError> {
        self.network.to_agent(self.place, bytes)
    }
}
