//! WSS: TLS in front of the WebSocket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use daemon::certificate::Certificate;
use daemon::tls;
use futures_util::{SinkExt, StreamExt};
use gateway::adapters::{Kind, Limits};
use gateway::ports::transport::{Edge, Protocol};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::recorder::{Lab, soon, web};

async fn connect(to: SocketAddr, trusted: CertificateDer<'static>) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    soon(TlsConnector::from(Arc::new(config)).connect(name, TcpStream::connect(to).await?)).await
}

#[tokio::test]
async fn a_phone_talks_over_tls_and_survives_a_new_certificate() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let certificate = Certificate::self_signed(one.path(), &[]).unwrap();
    let next = Certificate::self_signed(two.path(), &[]).unwrap();
    let old_leaf = certificate.leaf().unwrap();
    let mut lab = Lab::new();
    let tls = tls::server(certificate.clone(), None, &[tls::HTTP]).unwrap();
    let at = lab.listen(Edge::Browser, Kind::Wss { web: web(), tls, turn: None }, Limits::browser());

    let mut request = format!("wss://localhost:{}/ws", at.port()).into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "sip".parse().unwrap());
    let (mut phone, _) =
        soon(client_async(request, connect(at, old_leaf.clone()).await.unwrap())).await.unwrap();
    assert_eq!(lab.opened().await.protocol, Protocol::Wss);

    certificate.replace(&next);
    assert!(connect(at, old_leaf).await.is_err(), "new handshakes see the new certificate");
    assert!(connect(at, next.leaf().unwrap()).await.is_ok());

    phone.send(Message::text("still here")).await.unwrap();
    let (source, raw) = lab.message().await;
    assert_eq!(raw, "still here");
    source.reply.send("so are we".into()).unwrap();
    assert_eq!(soon(phone.next()).await.unwrap().unwrap(), Message::text("so are we"));
}

#[tokio::test]
async fn a_peer_that_does_not_begin_tls_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::self_signed(folder.path(), &[]).unwrap();
    let lab = Lab::new();
    let tls = tls::server(certificate, None, &[tls::HTTP]).unwrap();
    let limits = Limits { handshake: Duration::from_millis(100), ..Limits::browser() };
    let at = lab.listen(Edge::Browser, Kind::Wss { web: web(), tls, turn: None }, limits);
    let mut peer = TcpStream::connect(at).await.unwrap();
    assert_eq!(soon(peer.read(&mut [0; 16])).await.unwrap(), 0);
}
