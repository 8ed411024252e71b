//! An application that writes down what it hears, and listeners in front of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gateway::adapters::{
    BoundSocket, Kind, Limits, Listener, MissingOrigin, Origins, Peers, Proxies, Transports, Web,
};
use gateway::ports::transport::{
    CloseReason, ConnectionId, Destination, Edge, Ingress, SendError, Source, Transport,
};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

/// What the application heard.
#[derive(Debug)]
pub enum Heard {
    Opened(Source),
    Message(Source, Bytes),
    Closed(CloseReason),
    Unreachable(Destination, SendError),
}

/// Writes down everything; works on messages that hold `wait` only while it has a permit, panics at `panic`, and answers
/// requests to [`ANSWERED`].
#[derive(Clone)]
pub struct Recorder {
    heard: mpsc::UnboundedSender<Heard>,
    permits: Arc<Semaphore>,
}

impl Ingress for Recorder {
    fn opened(&self, source: &Source) {
        let _ = self.heard.send(Heard::Opened(source.clone()));
    }

    async fn receive(&self, source: &Source, raw: Bytes) {
        let _ = self.heard.send(Heard::Message(source.clone(), raw.clone()));
        assert!(!raw.starts_with(b"panic"), "as the test asked for");
        if raw.starts_with(b"wait") {
            self.permits.acquire().await.unwrap().forget();
        }
        if raw.windows(ANSWERED.len()).any(|part| part == ANSWERED.as_bytes()) {
            source.reply.send(Bytes::from_static(ANSWER)).unwrap();
        }
    }

    fn closed(&self, _source: &Source, why: CloseReason) {
        let _ = self.heard.send(Heard::Closed(why));
    }

    fn unreachable(&self, to: &Destination, why: SendError) {
        let _ = self.heard.send(Heard::Unreachable(to.clone(), why));
    }
}

/// The URI whose requests are answered.
pub const ANSWERED: &str = "sip:answered@127.0.0.1";
/// What they are answered with.
pub const ANSWER: &[u8] = b"SIP/2.0 200 OK\r\n\r\n";

/// Transports with a recorder behind them.
pub struct Lab {
    pub transports: Transports,
    pub recorder: Recorder,
    heard: mpsc::UnboundedReceiver<Heard>,
}

impl Lab {
    pub fn new() -> Self {
        let (sender, heard) = mpsc::unbounded_channel();
        let recorder = Recorder { heard: sender, permits: Arc::new(Semaphore::new(0)) };
        Self { transports: Transports::new(64 * 1_024 * 1_024), recorder, heard }
    }

    pub fn listen(&self, edge: Edge, kind: Kind, limits: Limits) -> SocketAddr {
        self.listen_at(SocketAddr::from(([127, 0, 0, 1], 0)), edge, kind, limits)
    }

    pub fn listen_at(&self, bind: SocketAddr, edge: Edge, kind: Kind, limits: Limits) -> SocketAddr {
        self.listen_for(Peers::Anyone, bind, edge, kind, limits)
    }

    pub fn listen_for(
        &self,
        peers: Peers,
        bind: SocketAddr,
        edge: Edge,
        kind: Kind,
        limits: Limits,
    ) -> SocketAddr {
        let proxies = Proxies::default();
        let socket = match kind {
            Kind::Udp => BoundSocket::of_datagrams(bind),
            Kind::Tcp | Kind::Tls(_) | Kind::Ws(_) | Kind::Wss { .. } => BoundSocket::of_streams(bind, edge),
        };
        let socket = socket.unwrap();
        let listener = Listener { name: "lab".into(), edge, peers, proxies, socket, limits, kind };
        self.transports.listen(listener, self.recorder.clone()).unwrap()
    }

    /// A WebSocket listener for any page.
    pub fn listen_ws(&self, limits: Limits) -> SocketAddr {
        self.listen(Edge::Browser, Kind::Ws(web()), limits)
    }

    pub fn listen_tcp(&self, limits: Limits) -> SocketAddr {
        self.listen(Edge::Trunk, Kind::Tcp, limits)
    }

    /// Lets one waiting message go on.
    pub fn permit(&self) {
        self.recorder.permits.add_permits(1);
    }

    pub async fn next(&mut self) -> Heard {
        soon(self.heard.recv()).await.unwrap()
    }

    pub async fn opened(&mut self) -> Source {
        match self.next().await {
            Heard::Opened(source) => source,
            other => panic!("not opened but {other:?}"),
        }
    }

    pub async fn message(&mut self) -> (Source, Bytes) {
        match self.next().await {
            Heard::Message(source, raw) => (source, raw),
            other => panic!("no message but {other:?}"),
        }
    }

    pub async fn closed(&mut self) -> CloseReason {
        match self.next().await {
            Heard::Closed(why) => why,
            other => panic!("not closed but {other:?}"),
        }
    }

    pub async fn unreachable(&mut self) -> (Destination, SendError) {
        match self.next().await {
            Heard::Unreachable(to, why) => (to, why),
            other => panic!("not unreachable but {other:?}"),
        }
    }

    pub fn send(&self, connection: ConnectionId, bytes: &'static [u8]) -> Result<(), SendError> {
        self.transports.send(&Destination::Connection(connection), Bytes::from_static(bytes))
    }
}

/// A listener's web part: any program may connect, and there is one page.
pub fn web() -> Web {
    Web {
        path: "/ws".into(),
        origins: Origins { others: Vec::new(), missing: MissingOrigin::Allowed },
        pages: axum::Router::new().route("/", axum::routing::get(|| async { "the page" })),
    }
}

/// Waits for what has to come; that it does not is a failure, not a hang.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), what).await.expect("what has to happen happens")
}
