//! A pool of relays that are programs of their own: calls are spread, and outlive nothing but their own relay.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use daemon::certificate::Certificate;
use daemon::tls;
use futures_util::FutureExt;
use gateway::adapters::relay_pool::{Endpoint, RelayPool};
use prometheus::{IntGaugeVec, Opts};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use relay_api::RelayName;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, Stream};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::phone::Phone;
use crate::program::{Gateway, Shape, resident};
use crate::{built, run_uac, sipp};

const TOKEN: &str = "a-token-of-more-than-32-characters";
const CLIENT_AUTHORITY: &str = "clients.pem";
const CLIENT_CHAIN: &str = "client.pem";
const CLIENT_KEY: &str = "client.key";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_over_a_pool_of_relays_leave_nothing_there() {
    let relays = [Relay::start(20_000..=21_999), Relay::start(22_000..=23_999)];
    let gateway = gateway(&relays);
    let mut phone = Phone::register(gateway.ws, "alice").await;
    let answering = tokio::spawn(async move { phone.answer(200).await });
    run_uac(&gateway, "u1", 200).await;
    assert_eq!(answering.await.unwrap(), 0);
    are_empty(&relays).await;
    assert_eq!(gateway.metric("gateway_calls_ended_total{cause=\"hung_up\"}") as u32, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_relay_dies_its_calls_end_on_both_legs_and_the_others_go_on() {
    const CALLS: usize = 10;
    let [mut first, second] = [Relay::start(24_000..=24_499), Relay::start(24_500..=24_999)];
    let gateway = gateway_of(&[&first, &second]);
    let phone = Phone::register(gateway.ws, "alice").await;
    let (answering, mut caller) = under_way(&gateway, phone, CALLS).await;
    let on_first = first.sessions() as usize;
    assert!(0 < on_first && on_first < CALLS, "{on_first} of {CALLS} are on the first relay");
    first.kill();
    let (mut phone, lost) = answering.await.unwrap();
    assert_eq!(lost, on_first, "the browser is told why");
    assert_eq!(caller.wait().await.unwrap().code(), Some(1), "the trunk is told as well");
    assert_eq!(gateway.metric("gateway_calls_ended_total{cause=\"media_lost\"}") as usize, on_first);
    assert_eq!(gateway.metric("gateway_relay_ready{relay=\"relay-0\"}") as u32, 0);

    let answering = tokio::spawn(async move { phone.answer(50).await });
    run_uac(&gateway, "u1", 50).await;
    assert_eq!(answering.await.unwrap(), 0, "new calls go to the other");
    are_empty(&[second]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_was_restarted_unnoticed_has_lost_its_calls() {
    const CALLS: usize = 5;
    let mut relay = Relay::start(25_100..=25_199);
    let gateway = gateway_of(&[&relay]);
    let phone = Phone::register(gateway.ws, "alice").await;
    let (answering, mut caller) = under_way(&gateway, phone, CALLS).await;
    relay.restart();
    let (mut phone, lost) = answering.await.unwrap();
    assert_eq!(lost, CALLS);
    assert_eq!(caller.wait().await.unwrap().code(), Some(1), "the trunk is told as well");
    while gateway.find_metric("gateway_relay_ready{relay=\"relay-0\"}") != Some(1.0) {
        tokio::task::yield_now().await;
    }
    let answering = tokio::spawn(async move { phone.answer(5).await });
    run_uac(&gateway, "u1", 5).await;
    assert_eq!(answering.await.unwrap(), 0);
    are_empty(&[relay]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_relay_a_call_is_refused_and_none_is_left_waiting() {
    let mut relay = Relay::start(25_000..=25_099);
    let gateway = gateway_of(&[&relay]);
    let _phone = Phone::register(gateway.ws, "alice").await;
    relay.kill();
    let (target, port) = (gateway.sip.to_string(), gateway.trunk.port().to_string());
    let mut caller =
        sipp(&["-sn", "uac", "-t", "u1", "-s", "alice", "-p", &port, "-m", "1", "-d", "50", &target]);
    assert_eq!(caller.wait().await.unwrap().code(), Some(1));
    while gateway.metric("gateway_store_values{kind=\"call\"}") > 0.0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_asks_who_we_are_is_shown_a_certificate() {
    let relay = Relay::start_asking(25_200..=25_299);
    let gateway = gateway_of(&[&relay]);
    let mut phone = Phone::register(gateway.ws, "alice").await;
    let answering = tokio::spawn(async move { phone.answer(5).await });
    run_uac(&gateway, "u1", 5).await;
    assert_eq!(answering.await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_trusts_another_authority_is_shown_the_new_certificate_after_sighup() {
    let mut relay = Relay::start_asking(32_760..=32_767);
    let gateway = gateway_of(&[&relay]);
    relay.kill();
    write_client_certificate(relay.folder.path());
    gateway.signal("-HUP");
    let becomes = async |ready: f64| {
        while gateway.find_metric("gateway_relay_ready{relay=\"relay-0\"}") != Some(ready) {
            tokio::task::yield_now().await;
        }
    };
    becomes(0.0).await;
    relay.restart();
    becomes(1.0).await;
}

#[tokio::test]
async fn a_pool_is_ready_when_its_first_relay_is() {
    let mut relay = Relay::start(25_300..=25_399);
    relay.kill();
    let roots = tls::authorities(&relay.folder.path().join("self-signed.pem")).unwrap();
    let endpoint = Endpoint {
        url: format!("https://{}", relay.control).parse().unwrap(),
        tls: Some(tls::client(roots).unwrap()),
        token_file: Some(relay.folder.path().join("tokens")),
    };
    let gauge = IntGaugeVec::new(Opts::new("ready", "ready"), &["relay"]).unwrap();
    let (pool, _events) = RelayPool::start(vec![(RelayName("one".into()), endpoint)], || 0, gauge).unwrap();
    assert!(pool.until_ready().now_or_never().is_none());
    relay.restart();
    pool.until_ready().await;
}

/// SIPp's calls, all of them answered by the phone; it goes on answering until they are hung up, of how many the media were lost.
pub async fn under_way(
    gateway: &Gateway,
    mut phone: Phone,
    calls: usize,
) -> (JoinHandle<(Phone, usize)>, tokio::process::Child) {
    let mut acknowledged = phone.acknowledged();
    let answering = tokio::spawn(async move {
        let lost = phone.answer(calls).await;
        (phone, lost)
    });
    let caller = long_calls(gateway, calls);
    acknowledged.wait_for(|answered| *answered == calls).await.unwrap();
    (answering, caller)
}

/// SIPp makes calls of eight seconds. One that is hung up before counts as failed there.
fn long_calls(gateway: &Gateway, calls: usize) -> tokio::process::Child {
    let (target, calls, port) =
        (gateway.sip.to_string(), calls.to_string(), gateway.trunk.port().to_string());
    sipp(&[
        "-sn", "uac", "-t", "u1", "-s", "alice", "-p", &port, "-m", &calls, "-r", "100", "-d", "8000",
        &target,
    ])
}

/// A running relay; ends with the value.
pub struct Relay {
    child: Child,
    pub control: SocketAddr,
    folder: TempDir,
    rtp_ports: RangeInclusive<u16>,
}

impl Relay {
    pub fn start(rtp_ports: RangeInclusive<u16>) -> Self {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("tokens"), TOKEN).unwrap();
        Self::start_in(folder, rtp_ports)
    }

    /// With other keys of `[media]` instead of the ports of browsers, and more sections.
    pub fn start_with(rtp_ports: RangeInclusive<u16>, sections: &str) -> Self {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("tokens"), TOKEN).unwrap();
        Certificate::self_signed(folder.path(), &[]).unwrap();
        let (child, control) = run_with(folder.path(), "127.0.0.1:0".parse().unwrap(), &rtp_ports, sections);
        Self { child, control, folder, rtp_ports }
    }

    /// Resident memory in KiB.
    pub fn memory(&self) -> u64 {
        resident(&self.child)
    }

    /// It has no tokens, and clients must have a certificate of an authority.
    fn start_asking(rtp_ports: RangeInclusive<u16>) -> Self {
        let folder = TempDir::new().unwrap();
        write_client_certificate(folder.path());
        Self::start_in(folder, rtp_ports)
    }

    fn start_in(folder: TempDir, rtp_ports: RangeInclusive<u16>) -> Self {
        Certificate::self_signed(folder.path(), &[]).unwrap();
        let (child, control) = run(folder.path(), "127.0.0.1:0".parse().unwrap(), &rtp_ports);
        Self { child, control, folder, rtp_ports }
    }

    /// What the gateway's configuration says of it.
    fn section(&self, name: &str) -> String {
        let file = |name: &str| self.folder.path().join(name);
        let shown = match file("tokens").exists() {
            true => format!("token_file = {:?}\n", file("tokens")),
            false => {
                format!("certificate_file = {:?}\nkey_file = {:?}\n", file(CLIENT_CHAIN), file(CLIENT_KEY))
            }
        };
        let (url, authorities) = (self.control, file("self-signed.pem"));
        format!(
            "[[relay.pool]]\nname = \"{name}\"\nurl = \"https://{url}\"\nca_file = {authorities:?}\n{shown}"
        )
    }

    /// Dies, and is back at the same address before anybody misses it.
    fn restart(&mut self) {
        self.kill();
        (self.child, _) = run(self.folder.path(), self.control, &self.rtp_ports);
    }

    /// Sessions now.
    fn sessions(&self) -> u64 {
        let mut socket = TcpStream::connect(self.control).unwrap();
        let roots = tls::authorities(&self.folder.path().join("self-signed.pem")).unwrap();
        let name = ServerName::from(self.control.ip());
        let mut session = ClientConnection::new(tls::client(roots).unwrap(), name).unwrap();
        let mut connection = Stream::new(&mut session, &mut socket);
        write!(
            connection,
            "GET /v1/status HTTP/1.1\r\nHost: relay\r\nConnection: close\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        // The relay closes the connection, with or without a word of TLS about it.
        let _ = connection.read_to_string(&mut answer);
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let status: relay_api::control::Status = serde_json::from_str(body).unwrap();
        status.sessions
    }

    /// Without a chance to say goodbye.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(folder: &Path, listen: SocketAddr, rtp_ports: &RangeInclusive<u16>) -> (Child, SocketAddr) {
    run_with(folder, listen, rtp_ports, "browser_port = 0\n")
}

fn run_with(
    folder: &Path,
    listen: SocketAddr,
    rtp_ports: &RangeInclusive<u16>,
    sections: &str,
) -> (Child, SocketAddr) {
    let config = folder.join("relay.toml");
    let (first, last) = (rtp_ports.start(), rtp_ports.end());
    let asks = match folder.join("tokens").exists() {
        true => "token_file = \"tokens\"".to_owned(),
        false => format!("client_ca_file = {CLIENT_AUTHORITY:?}"),
    };
    let text = format!(
        r#"
        [control]
        listen = "{listen}"
        {asks}
        certificate_file = "self-signed.pem"
        key_file = "self-signed.key"
        [admin]
        listen = "off"
        [log]
        filter = "warn"
        [media]
        rtp_ports = [{first}, {last}]
        workers = 1
        {sections}
        "#
    );
    fs::write(&config, text).unwrap();
    let mut command = Command::new(built::media_relay(env!("CARGO_BIN_EXE_gateway")));
    let mut child = command.args(["run", "--config"]).arg(&config).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let control = line.trim_start_matches("Control:  https://").trim_end_matches("/v1\n").parse();
    (child, control.unwrap_or_else(|_| panic!("no address in {line:?}")))
}

fn gateway(relays: &[Relay]) -> Gateway {
    gateway_of(&relays.iter().collect::<Vec<_>>())
}

/// A gateway whose relays are all ready.
fn gateway_of(relays: &[&Relay]) -> Gateway {
    gateway_with(relays, "", "filter = \"warn\"")
}

/// The same with default limits, another listener and more sections.
pub fn gateway_for(relay: &Relay, listen_lines: &str, sections: &str) -> Gateway {
    let sections = format!("[relay]\nkind = \"pool\"\n{}{sections}", relay.section("relay-0"));
    let gateway =
        Gateway::launch(&Shape { listen_lines, limits: "", sections: &sections, ..Shape::default() });
    are_ready(&gateway, 1);
    gateway
}

/// The same with more lines in `[[trunk]]`, and those of `[log]`.
pub fn gateway_with(relays: &[&Relay], trunk_lines: &str, log: &str) -> Gateway {
    let mut text = String::from("[relay]\nkind = \"pool\"\n");
    for (number, relay) in relays.iter().enumerate() {
        text += &relay.section(&format!("relay-{number}"));
    }
    let gateway = Gateway::launch(&Shape { trunk_lines, sections: &text, log, ..Shape::default() });
    are_ready(&gateway, relays.len());
    gateway
}

fn are_ready(gateway: &Gateway, relays: usize) {
    for number in 0..relays {
        while gateway.find_metric(&format!("gateway_relay_ready{{relay=\"relay-{number}\"}}")) != Some(1.0) {
            std::thread::yield_now();
        }
    }
}

/// An authority's certificate, and one that it gave to a client.
fn write_client_certificate(folder: &Path) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    fs::write(folder.join(CLIENT_AUTHORITY), params.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(params, key);
    let mut params = CertificateParams::new(vec!["gateway".to_owned()]).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    fs::write(folder.join(CLIENT_CHAIN), params.signed_by(&key, &issuer).unwrap().pem()).unwrap();
    fs::write(folder.join(CLIENT_KEY), key.serialize_pem()).unwrap();
}

/// Waits until what calls left is gone.
async fn are_empty(relays: &[Relay]) {
    for relay in relays {
        while relay.sessions() > 0 {
            tokio::task::yield_now().await;
        }
    }
}
