//! TURN in the program: what its operator sees of it, and what can be changed while it runs.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use daemon::certificate::Certificate;
use daemon::tls;
use relay_api::turn::Secret;
use rustls::pki_types::ServerName;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

use crate::program::Program;

const OLD: &str = "north-north-north";
const NEW: &str = "south-south-south";

#[tokio::test]
async fn secrets_and_certificate_are_changed_without_a_restart_and_a_bad_file_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    let change = |secrets: &str| {
        let made = TempDir::new().unwrap();
        Certificate::self_signed(made.path(), &[]).unwrap();
        for name in ["self-signed.pem", "self-signed.key"] {
            fs::copy(made.path().join(name), path(name)).unwrap();
        }
        fs::write(path("secrets"), secrets).unwrap();
        tls::authorities(&path("self-signed.pem")).unwrap()
    };
    let old = change(OLD);
    let turn = format!(
        "[turn]\ntcp = [\"127.0.0.1:0\"]\ntls = [\"127.0.0.1:0\"]\nsecrets_file = {:?}\n\
         certificate_file = {:?}\nkey_file = {:?}\nrelayed_ports = [25420, 25459]\n",
        path("secrets"),
        path("self-signed.pem"),
        path("self-signed.key"),
    );
    let mut relay = Program::start_with([25_400, 25_419], &turn);
    let (tcp, tls) = (relay.announced("TURN/TCP"), relay.announced("TURN/TLS"));
    assert!(trusts(&old, tls).await);
    assert!(lets_in(tcp, OLD) && !lets_in(tcp, NEW));

    let new = change(NEW);
    assert!(trusts(&old, tls).await, "nobody said that it is to be read");
    relay.signal("-HUP");
    relay.log_until("read again");
    assert!(trusts(&new, tls).await && !trusts(&old, tls).await);
    assert!(lets_in(tcp, NEW) && !lets_in(tcp, OLD));

    fs::write(path("secrets"), "short").unwrap();
    relay.signal("-HUP");
    relay.log_until("refused");
    assert!(lets_in(tcp, NEW));

    let metrics = relay.operator("/metrics").await.body;
    for line in [
        "media_relay_turn_allocations_max 4000",
        "media_relay_turn_answers_total{answer=\"over_quota\"} 0",
        "media_relay_turn_dropped_total{reason=\"bandwidth\"} 0",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    assert!(!metrics.contains("media_relay_turn_answers_total{answer=\"granted\"} 0"));
}

#[tokio::test]
async fn a_door_that_stays_closed_says_why_once_and_counts() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    Certificate::self_signed(folder.path(), &[]).unwrap();
    fs::write(path("secrets"), OLD).unwrap();
    let turn = format!(
        "[turn]\ntcp = [\"127.0.0.1:0\"]\ntls = [\"127.0.0.1:0\"]\nsecrets_file = {:?}\n\
         certificate_file = {:?}\nkey_file = {:?}\nrelayed_ports = [25500, 25509]\n\
         connections_per_address = 3\nconnections = 4\n[log]\nfilter = \"info\"\n",
        path("secrets"),
        path("self-signed.pem"),
        path("self-signed.key"),
    );
    let mut relay = Program::start_with([25_480, 25_499], &turn);
    let (tcp, tls) = (relay.announced("TURN/TCP"), relay.announced("TURN/TLS"));
    for _ in 0..2 {
        is_closed_after(tcp, b"GET / HTTP/1.1\r\n\r\n").await;
        is_closed_after(tls, b"GET / HTTP/1.1\r\n\r\n").await;
    }
    // A ClientHello without end, in records of its own (RFC 8446 §5.1).
    let first = [22, 3, 1, 0x3E, 0x80, 1, 0, 0xFF, 0xF0, 3, 3];
    let more = [&[22, 3, 1, 0x3E, 0x80][..], &[1; 16_000]].concat();
    is_closed_after(tls, &[&first[..], &[1; 15_994], &more.repeat(3)].concat()).await;
    let mut held = Vec::new();
    for (from, to) in [("127.0.0.1", tcp), ("127.0.0.1", tls), ("127.0.0.1", tcp)] {
        held.push(connect(from, to).await);
    }
    shows(&relay, "media_relay_turn_connections 3\n").await;
    for _ in 0..2 {
        _ = connect("127.0.0.1", tcp).await.read(&mut [0; 1]).await;
    }
    held.push(connect("127.0.0.2", tcp).await);
    shows(&relay, "media_relay_turn_connections 4\n").await;
    _ = connect("127.0.0.3", tcp).await.read(&mut [0; 1]).await;
    // Ten seconds for the first message.
    for mut stream in held {
        _ = stream.read(&mut [0; 1]).await;
    }
    for (reason, refused) in [("not_turn", 2), ("tls", 3), ("address_full", 2), ("full", 1), ("too_slow", 4)]
    {
        let counted =
            format!("media_relay_turn_connections_refused_total{{reason=\"{reason}\"}} {refused}\n");
        shows(&relay, &counted).await;
    }
    relay.signal("-TERM");
    let log = relay.log_to_the_end();
    for (reason, key) in [
        ("not_turn", ""),
        ("tls", ""),
        ("address_full", "turn.connections_per_address"),
        ("full", "turn.connections"),
        ("too_slow", ""),
    ] {
        let said = format!("reason=\"{reason}\"");
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(&said)).collect();
        assert!(lines.len() == 1 && lines[0].contains(key), "{reason}: {log}");
    }
}

async fn shows(relay: &Program, metric: &str) {
    while !relay.operator("/metrics").await.body.contains(metric) {
        tokio::task::yield_now().await;
    }
}

async fn connect(from: &str, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(from.parse().unwrap(), 0)).unwrap();
    socket.connect(to).await.unwrap()
}

async fn is_closed_after(to: SocketAddr, words: &[u8]) {
    let mut stream = connect("127.0.0.1", to).await;
    // A reset is an end, too.
    _ = stream.write_all(words).await;
    _ = stream.read_to_end(&mut Vec::new()).await;
}

#[tokio::test]
async fn without_descriptors_connections_wait_until_there_are_some() {
    let folder = TempDir::new().unwrap();
    let secrets = folder.path().join("secrets");
    fs::write(&secrets, OLD).unwrap();
    let turn = format!(
        "[turn]\ntcp = [\"127.0.0.1:0\"]\nsecrets_file = {secrets:?}\nrelayed_ports = [25480, 25499]\n"
    );
    let mut relay = Program::start_with([25_460, 25_479], &turn);
    let tcp = relay.announced("TURN/TCP");
    relay.limit_descriptors(2);
    let mut clients = Vec::new();
    for _ in 0..8 {
        clients.push(TcpStream::connect(tcp).await.unwrap());
    }
    relay.log_until("cannot be accepted for a while");
    is_answered(&mut clients[0]).await;
    let mut last = clients.pop().unwrap();
    drop(clients);
    is_answered(&mut last).await;
}

/// RFC 8489 §6: a Binding request and its response.
async fn is_answered(client: &mut TcpStream) {
    client.write_all(b"\x00\x01\x00\x00\x21\x12\xA4\x42transaction!").await.unwrap();
    let mut response = [0; 32];
    client.read_exact(&mut response).await.unwrap();
    assert_eq!(response[..2], [0x01, 0x01]);
}

/// Whether a client that trusts these would go on after the handshake.
async fn trusts(roots: &rustls::RootCertStore, at: SocketAddr) -> bool {
    let client = tls::client(roots.clone()).unwrap();
    let socket = TcpStream::connect(at).await.unwrap();
    TlsConnector::from(client).connect(ServerName::from(at.ip()), socket).await.is_ok()
}

/// Whether Debian's TURN client gets an allocation with this secret.
fn lets_in(at: SocketAddr, secret: &str) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let credentials = Secret::new(secret).unwrap().issue("alice", now + 600);
    let port = at.port().to_string();
    let output = Command::new("turnutils_uclient")
        .args(["-t", "-X", "-n", "0", "-m", "1", "-e", "127.0.0.1", "-p", &port])
        .args(["-u", &credentials.username, "-w", &credentials.password, "127.0.0.1"])
        .output()
        .expect("package coturn");
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    !said.contains("401") && !said.contains("Unauthorized") && !said.contains("Cannot complete Allocation")
}
