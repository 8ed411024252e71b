//! Debian's TURN and STUN clients (package coturn) against the relay.

use std::net::SocketAddr;

use media_relay::{PeerRule, Relay, TurnAddresses};
use tokio::net::UdpSocket;
use tokio::process::Command;

use crate::turn::{credentials, turn_config};

/// A relay with TURN and an echo at two adjacent ports that it may reach.
async fn start(rtp: u16, echo: u16) -> (Relay, TurnAddresses) {
    let (mut config, _) = turn_config(rtp..=rtp + 9, rtp + 10..=rtp + 39);
    let turn = config.turn.as_mut().unwrap();
    turn.peers = vec![PeerRule { network: "127.0.0.1/32".parse().unwrap(), ports: echo..=echo + 1 }];
    for port in [echo, echo + 1] {
        let socket = UdpSocket::bind(("127.0.0.1", port)).await.unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 2_048];
            while let Ok((length, source)) = socket.recv_from(&mut buffer).await {
                _ = socket.send_to(&buffer[..length], source).await;
            }
        });
    }
    let (relay, _events) = Relay::start(config).unwrap();
    let addresses = relay.turn_addresses();
    (relay, addresses)
}

async fn output(program: &str, arguments: &[&str]) -> String {
    let output =
        Command::new(program).args(arguments).kill_on_drop(true).output().await.expect("package coturn");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Sends 20 messages each from two clients through TURN to the echo; all must come back.
async fn uclient(at: SocketAddr, echo: u16, options: &[&str]) {
    let credentials = credentials("uclient");
    let (port, echo) = (at.port().to_string(), echo.to_string());
    let mut arguments = vec!["-X", "-n", "20", "-m", "2", "-e", "127.0.0.1", "-r", &echo, "-p", &port];
    arguments.extend(["-u", &credentials.username, "-w", &credentials.password]);
    arguments.extend(options);
    arguments.push("127.0.0.1");
    let said = output("turnutils_uclient", &arguments).await;
    assert!(said.contains("Total lost packets 0 "), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn turnutils_uclient_sends_through_us_by_udp_tcp_and_tls() {
    let (relay, addresses) = start(24_400, 24_450).await;
    uclient(addresses.udp[0], 24_450, &[]).await;
    uclient(addresses.udp[0], 24_450, &["-s", "-c"]).await;
    uclient(addresses.tcp[0], 24_450, &["-t"]).await;
    uclient(addresses.tls[0], 24_450, &["-t", "-S"]).await;
    // Clients by UDP leave their allocations to time; a connection takes its own with it.
    while relay.totals().turn.streams > 0 {
        tokio::task::yield_now().await;
    }
    assert!(relay.totals().turn.granted > relay.totals().turn.allocations);
}

#[tokio::test(flavor = "multi_thread")]
async fn turnutils_stunclient_and_natdiscovery_learn_their_address() {
    let (_relay, addresses) = start(24_460, 24_510).await;
    let port = addresses.udp[0].port().to_string();
    let said = output("turnutils_stunclient", &["-p", &port, "127.0.0.1"]).await;
    assert!(said.contains("UDP reflexive addr: 127.0.0.1:"), "{said}");
    let said = output("turnutils_natdiscovery", &["-m", "-p", &port, "127.0.0.1"]).await;
    assert!(said.contains("127.0.0.1"), "{said}");
}
