//! TURN over TLS and HTTPS on one port: whose connection is whose.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use daemon::certificate::Certificate;
use daemon::tls;
use gateway::adapters::{Kind, Limits};
use gateway::ports::transport::Edge;
use media_relay::{BrowserListener, Config, Relay, RelayedRange, TurnConfig};
use relay_api::turn::Secret;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::recorder::{Lab, soon, web};

/// A listener for browsers that shares its port with the TURN of a relay.
struct Shared {
    _lab: Lab,
    relay: Relay,
    at: SocketAddr,
    folder: TempDir,
}

impl Shared {
    fn open(limits: Limits, streams_per_address: u32) -> Self {
        let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let range = RelayedRange { bind: local, advertised: local, ports: 38_000..=38_009 };
        let turn = TurnConfig {
            streams_per_address,
            ..TurnConfig::new("relay", vec![Secret::new("north-north").unwrap()], range)
        };
        let browser = BrowserListener { bind: SocketAddr::new(local, 0), advertised: vec![local] };
        let config = Config { workers: 2, turn: Some(turn), ..Config::new(browser) };
        let (relay, _events) = Relay::start(config).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let certificate = Certificate::self_signed(folder.path(), &[]).unwrap();
        let tls = tls::server(certificate, None, &[tls::TURN, tls::HTTP]).unwrap();
        let lab = Lab::new();
        let kind = Kind::Wss { web: web(), tls, turn: Some(relay.clone()) };
        let at = lab.listen(Edge::Browser, kind, limits);
        Self { _lab: lab, relay, at, folder }
    }

    async fn connect(&self, protocols: &[&str]) -> std::io::Result<TlsStream<TcpStream>> {
        let roots = tls::authorities(&self.folder.path().join("self-signed.pem")).unwrap();
        let mut config = ClientConfig::clone(&tls::client(roots).unwrap());
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let socket = TcpStream::connect(self.at).await.unwrap();
        let connector = TlsConnector::from(std::sync::Arc::new(config));
        soon(connector.connect(ServerName::from(self.at.ip()), socket)).await
    }

    /// What a Binding request is answered with.
    async fn binding(&self, protocols: &[&str]) -> Vec<u8> {
        let mut client = self.connect(protocols).await.unwrap();
        client.write_all(BINDING).await.unwrap();
        head(&mut client).await
    }

    async fn has_streams(&self, count: u64) {
        soon(async {
            while self.relay.totals().turn.streams != count {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

#[tokio::test] // RFC 7443
async fn the_first_octet_tells_turn_from_http_unless_alpn_does() {
    let shared = Shared::open(Limits::browser(), 10);
    assert_eq!(shared.binding(&[]).await, BOUND);
    assert_eq!(shared.binding(&[tls::TURN]).await, BOUND);
    assert_eq!(shared.binding(&[tls::HTTP, tls::TURN]).await, BOUND, "as coturn's clients offer");
    assert_eq!(shared.binding(&[tls::HTTP]).await, b"HTTP", "400: it said that it speaks HTTP");
    for protocols in [&[][..], &[tls::HTTP], &["h2", tls::HTTP]] {
        let mut browser = shared.connect(protocols).await.unwrap();
        browser.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut page = String::new();
        // Closed with or without a word of TLS.
        let _ = soon(browser.read_to_string(&mut page)).await;
        assert!(page.starts_with("HTTP/1.1 200") && page.ends_with("the page"), "{page}");
    }
    let mut liar = shared.connect(&[tls::TURN]).await.unwrap();
    liar.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert_eq!(head(&mut liar).await, b"", "no HTTP under the name of TURN");
    assert!(shared.connect(&["h2"]).await.is_err());
    shared.has_streams(0).await;
}

#[tokio::test]
async fn octets_that_come_one_by_one_or_all_at_once_are_served() {
    let shared = Shared::open(Limits::browser(), 10);
    let mut slow = shared.connect(&[]).await.unwrap();
    for octet in BINDING {
        slow.write_all(&[*octet]).await.unwrap();
        slow.flush().await.unwrap();
    }
    assert_eq!(head(&mut slow).await, BOUND);
    let mut fast = shared.connect(&[]).await.unwrap();
    fast.write_all(&BINDING.repeat(30)).await.unwrap();
    let mut answers = vec![0; 30 * 32];
    soon(fast.read_exact(&mut answers)).await.unwrap();
    assert!(answers.chunks(32).all(|answer| answer.starts_with(BOUND)));
    shared.has_streams(2).await;
}

#[tokio::test]
async fn turn_clients_leave_the_limits_of_browsers_for_those_of_the_relay() {
    let limits = Limits { connections: 2, connections_per_address: 1, ..Limits::browser() };
    let shared = Shared::open(limits, 2);
    let mut clients = Vec::new();
    for count in 1..=2 {
        let mut client = shared.connect(&[]).await.unwrap();
        client.write_all(BINDING).await.unwrap();
        assert_eq!(head(&mut client).await, BOUND);
        shared.has_streams(count).await;
        clients.push(client);
    }
    assert_eq!(shared.binding(&[]).await, b"", "the relay has its two of this address");
    assert_eq!(shared.relay.totals().turn.streams_address_full, 1);
    clients.clear();
    shared.has_streams(0).await;
    assert_eq!(shared.binding(&[]).await, BOUND);
}

#[tokio::test]
async fn who_says_nothing_is_closed() {
    let limits = Limits { handshake: Duration::from_millis(300), ..Limits::browser() };
    let shared = Shared::open(limits, 10);
    let mut silent = shared.connect(&[]).await.unwrap();
    assert_eq!(head(&mut silent).await, b"");
    let mut gone = shared.connect(&[]).await.unwrap();
    gone.shutdown().await.unwrap();
    assert_eq!(head(&mut gone).await, b"");
    shared.has_streams(0).await;
}

/// The first octets of what comes, none if the connection is closed.
async fn head(client: &mut TlsStream<TcpStream>) -> Vec<u8> {
    let mut octets = [0; 4];
    match soon(client.read_exact(&mut octets)).await {
        Ok(_) if octets == *b"HTTP" => octets.to_vec(),
        Ok(_) => octets[..2].to_vec(),
        Err(_) => Vec::new(),
    }
}

/// RFC 8489 §6: a Binding request, and how its response begins.
const BINDING: &[u8] = b"\x00\x01\x00\x00\x21\x12\xA4\x42transaction!";
const BOUND: &[u8] = b"\x01\x01";
