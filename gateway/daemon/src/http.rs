//! HTTP/1.1 for few peers, as operators and gateways are: a bounded number of connections, of which one address has a share, and
//! bounded time for what is begun.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::handshake;
use crate::network::network_of;
use crate::seldom::Seldom;

/// How many connections a listener takes, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// In all; more are closed unread.
    pub connections: usize,
    /// From one IPv4 address or IPv6 /64; more are closed unread.
    pub connections_per_address: usize,
    /// Without a whole request head.
    pub idle: Duration,
}

/// One listener at work.
struct Door {
    name: &'static str,
    bounds: Bounds,
    open: Arc<Mutex<Open>>,
    lines: [Seldom<Instant>; Refusal::COUNT],
}

/// Why a connection is closed unread.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    Full,
    AddressFull,
}

#[derive(Default)]
struct Open {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One connection's; free when it is dropped.
struct Place {
    open: Arc<Mutex<Open>>,
    address: IpAddr,
}

/// Serves until the future is dropped, and all connections with it. `name` is that of the configuration's section; TLS is what
/// `tls` says when a connection begins.
pub async fn serve(
    name: &'static str,
    listener: TcpListener,
    bounds: Bounds,
    router: Router,
    tls: impl Fn() -> Option<Arc<ServerConfig>>,
) {
    let door = Door { name, bounds, open: Arc::default(), lines: Default::default() };
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, remote)) => {
                let Some(place) = door.admit(remote) else { continue };
                let (router, tls) = (router.clone(), tls().map(TlsAcceptor::from));
                connections.spawn(async move {
                    connection(stream, router, tls, bounds.idle).await;
                    drop(place);
                });
            }
            Err(error) => {
                // Without descriptors accept fails at once, again and again.
                tracing::warn!(listener = name, %error, "accept failed");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

impl Door {
    fn admit(&self, remote: SocketAddr) -> Option<Place> {
        let address = network_of(remote.ip());
        let why = {
            let mut open = lock(&self.open);
            let here = open.by_address.get(&address).copied().unwrap_or_default();
            if here >= self.bounds.connections_per_address {
                Refusal::AddressFull
            } else if open.total >= self.bounds.connections {
                Refusal::Full
            } else {
                open.total += 1;
                open.by_address.insert(address, here + 1);
                return Some(Place { open: Arc::clone(&self.open), address });
            }
        };
        if let Some(more) = self.lines[why as usize].allows(Instant::now()) {
            let (listener, reason) = (self.name, why.as_str());
            tracing::info!(listener, reason, %remote, more, "connection refused");
        }
        None
    }
}

impl Refusal {
    const COUNT: usize = 2;

    fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::AddressFull => "address_full",
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = lock(&self.open);
        open.total -= 1;
        if let Some(here) = open.by_address.get_mut(&self.address) {
            *here -= 1;
            if *here == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

fn lock(open: &Mutex<Open>) -> MutexGuard<'_, Open> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn connection(stream: TcpStream, router: Router, tls: Option<TlsAcceptor>, idle: Duration) {
    let _ = stream.set_nodelay(true);
    // Whoever does not read, or is gone without a word, is closed by the kernel.
    let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(UNREAD_FOR));
    match tls {
        None => http(stream, router, idle).await,
        Some(tls) => match timeout(HANDSHAKE_WITHIN, handshake::accept(&tls, stream)).await {
            Ok(Ok(stream)) => http(stream, router, idle).await,
            Ok(Err(error)) => tracing::debug!(%error, "TLS failed"),
            Err(_) => tracing::debug!("TLS took too long"),
        },
    }
}

async fn http(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, router: Router, idle: Duration) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(idle)
        .max_headers(MAX_HEADERS)
        .max_buf_size(HTTP_BUFFER)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "HTTP failed");
    }
}

const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// What was sent and not taken.
const UNREAD_FOR: Duration = Duration::from_secs(20);
const MAX_HEADERS: usize = 64;
/// Bytes of a request's head, and of what is read or written at a time.
const HTTP_BUFFER: usize = 16 * 1024;
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpSocket;

    use super::*;

    const BOUNDS: Bounds =
        Bounds { connections: 3, connections_per_address: 2, idle: Duration::from_secs(60) };

    async fn lab() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let router = Router::new().fallback(|| async { "here" });
        tokio::spawn(serve("lab", listener, BOUNDS, router, || None));
        at
    }

    async fn connect(from: &str, to: SocketAddr) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(from.parse().unwrap(), 0)).unwrap();
        socket.connect(to).await.unwrap()
    }

    /// Whether it is answered; the connection stays.
    async fn is_answered(stream: &mut TcpStream) -> bool {
        let mut start = [0; 12];
        let sent = stream.write_all(b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n").await;
        sent.is_ok() && stream.read_exact(&mut start).await.is_ok()
    }

    #[tokio::test]
    async fn silent_connections_of_one_address_are_a_share_and_free_again_at_their_end() {
        let at = lab().await;
        let silent = connect("127.0.0.1", at).await;
        let mut half = connect("127.0.0.1", at).await;
        half.write_all(b"GET / HTTP/1.1\r\nHo").await.unwrap();
        assert!(!is_answered(&mut connect("127.0.0.1", at).await).await, "one too many of its address");
        let mut other = connect("127.0.0.2", at).await;
        assert!(is_answered(&mut other).await);
        assert!(!is_answered(&mut connect("127.0.0.3", at).await).await, "one too many of all");
        drop(silent);
        while !is_answered(&mut connect("127.0.0.3", at).await).await {}
    }
}
