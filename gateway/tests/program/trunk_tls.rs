//! What is shown to a trunk and what it is judged by, changed by SIGHUP.

use std::fs;
use std::sync::Arc;

use daemon::certificate::Certificate;
use daemon::tls;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use sip_core::message::framing::{Frame, Stream as Framing};
use sip_core::message::{Limits, Message, Method, Status};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::phone::Phone;
use super::program::{Gateway, Shape, free_port};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)] // RFC 5922 §7
async fn the_next_connection_to_a_trunk_shows_and_trusts_what_was_read_again() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (old, new) = (Authority::new(), Authority::new());
    let ours = old.issue(&folder, "ours");
    fs::write(at("ca"), &old.pem).unwrap();
    let lines = format!(
        "ca_file = {:?}\ncertificate_file = {:?}\nkey_file = {:?}",
        at("ca"),
        at("ours.pem"),
        at("ours.key")
    );
    let gateway = Gateway::launch(&Shape {
        transport: "tls",
        listen_lines: &format!("sip_tls = \"{}\"", free_port()),
        trunk_lines: &lines,
        sections: "[relay]\nbrowser_port = 0\nrtp_ports = [31320, 31339]\nworkers = 1\n",
        log: "filter = \"info\"",
        ..Shape::default()
    });
    let pbx = TcpListener::bind(gateway.trunk).await.unwrap();
    let mut phone = Phone::register(gateway.ws, "alice").await;

    let (of_old, of_new) = (old.pbx(&folder), new.pbx(&folder));
    let (answer, mut first) = tokio::join!(phone.asks_for("+4930123456"), of_old.is_called(&pbx));
    assert_eq!(answer.status(), Some(Status::BUSY_HERE));
    assert_eq!(shown(&first), ours);

    let ours = new.issue(&folder, "ours");
    fs::write(at("ca"), &new.pem).unwrap();
    gateway.signal("-HUP");
    while !gateway.log().contains("were read again") {
        tokio::task::yield_now().await;
    }
    _ = first.shutdown().await;
    while first.read(&mut [0; 1]).await.is_ok_and(|length| length > 0) {}
    drop(first);
    let (answer, second) = tokio::join!(phone.asks_for("+4930123456"), of_new.is_called(&pbx));
    assert_eq!(answer.status(), Some(Status::BUSY_HERE));
    assert_eq!(shown(&second), ours);
}

/// What the gateway showed.
fn shown(connection: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    connection.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

/// Signs for both sides.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: CertificateDer<'static>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { pem: certificate.pem(), der: certificate.der().clone(), issuer: Issuer::new(params, key) }
    }

    /// A certificate for this machine and its key, as files of this name.
    fn issue(&self, folder: &TempDir, name: &str) -> CertificateDer<'static> {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        fs::write(folder.path().join(format!("{name}.pem")), certificate.pem()).unwrap();
        fs::write(folder.path().join(format!("{name}.key")), key.serialize_pem()).unwrap();
        certificate.der().clone()
    }

    /// A trunk that shows what this one signed, and lets in who does so too.
    fn pbx(&self, folder: &TempDir) -> Pbx {
        self.issue(folder, "pbx");
        let (chain, key) = (folder.path().join("pbx.pem"), folder.path().join("pbx.key"));
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let judge = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        let config = tls::server_demanding(Certificate::load(&chain, &key).unwrap(), judge).unwrap();
        Pbx(TlsAcceptor::from(config))
    }
}

struct Pbx(TlsAcceptor);

impl Pbx {
    /// Refuses a call; its connection.
    async fn is_called(&self, listener: &TcpListener) -> TlsStream<TcpStream> {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = self.0.accept(stream).await.unwrap();
        let (mut framing, mut buffer) = (Framing::new(Limits::default()), [0; 4_096]);
        let invite = loop {
            if let Some(Ok(Frame::Message(raw))) = framing.next() {
                break Message::parse(raw, &Limits::default()).unwrap();
            }
            let length = stream.read(&mut buffer).await.unwrap();
            assert!(length > 0, "the gateway keeps the connection");
            framing.feed(&buffer[..length]);
        };
        assert_eq!(*invite.method(), Method::Invite);
        let refusal = invite.response(Status::BUSY_HERE).to_tag("t").build().unwrap();
        stream.write_all(refusal.bytes()).await.unwrap();
        stream
    }
}
