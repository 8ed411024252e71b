//! Connections that are dialled when there is something to send to a trunk.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use daemon::certificate::Certificate;
use daemon::tls;
use gateway::adapters::{DialSettings, Kind, Limits, Peers, TrunkTls};
use gateway::ports::transport::{
    CloseReason, ConnectionId, Destination, Edge, Otherwise, Protocol, SendError, StreamProtocol,
    StreamTarget, Transport,
};
use rustls::{ClientConfig, RootCertStore};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::recorder::{Heard, Lab, soon};
use crate::tcp::options;

fn lab(tls: Option<Arc<ClientConfig>>) -> Lab {
    let lab = Lab::new();
    let settings = DialSettings {
        name: "trunks".into(),
        limits: Limits::trunk(),
        connect_within: Duration::from_secs(10),
        local: None,
        tls: tls.map(|config| ("pbx".into(), config)).into_iter().collect(),
    };
    lab.transports.dial_with(settings, lab.recorder.clone());
    lab
}

fn target(remote: SocketAddr, protocol: StreamProtocol) -> StreamTarget {
    StreamTarget { protocol, trunk: "pbx".into(), remote, server_name: Some("localhost".into()) }
}

/// Sends over the connection for there.
fn send(lab: &Lab, to: &StreamTarget, bytes: &'static [u8]) -> ConnectionId {
    send_or(lab, to, Otherwise::Nothing, bytes)
}

fn send_or(lab: &Lab, to: &StreamTarget, otherwise: Otherwise, bytes: &'static [u8]) -> ConnectionId {
    let connection = lab.transports.reach(to, otherwise).unwrap();
    lab.send(connection, bytes).unwrap();
    connection
}

/// A port that nobody listens on, and nobody else gets.
fn closed_port() -> (TcpSocket, SocketAddr) {
    let port = TcpSocket::new_v4().unwrap();
    port.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let at = port.local_addr().unwrap();
    (port, at)
}

async fn read(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    soon(stream.read_exact(&mut bytes)).await.unwrap();
    bytes
}

#[tokio::test]
async fn one_connection_is_dialled_and_used_both_ways() {
    let mut lab = lab(None);
    let pbx = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = target(pbx.local_addr().unwrap(), StreamProtocol::Tcp);
    let first = send(&lab, &to, b"one,");
    assert_eq!(send(&lab, &to, b"two,"), first);
    let (mut trunk, _) = soon(pbx.accept()).await.unwrap();
    let source = lab.opened().await;
    assert_eq!((source.edge, source.protocol), (Edge::Trunk, Protocol::Tcp));
    assert_eq!((source.connection, source.dialled.as_deref()), (Some(first), Some(&to)));
    assert_eq!(send(&lab, &to, b"three"), first);
    assert_eq!(read(&mut trunk, 13).await, b"one,two,three");

    trunk.write_all(options("inbound").as_bytes()).await.unwrap();
    let (source, raw) = lab.message().await;
    assert_eq!(raw, options("inbound"));
    source.reply.send(Bytes::from_static(b"answer")).unwrap();
    assert_eq!(read(&mut trunk, 6).await, b"answer");

    drop(trunk);
    assert_eq!(lab.closed().await, CloseReason::Peer);
    assert_ne!(send(&lab, &to, b"again"), first);
    let (mut trunk, _) = soon(pbx.accept()).await.unwrap();
    lab.opened().await;
    assert_eq!(read(&mut trunk, 5).await, b"again");
}

#[tokio::test] // RFC 5923
async fn a_connection_that_the_trunk_opened_is_used_both_ways() {
    let mut lab = lab(None);
    let mut trunk = TcpStream::connect(lab.listen_tcp(Limits::trunk())).await.unwrap();
    let source = lab.opened().await;
    let to = target(source.remote, StreamProtocol::Tcp);
    assert_eq!(Some(send(&lab, &to, b"bye")), source.connection);
    assert_eq!(read(&mut trunk, 3).await, b"bye");
    let tls = target(source.remote, StreamProtocol::Tls);
    assert_eq!(lab.transports.reach(&tls, Otherwise::Nothing), Err(SendError::Unsuitable));
}

#[tokio::test]
async fn a_trunk_that_refuses_is_told_to_the_application_and_can_be_tried_again() {
    let mut lab = lab(None);
    let (port, at) = closed_port();
    let to = target(at, StreamProtocol::Tcp);
    for _ in 0..2 {
        let connection = send(&lab, &to, b"one");
        let expected = (Destination::Connection(connection), SendError::Unreachable);
        assert_eq!(lab.unreachable().await, expected);
        assert_eq!(lab.send(connection, b"late"), Err(SendError::Gone));
    }
    assert_eq!(lab.transports.statistics().dials_failed, 2);
    let pbx = port.listen(8).unwrap();
    send(&lab, &to, b"two");
    let (mut trunk, _) = soon(pbx.accept()).await.unwrap();
    assert_eq!(read(&mut trunk, 3).await, b"two");
}

#[tokio::test] // RFC 3261 §18.1.1: the Contact takes nobody, the dialog's own connection is open
async fn what_cannot_be_dialled_goes_over_the_connection_that_is_open() {
    let mut lab = lab(None);
    let (_port, at) = closed_port();
    let mut trunk = TcpStream::connect(lab.listen_tcp(Limits::trunk())).await.unwrap();
    let source = lab.opened().await;
    trunk.write_all(options("first").as_bytes()).await.unwrap();
    lab.message().await;
    let to = target(at, StreamProtocol::Tcp);
    let instead = send_or(&lab, &to, Otherwise::Peer(source.remote), b"bye,");
    assert_eq!(read(&mut trunk, 4).await, b"bye,");
    lab.send(instead, b"ack,").unwrap();
    assert_eq!(read(&mut trunk, 4).await, b"ack,", "what belongs to it follows");
    let again = send_or(&lab, &to, Otherwise::Peer(source.remote), b"bye,");
    assert_eq!((Some(again), lab.transports.statistics().dials_failed), (source.connection, 1), "at once");
    assert_eq!(read(&mut trunk, 4).await, b"bye,");

    drop(trunk);
    assert_eq!(lab.closed().await, CloseReason::Peer);
    assert_eq!(lab.unreachable().await, (Destination::Connection(instead), SendError::Gone));
    assert_eq!(lab.send(instead, b"late"), Err(SendError::Gone));
}

#[tokio::test] // RFC 3261 §18.2.2
async fn a_response_goes_back_by_its_connection_or_to_the_via_or_by_another_connection() {
    let mut lab = lab(None);
    let gateway = lab.listen_tcp(Limits::trunk());
    let (port, at) = closed_port();
    let back = target(at, StreamProtocol::Tcp);
    let mut first = TcpStream::connect(gateway).await.unwrap();
    let connection = lab.opened().await.connection.unwrap();
    let answer = |lab: &Lab, bytes: &'static [u8]| {
        let to = Destination::Answer { connection, back: back.clone() };
        lab.transports.send(&to, Bytes::from_static(bytes)).unwrap();
    };
    answer(&lab, b"180");
    assert_eq!(read(&mut first, 3).await, b"180");
    drop(first);
    assert_eq!(lab.closed().await, CloseReason::Peer);

    let mut second = TcpStream::connect(gateway).await.unwrap();
    second.write_all(options("back again").as_bytes()).await.unwrap();
    lab.opened().await;
    lab.message().await;
    answer(&lab, b"486");
    assert_eq!(read(&mut second, 3).await, b"486", "nobody listens at the Via");

    let pbx = port.listen(8).unwrap();
    drop(second);
    assert_eq!(lab.closed().await, CloseReason::Peer);
    answer(&lab, b"200");
    let (mut trunk, _) = soon(pbx.accept()).await.unwrap();
    assert_eq!(read(&mut trunk, 3).await, b"200");
}

#[tokio::test] // RFC 3261 §17.1.4: what waits for it fails at once
async fn a_connection_that_ends_with_everything_written_is_told() {
    let mut lab = lab(None);
    let pbx = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = target(pbx.local_addr().unwrap(), StreamProtocol::Tcp);
    for reset in [false, true] {
        let connection = send(&lab, &to, b"INVITE");
        let (mut trunk, _) = soon(pbx.accept()).await.unwrap();
        assert_eq!(lab.opened().await.connection, Some(connection));
        assert_eq!(read(&mut trunk, 6).await, b"INVITE");
        if reset {
            SockRef::from(&trunk).set_linger(Some(Duration::ZERO)).unwrap();
        }
        drop(trunk);
        assert_eq!(lab.closed().await, CloseReason::Peer);
        assert_eq!(lab.send(connection, b"late"), Err(SendError::Gone));
    }
}

#[tokio::test] // RFC 3261 §17.1.1.2: timer B, or a first response that is missing
async fn a_connection_that_left_a_request_unanswered_is_passed_by_until_it_is_heard() {
    let mut lab = lab(None);
    let pbx = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = target(pbx.local_addr().unwrap(), StreamProtocol::Tcp);
    let first = send(&lab, &to, b"one");
    let (mut silent, _) = soon(pbx.accept()).await.unwrap();
    lab.opened().await;
    lab.transports.suspect(first);
    let second = send(&lab, &to, b"two");
    assert_ne!(first, second);
    let (mut fresh, _) = soon(pbx.accept()).await.unwrap();
    lab.opened().await;
    assert_eq!(read(&mut fresh, 3).await, b"two");
    assert_eq!(read(&mut silent, 3).await, b"one", "nothing is lost of what was under way");

    lab.transports.suspect(second);
    fresh.write_all(options("heard").as_bytes()).await.unwrap();
    lab.message().await;
    assert_eq!(send(&lab, &to, b"three"), second);
}

#[tokio::test]
async fn what_was_queued_on_a_connection_that_breaks_is_told_by_its_end() {
    let mut lab = lab(None);
    let pbx = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = target(pbx.local_addr().unwrap(), StreamProtocol::Tcp);
    let connection = send(&lab, &to, b"x");
    let (trunk, _) = soon(pbx.accept()).await.unwrap();
    lab.opened().await;
    let bulk = Bytes::from(vec![b'x'; 60_000]);
    while lab.transports.send(&Destination::Connection(connection), bulk.clone()).is_ok() {
        tokio::task::yield_now().await;
    }
    drop(trunk);
    assert!(matches!(lab.closed().await, CloseReason::SlowReader | CloseReason::Peer));
}

#[tokio::test]
async fn tls_is_refused_unless_it_is_set_up() {
    let lab = lab(None);
    let to = target("127.0.0.1:5061".parse().unwrap(), StreamProtocol::Tls);
    assert_eq!(lab.transports.reach(&to, Otherwise::Nothing), Err(SendError::Unsuitable));
    let without = Lab::new();
    assert_eq!(without.transports.reach(&to, Otherwise::Nothing), Err(SendError::Unsuitable));
}

#[tokio::test] // RFC 5922 §7: the certificate has to be for the configured name.
async fn a_tls_trunk_is_checked_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::self_signed(folder.path(), &[]).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.leaf().unwrap()).unwrap();
    let mut lab = lab(Some(tls::client(roots).unwrap()));
    let server = tls::server(certificate, None, &[]).unwrap();
    let remote = lab.listen(
        Edge::Trunk,
        Kind::Tls(TrunkTls { by_network: Vec::new(), others: server }),
        Limits::trunk(),
    );

    let wrong =
        StreamTarget { server_name: Some("pbx.example.com".into()), ..target(remote, StreamProtocol::Tls) };
    let connection = send(&lab, &wrong, b"x");
    assert_eq!(lab.unreachable().await, (Destination::Connection(connection), SendError::Unreachable));

    let right = lab.transports.reach(&target(remote, StreamProtocol::Tls), Otherwise::Nothing).unwrap();
    lab.transports.send(&Destination::Connection(right), options("tls").into()).unwrap();
    let mut messages = 0;
    for _ in 0..3 {
        match lab.next().await {
            Heard::Opened(source) => assert_eq!(source.protocol, Protocol::Tls),
            Heard::Message(source, raw) => {
                assert_eq!((source.dialled, raw), (None, options("tls").into()));
                messages += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(messages, 1);
}

#[tokio::test] // RFC 8446 §4.4.2: our side of the handshake is over before the other one has judged us
async fn a_refusal_of_tls_1_3_that_comes_late_ends_the_connection_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::self_signed(folder.path(), &[]).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.leaf().unwrap()).unwrap();
    let mut lab = lab(Some(tls::client(roots.clone()).unwrap()));
    let strict = Lab::new();
    let server = tls::server(certificate, Some(roots), &[]).unwrap();
    let remote = strict.listen(
        Edge::Trunk,
        Kind::Tls(TrunkTls { by_network: Vec::new(), others: server }),
        Limits::trunk(),
    );
    let connection = send(&lab, &target(remote, StreamProtocol::Tls), b"INVITE");
    assert_eq!(lab.opened().await.connection, Some(connection));
    assert!(matches!(lab.closed().await, CloseReason::Io | CloseReason::Peer));
    assert_eq!(lab.send(connection, b"late"), Err(SendError::Gone));
}

#[tokio::test]
async fn who_is_in_no_trunk_s_networks_is_closed_before_he_counts_and_before_tls() {
    let folder = tempfile::tempdir().unwrap();
    let server = tls::server(Certificate::self_signed(folder.path(), &[]).unwrap(), None, &[]).unwrap();
    for kind in [Kind::Tcp, Kind::Tls(TrunkTls { by_network: Vec::new(), others: server })] {
        let lab = Lab::new();
        let peers = Peers::Trunks(vec![networks("127.0.0.2/32"), networks("127.0.0.3/32")]);
        let limits = Limits { connections: 1, ..Limits::trunk() };
        let listener = lab.listen_for(peers, "127.0.0.1:0".parse().unwrap(), Edge::Trunk, kind, limits);
        for _ in 0..3 {
            assert!(is_closed(&mut from("127.0.0.1", listener).await).await);
        }
        let _second = from("127.0.0.2", listener).await;
        assert!(is_closed(&mut from("127.0.0.2", listener).await).await, "a trunk has its limit");
        let _third = from("127.0.0.3", listener).await;
        assert!(is_closed(&mut from("127.0.0.3", listener).await).await, "and not another's");
        assert_eq!(lab.transports.statistics().refused, 5);
    }
}

fn networks(cidr: &str) -> Vec<ipnet::IpNet> {
    vec![cidr.parse().unwrap()]
}

async fn from(ip: &str, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(ip.parse().unwrap(), 0)).unwrap();
    soon(socket.connect(to)).await.unwrap()
}

async fn is_closed(stream: &mut TcpStream) -> bool {
    matches!(soon(stream.read(&mut [0; 1])).await, Ok(0) | Err(_))
}
