//! TURN: sound through it by UDP, TCP and TLS, clients that are slow, silent or too many.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use media_relay::{Config, Relay, RelayedRange, TurnConfig};
use relay_api::turn::{Credentials, Secret};
use relay_api::{DtlsRole, LegDescription};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig, crypto::ring};

use crate::browser::Browser;
use crate::calls::pace;
use crate::peer::Peer;
use crate::sound::{Tone, is_tone};
use crate::{config, rtp_leg, spec};

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A configuration with TURN at any ports, and who trusts its certificate.
pub fn turn_config(rtp: RangeInclusive<u16>, relayed: RangeInclusive<u16>) -> (Config, RootCertStore) {
    let (certificate, roots) = certificate();
    let range = RelayedRange { bind: LOCALHOST, advertised: LOCALHOST, ports: relayed };
    let any = SocketAddr::new(LOCALHOST, 0);
    let mut config = config(rtp);
    config.turn = Some(TurnConfig {
        udp: vec![any],
        tcp: vec![any],
        tls: vec![any],
        certificate: Some(certificate),
        ..TurnConfig::new("north", vec![secret()], range)
    });
    (config, roots)
}

pub fn secret() -> Secret {
    Secret::new("turn-secret").unwrap()
}

pub fn credentials(user: &str) -> Credentials {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    secret().issue(user, now + 600)
}

fn certificate() -> (Arc<ServerConfig>, RootCertStore) {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let certificate = CertificateDer::from(cert.der().to_vec());
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    (Arc::new(server), roots)
}

async fn tls(address: SocketAddr, roots: RootCertStore) -> tokio_rustls::client::TlsStream<TcpStream> {
    let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let socket = TcpStream::connect(address).await.unwrap();
    TlsConnector::from(Arc::new(client)).connect("localhost".try_into().unwrap(), socket).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_behind_turn_by_udp_hears_and_is_heard_without_a_relayed_socket() {
    let (config, _) = turn_config(24_200..=24_209, 24_210..=24_219);
    let (relay, _events) = Relay::start(config).unwrap();
    let turn = relay.turn_addresses().udp[0];
    both_hear_each_other(relay, turn).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_behind_turn_by_tcp_hears_and_is_heard() {
    let (config, _) = turn_config(24_220..=24_229, 24_230..=24_239);
    let (relay, _events) = Relay::start(config).unwrap();
    let stream = TcpStream::connect(relay.turn_addresses().tcp[0]).await.unwrap();
    let turn = bridge(stream).await;
    both_hear_each_other(relay, turn).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_behind_turn_by_tls_hears_and_is_heard() {
    let (config, roots) = turn_config(24_240..=24_249, 24_250..=24_259);
    let (relay, _events) = Relay::start(config).unwrap();
    let turn = bridge(tls(relay.turn_addresses().tls[0], roots).await).await;
    both_hear_each_other(relay, turn).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_another_worker_is_reached_through_the_relayed_socket() {
    let (config, _) = turn_config(24_800..=24_863, 24_864..=24_895);
    meets_another_worker(config).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_another_worker_is_reached_without_its_advertised_address() {
    let (mut config, _) = turn_config(24_896..=24_959, 24_960..=24_991);
    // RFC 5737: nobody is there, as where a NAT does not lead back in.
    config.browser[0].advertised = vec!["203.0.113.7".parse().unwrap()];
    meets_another_worker(config).await;
}

/// Each of the workers needs ports for all calls.
async fn meets_another_worker(config: Config) {
    let (relay, _events) = Relay::start(Config { workers: 2, ..config }).unwrap();
    let turn = relay.turn_addresses().udp[0];
    // Sessions fill one worker before the next; which one a client finds is the system's to choose.
    for number in 0..16 {
        call(&relay, turn, &format!("call-{number}"), 5).await;
        if relay.totals().turn.relayed_sockets > 0 {
            return;
        }
    }
    panic!("sixteen clients in a row found the worker of their session");
}

async fn both_hear_each_other(relay: Relay, turn: SocketAddr) {
    call(&relay, turn, "call", 50).await;
    let totals = relay.totals().turn;
    assert!(totals.from_clients >= 50 && totals.to_clients >= 50, "{totals:?}");
    assert_eq!((totals.allocations, totals.relayed_sockets, totals.unauthorized), (1, 0, 0), "{totals:?}");
}

async fn call(relay: &Relay, turn: SocketAddr, id: &str, packets: u32) {
    let (mut browser, mut peer) = (Browser::behind(turn, &credentials(id)).await, Peer::new().await);
    let wanted = spec(id, 1, browser.leg(DtlsRole::Passive), rtp_leg(Some(peer.remote())));
    let description = relay.put(wanted.clone()).await.unwrap();
    browser.accept(&description.a, DtlsRole::Passive).await;
    browser.connected().await;
    let LegDescription::Rtp { rtp: trunk, .. } = description.b else { panic!("a plain leg") };
    let (mut at_browser, mut at_trunk) = (0, 0);
    let (mut browser_tone, mut trunk_tone) = (Tone::new(440.0), Tone::new(1_000.0));
    let mut pace = pace();
    while at_browser < packets || at_trunk < packets {
        tokio::select! {
            _ = pace.tick() => {
                browser.say(&browser_tone.frame()).await;
                peer.send(trunk, 0, &trunk_tone.frame()).await;
            }
            heard = browser.hear() => at_browser += u32::from(is_tone(&heard.payload, 1_000.0)),
            heard = peer.receive() => at_trunk += u32::from(is_tone(&heard.payload, 440.0)),
        }
    }
}

/// A UDP address that stands for a stream: TURN messages are the same on both but for the padding.
async fn bridge(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> SocketAddr {
    let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let address = socket.local_addr().unwrap();
    let (mut reader, mut writer) = tokio::io::split(stream);
    let client = Arc::new(OnceLock::new());
    let (inward, back_to) = (Arc::clone(&socket), Arc::clone(&client));
    tokio::spawn(async move {
        let mut buffer = [0; 2_048];
        while let Ok((length, source)) = inward.recv_from(&mut buffer).await {
            back_to.get_or_init(|| source);
            buffer[length..length.next_multiple_of(4)].fill(0);
            writer.write_all(&buffer[..length.next_multiple_of(4)]).await.unwrap();
        }
    });
    tokio::spawn(async move {
        let mut head = [0; 4];
        while reader.read_exact(&mut head).await.is_ok() {
            let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
            let rest = if head[0] < 4 { 16 + length } else { length.next_multiple_of(4) };
            let mut message = head.to_vec();
            message.resize(4 + rest, 0);
            reader.read_exact(&mut message[4..]).await.unwrap();
            socket.send_to(&message, client.get().unwrap()).await.unwrap();
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_silent_and_odd_clients_are_closed() {
    let (config, roots) = turn_config(24_300..=24_309, 24_310..=24_319);
    let (relay, _events) = Relay::start(config).unwrap();
    let addresses = relay.turn_addresses();
    let mut odd = TcpStream::connect(addresses.tcp[0]).await.unwrap();
    odd.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    is_closed(odd).await;
    let mut clear_at_tls = TcpStream::connect(addresses.tls[0]).await.unwrap();
    clear_at_tls.write_all(BINDING).await.unwrap();
    is_closed(clear_at_tls).await;

    let silent = TcpStream::connect(addresses.tcp[0]).await.unwrap();
    let without_handshake = TcpStream::connect(addresses.tls[0]).await.unwrap();
    let without_message = tls(addresses.tls[0], roots).await;
    let mut half = TcpStream::connect(addresses.tcp[0]).await.unwrap();
    half.write_all(&BINDING[..19]).await.unwrap();
    let mut half_second = TcpStream::connect(addresses.tcp[0]).await.unwrap();
    half_second.write_all(&[BINDING, &BINDING[..5]].concat()).await.unwrap();
    half_second.read_exact(&mut [0; 32]).await.unwrap();
    tokio::join!(
        is_closed(silent),
        is_closed(without_handshake),
        is_closed(without_message),
        is_closed(half),
        is_closed(half_second)
    );
    while relay.totals().turn.streams > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_never_reads_is_closed_before_much_is_kept_for_him() {
    let (config, _) = turn_config(24_320..=24_329, 24_330..=24_339);
    let (relay, _events) = Relay::start(config).unwrap();
    let stream = TcpStream::connect(relay.turn_addresses().tcp[0]).await.unwrap();
    let (reader, mut writer) = stream.into_split();
    while writer.write_all(BINDING).await.is_ok() {}
    drop(reader);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_one_address_are_limited_and_free_again_at_once() {
    let (mut config, _) = turn_config(24_340..=24_349, 24_350..=24_359);
    config.turn.as_mut().unwrap().streams_per_address = 2;
    let (relay, _events) = Relay::start(config).unwrap();
    let address = relay.turn_addresses().tcp[0];
    let (first, _second) = (answered(address).await.unwrap(), answered(address).await.unwrap());
    assert!(answered(address).await.is_none());
    // The totals are written at the end of the round that refused it.
    while relay.totals().turn.streams_address_full == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(relay.totals().turn.streams_address_full, 1);
    drop(first);
    while answered(address).await.is_none() {}
}

/// A connection at which a Binding request is answered.
async fn answered(address: SocketAddr) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    stream.write_all(BINDING).await.ok()?;
    let mut answer = [0; 32];
    stream.read_exact(&mut answer).await.ok()?;
    assert_eq!(answer[..2], [1, 1]);
    Some(stream)
}

async fn is_closed(mut stream: impl AsyncRead + Unpin) {
    let mut octets = Vec::new();
    _ = stream.read_to_end(&mut octets).await;
}

const BINDING: &[u8] = b"\x00\x01\x00\x00\x21\x12\xa4\x42abcdefghijkl";
