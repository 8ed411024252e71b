//! Connections that are dialled when there is something to send to a trunk.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use daemon::certificate::Certificate;
use daemon::tls;
use gateway::adapters::{DialSettings, Kind, Limits};
use gateway::ports::transport::{
    CloseReason, Destination, Edge, Protocol, SendError, StreamProtocol, StreamTarget, Transport,
};
use rustls::{ClientConfig, RootCertStore};
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
        tls,
    };
    lab.transports.dial_with(settings, lab.recorder.clone());
    lab
}

fn target(remote: SocketAddr, protocol: StreamProtocol) -> Destination {
    Destination::Stream(StreamTarget { protocol, remote, server_name: Some("localhost".into()) })
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
    lab.transports.send(&to, Bytes::from_static(b"one,")).unwrap();
    lab.transports.send(&to, Bytes::from_static(b"two,")).unwrap();
    let (mut trunk, _) = soon(pbx.accept()).await.unwrap();
    let source = lab.opened().await;
    assert_eq!((source.edge, source.protocol), (Edge::Trunk, Protocol::Tcp));
    assert_eq!(source.dialled.map(|target| Destination::Stream((*target).clone())), Some(to.clone()));
    lab.transports.send(&to, Bytes::from_static(b"three")).unwrap();
    assert_eq!(read(&mut trunk, 13).await, b"one,two,three");

    trunk.write_all(options("inbound").as_bytes()).await.unwrap();
    let (source, raw) = lab.message().await;
    assert_eq!(raw, options("inbound"));
    source.reply.send(Bytes::from_static(b"answer")).unwrap();
    assert_eq!(read(&mut trunk, 6).await, b"answer");

    drop(trunk);
    assert_eq!(lab.closed().await, CloseReason::Peer);
    lab.transports.send(&to, Bytes::from_static(b"again")).unwrap();
    let (mut trunk, _) = soon(pbx.accept()).await.unwrap();
    lab.opened().await;
    assert_eq!(read(&mut trunk, 5).await, b"again");
}

#[tokio::test]
async fn a_trunk_that_refuses_is_told_to_the_application_and_can_be_tried_again() {
    let mut lab = lab(None);
    // Bound, so that nobody else gets the port, but not listening.
    let port = TcpSocket::new_v4().unwrap();
    port.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let to = target(port.local_addr().unwrap(), StreamProtocol::Tcp);
    for _ in 0..2 {
        lab.transports.send(&to, Bytes::from_static(b"one")).unwrap();
        assert_eq!(lab.unreachable().await, (to.clone(), SendError::Unreachable));
    }
    assert_eq!(lab.transports.statistics().dials_failed, 2);
    let pbx = port.listen(8).unwrap();
    lab.transports.send(&to, Bytes::from_static(b"two")).unwrap();
    let (mut trunk, _) = soon(pbx.accept()).await.unwrap();
    assert_eq!(read(&mut trunk, 3).await, b"two");
}

#[tokio::test]
async fn what_was_queued_on_a_connection_that_breaks_is_told_to_be_undelivered() {
    let mut lab = lab(None);
    let pbx = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = target(pbx.local_addr().unwrap(), StreamProtocol::Tcp);
    lab.transports.send(&to, Bytes::from_static(b"x")).unwrap();
    let (trunk, _) = soon(pbx.accept()).await.unwrap();
    lab.opened().await;
    let bulk = Bytes::from(vec![b'x'; 60_000]);
    while lab.transports.send(&to, bulk.clone()).is_ok() {
        tokio::task::yield_now().await;
    }
    drop(trunk);
    let mut undelivered = 0;
    for _ in 0..2 {
        match lab.next().await {
            Heard::Closed(why) => assert!(matches!(why, CloseReason::SlowReader | CloseReason::Peer)),
            Heard::Unreachable(what, SendError::Gone) => {
                assert_eq!(what, to);
                undelivered += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(undelivered, 1);
}

#[tokio::test]
async fn tls_is_refused_unless_it_is_set_up() {
    let lab = lab(None);
    let to = target("127.0.0.1:5061".parse().unwrap(), StreamProtocol::Tls);
    assert_eq!(lab.transports.send(&to, Bytes::from_static(b"x")), Err(SendError::Unsuitable));
    let without = Lab::new();
    assert_eq!(without.transports.send(&to, Bytes::from_static(b"x")), Err(SendError::Unsuitable));
}

#[tokio::test] // RFC 5922 §7: the certificate has to be for the configured name.
async fn a_tls_trunk_is_checked_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::self_signed(folder.path(), &[]).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.leaf().unwrap()).unwrap();
    let mut lab = lab(Some(tls::client(roots).unwrap()));
    let server = tls::server(certificate, None, &[]).unwrap();
    let remote = lab.listen(Edge::Trunk, Kind::Tls(server), Limits::trunk());

    let wrong =
        StreamTarget { protocol: StreamProtocol::Tls, remote, server_name: Some("pbx.example.com".into()) };
    lab.transports.send(&Destination::Stream(wrong.clone()), Bytes::from_static(b"x")).unwrap();
    assert_eq!(lab.unreachable().await, (Destination::Stream(wrong), SendError::Unreachable));

    lab.transports.send(&target(remote, StreamProtocol::Tls), options("tls").into()).unwrap();
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
