//! TURN credentials: who gets them, and what they are good for.

use std::net::UdpSocket;
use std::process::Command;
use std::thread;

use serde_json::Value;
use sip_core::message::Status;

use super::phone::Phone;
use super::program::{Gateway, free_port};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registered_browser_gets_credentials_of_its_own_that_the_relay_takes() {
    let turn = free_port();
    let gateway = Gateway::with_relay(
        "udp",
        &format!(
            "[relay]\nbrowser_port = 0\nrtp_ports = [32500, 32519]\nworkers = 2\n[turn]\ntcp = [\"{turn}\"]\n\
             urls = [\"turn:{turn}?transport=tcp\"]\nallocations_per_user = 1\nrelayed_ports = [32540, 32559]\n"
        ),
    );
    let mut stranger = Phone::connect(gateway.ws, "bob").await;
    assert_eq!(stranger.log_in("wrong").await, Status::UNAUTHORIZED);
    assert!(!stranger.heard.contains(HEADER), "nothing for who can't log in");

    let told = told(&Phone::register(gateway.ws, "alice").await);
    assert_eq!(told["urls"][0], format!("turn:{turn}?transport=tcp"));
    assert_eq!(told["lifetime"], 600);
    let (username, password) = (told["username"].as_str().unwrap(), told["credential"].as_str().unwrap());
    assert!(username.ends_with(":alice"), "{username}");

    let port = turn.port().to_string();
    let allocate = |username: &str| {
        let status = Command::new("turnutils_uclient")
            .args(["-t", "-X", "-n", "0", "-m", "1", "-c", "-e", "127.0.0.1", "-p", &port])
            .args(["-u", username, "-w", password, "127.0.0.1"])
            .output();
        status.expect("package coturn");
    };
    allocate(username);
    assert_eq!(gateway.metric(&answers("granted")), 1.0);
    assert_eq!(gateway.metric(&answers("unauthorized")), 0.0);
    allocate(&username.replace("alice", "bob"));
    assert_eq!(gateway.metric(&answers("granted")), 1.0, "the password is of that name alone");
    assert!(gateway.metric(&answers("unauthorized")) > 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packets_go_by_tls_over_the_port_of_wss_and_back() {
    // Each of two clients sends to a port of its own.
    for port in [32_600, 32_601] {
        let echo = UdpSocket::bind(("127.0.0.1", port)).unwrap();
        thread::spawn(move || {
            let mut buffer = [0; 2_048];
            while let Ok((length, source)) = echo.recv_from(&mut buffer) {
                echo.send_to(&buffer[..length], source).unwrap();
            }
        });
    }
    let gateway = Gateway::with_relay(
        "udp",
        "[relay]\nbrowser_port = 0\nrtp_ports = [32560, 32579]\nworkers = 2\n[turn]\non_wss = true\n\
         urls = [\"turns:localhost:443\"]\npeers = [\"127.0.0.1/32:32600-32601\"]\nrelayed_ports = [32580, 32599]\n",
    );
    let told = told(&Phone::register(gateway.ws, "alice").await);
    let (username, password) = (told["username"].as_str().unwrap(), told["credential"].as_str().unwrap());
    let output = Command::new("turnutils_uclient")
        .args(["-t", "-S", "-c", "-X", "-n", "20", "-m", "2", "-e", "127.0.0.1", "-r", "32600"])
        .args(["-p", &gateway.wss.port().to_string(), "-u", username, "-w", password, "127.0.0.1"])
        .output()
        .expect("package coturn");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("Total lost packets 0 "), "{said}");
    while gateway.metric("media_relay_turn_connections") > 0.0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_turn_nobody_is_told_of_it() {
    let gateway = Gateway::start("udp", 32_520..=32_539);
    assert!(!Phone::register(gateway.ws, "alice").await.heard.contains(HEADER));
}

/// What the phone was told of TURN.
pub fn told(phone: &Phone) -> Value {
    let line = phone.heard.lines().find_map(|line| line.strip_prefix(HEADER)?.strip_prefix(": "));
    serde_json::from_str(line.unwrap()).unwrap()
}

fn answers(kind: &str) -> String {
    format!("media_relay_turn_answers_total{{answer=\"{kind}\"}}")
}

const HEADER: &str = "X-ICE-Server";
