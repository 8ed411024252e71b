//! The swarm against a server of a few lines: a registrar and answering machine on WebSockets, and a phone on UDP.
#![expect(clippy::unwrap_used, reason = "tests")]

use futures_util::{SinkExt, StreamExt};
use loadtest::recorder::{Operation, Settled};
use loadtest::sip::digest::{Algorithm, Credentials};
use loadtest::sip::read::Received;
use loadtest::sip::write;
use loadtest::swarm::{Plan, Rates, Stop, Swarm};
use loadtest::sys::{self, Signal};
use loadtest::target::Target;
use loadtest::transport::ws::Dialer;
use loadtest::ua::Script;
use rsip::Header;
use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;

/// Whether the server agrees to RFC 7118's subprotocol.
#[derive(Clone, Copy)]
enum Subprotocol {
    Sip,
    None,
}

/// A server, and the methods it was asked for.
struct Responder {
    address: SocketAddr,
    methods: mpsc::UnboundedReceiver<String>,
}

async fn responder(subprotocol: Subprotocol) -> Responder {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (seen, methods) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, subprotocol, seen.clone()));
        }
    });
    Responder { address, methods }
}

async fn serve(stream: TcpStream, subprotocol: Subprotocol, seen: mpsc::UnboundedSender<String>) {
    #[expect(clippy::result_large_err, reason = "tungstenite's signature")]
    let agree = |_: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
        if let Subprotocol::Sip = subprotocol {
            response.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("sip"));
        }
        Ok(response)
    };
    // A phone that refuses the handshake ends here.
    let Ok(mut socket) = accept_hdr_async(stream, agree).await else { return };
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        let request = Received::parse(text.as_bytes()).unwrap();
        let _ = seen.send(request.method().unwrap().to_owned());
        for response in answer(&request) {
            if socket.send(Message::text(response)).await.is_err() {
                return;
            }
        }
    }
}

/// Challenges a REGISTER without credentials, answers INVITE at once, and everything else with 200.
fn answer(request: &Received) -> Vec<String> {
    let reply = |status, extra| write::response(request, status, Some("responder"), extra, None);
    let authorized = request.headers().any(|header| matches!(header, Header::Authorization(_)));
    match request.method() {
        Some("ACK") => vec![],
        Some("REGISTER") if !authorized => vec![reply(
            401,
            vec![
                Header::WwwAuthenticate(
                    "Digest realm=\"test\", nonce=\"n\", qop=\"auth\", algorithm=SHA-256".into(),
                ),
                Header::WwwAuthenticate(
                    "Digest realm=\"test\", nonce=\"n\", qop=\"auth\", algorithm=MD5".into(),
                ),
            ],
        )],
        Some("INVITE") => {
            let contact = vec![Header::Contact("<sip:responder@127.0.0.1>".into())];
            vec![reply(100, vec![]), reply(180, contact.clone()), reply(200, contact)]
        }
        _ => vec![reply(200, vec![])],
    }
}

fn plan() -> Plan {
    let credentials = |n| Credentials { user: format!("load{n}"), password: "secret".into() };
    let script =
        Script { ring: Duration::ZERO, hold: Duration::ZERO, timeout: Duration::from_secs(60), expires: 600 };
    let users = (1..=5).map(credentials).collect();
    Plan { users, domain: "example.com".into(), digest: Algorithm::Sha256, script, number: "100".into() }
}

fn dialer(address: SocketAddr) -> Dialer {
    let target: Target = format!("ws://{address}/ws").parse().unwrap();
    Dialer::new(target, None, None, 3, Duration::from_secs(60)).unwrap()
}

#[tokio::test]
async fn phones_register_with_sha256_and_call_both_ways() {
    let server = responder(Subprotocol::Sip).await;
    let phone = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let phone_address = phone.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = vec![0; 65_536];
        while let Ok((length, from)) = phone.recv_from(&mut buffer).await {
            for response in answer(&Received::parse(&buffer[..length]).unwrap()) {
                phone.send_to(response.as_bytes(), from).await.unwrap();
            }
        }
    });
    let (_order, stop) = Stop::on_order();
    let mut swarm = Swarm::new(plan(), dialer(server.address), stop);
    swarm.serve_trunk("127.0.0.1:0".parse().unwrap(), Some(phone_address)).unwrap();
    swarm.connect(5, 1_000.0).await;
    assert_eq!(swarm.connected(), 5);
    assert_eq!(swarm.register_all(1_000.0).await.operations, 5);
    assert_eq!(swarm.calls(4, 1_000.0).await.operations, 4);
    assert_eq!(swarm.incoming(3, 1_000.0).await.operations, 3);
    let summary = swarm.recorder().summary();
    for (operation, count) in [
        (Operation::Connect, 5),
        (Operation::Register, 5),
        (Operation::OutAnswered, 4),
        (Operation::OutRinging, 4),
        (Operation::OutHangUp, 4),
        (Operation::InAnswered, 3),
        (Operation::InRinging, 3),
        (Operation::InHangUp, 3),
    ] {
        let settled = swarm.recorder().settled(operation);
        assert_eq!(settled, Settled { done: count, failed: 0 }, "{}: {summary}", operation.label());
    }
    assert_eq!(summary.notes["digest answered with SHA-256"], 5);
}

#[tokio::test] // RFC 7118 §4.1
async fn a_server_without_the_subprotocol_is_a_failure() {
    let server = responder(Subprotocol::None).await;
    let (_order, stop) = Stop::on_order();
    let mut swarm = Swarm::new(plan(), dialer(server.address), stop);
    swarm.connect(2, 1_000.0).await;
    assert_eq!(swarm.connected(), 0);
    assert_eq!(swarm.recorder().summary().operations["connect"].failures["handshake refused"], 2);
}

#[tokio::test]
async fn a_stop_ends_a_long_load_and_its_calls() {
    let mut server = responder(Subprotocol::Sip).await;
    let (order, stop) = Stop::on_order();
    let mut plan = plan();
    plan.script.hold = Duration::from_secs(3_600);
    let mut swarm = Swarm::new(plan, dialer(server.address), stop);
    swarm.connect(1, 1_000.0).await;
    tokio::spawn(async move {
        while server.methods.recv().await.is_some_and(|method| method != "ACK") {}
        order.send_replace(true);
        order.closed().await;
    });
    let rates = Rates { calls: 100.0, ..Rates::default() };
    swarm.load(rates, Duration::from_secs(3_600)).await;
    assert_eq!(swarm.recorder().settled(Operation::OutHangUp).done, 1, "the call was hung up");
}

#[tokio::test]
async fn the_program_stops_at_a_signal_with_a_partial_report() {
    let mut server = responder(Subprotocol::Sip).await;
    let directory = tempfile::tempdir().unwrap();
    let users = directory.path().join("users");
    std::fs::write(&users, "load1 secret\nload2 secret\n").unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args([
            "swarm",
            "--target",
            &format!("ws://{}/ws", server.address),
            "--connections",
            "2",
            "--duration",
            "3600",
        ])
        .args(["--register-rate", "50", "--json", "--users-file"])
        .arg(&users)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    for _ in 0..10 {
        server.methods.recv().await.unwrap();
    }
    sys::signal(child.id(), Signal::Terminate);
    let output = tokio::task::spawn_blocking(|| child.wait_with_output()).await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["interrupted"], true);
    assert!(report["operations"]["register"]["done"].as_u64().unwrap() >= 2, "{report}");
}

#[test]
fn wrong_options_end_with_2_and_what_cannot_run_with_3() {
    let run = |options: &[&str]| -> Output {
        Command::new(env!("CARGO_BIN_EXE_loadtest")).args(options).output().unwrap()
    };
    assert_eq!(run(&["--help"]).status.code(), Some(0));
    let elsewhere = run(&["swarm", "--target", "wss://sip.example.com/"]);
    assert_eq!(elsewhere.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&elsewhere.stderr).contains("not a loopback address"));
    let nobody = run(&["swarm", "--target", "ws://127.0.0.1:1/"]);
    assert_eq!(nobody.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("--users-file"));
}
