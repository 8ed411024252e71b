//! A call over a poor network, with the relay inside and in a pool: the log and the metrics tell of it.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use tokio::time::interval;

use crate::phone::Phone;
use crate::pool::{Relay, gateway_with};
use crate::program::{Gateway, Shape};
use crate::{sipp, succeeds};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_whose_sound_is_poor_is_told_of_and_counted() {
    let inside = "[relay]\nbrowser_port = 0\nrtp_ports = [25400, 25401]\nworkers = 1\n";
    let inside =
        Gateway::launch(&Shape { trunk_lines: ANY_PORT, sections: inside, log: LOG, ..Shape::default() });
    let relay = Relay::start(25_410..=25_411);
    let pool = gateway_with(&[&relay], ANY_PORT, LOG);
    tokio::join!(sounds_poor(&inside, 25_400), sounds_poor(&pool, 25_410));
}

/// SIPp calls; half of the packets of its trunk are lost on their way to the relay's only port for RTP.
async fn sounds_poor(gateway: &Gateway, relay_port: u16) {
    let trunk = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut phone = Phone::register(gateway.ws, "alice").await;
    let mut acknowledged = phone.acknowledged();
    let answering = tokio::spawn(async move { phone.answer(1).await });
    let (target, port) = (gateway.sip.to_string(), gateway.trunk.port().to_string());
    let mut caller =
        sipp(&["-sn", "uac", "-t", "u1", "-s", "alice", "-p", &port, "-m", "1", "-d", "20000", &target]);
    acknowledged.wait_for(|answered| *answered == 1).await.unwrap();
    let mut pace = interval(Duration::from_millis(20));
    let mut sequence = 0;
    while !gateway.log().contains("sound quality changed") {
        assert!(caller.try_wait().unwrap().is_none(), "the call ended, and nothing was told");
        sequence += 2;
        pace.tick().await;
        trunk.send_to(&sound(sequence), SocketAddr::from(([127, 0, 0, 1], relay_port))).unwrap();
    }
    succeeds(&mut caller).await;
    answering.await.unwrap();
    // Each leg is counted, then both are logged.
    while ends(gateway).is_empty() {
        tokio::task::yield_now().await;
    }
    let of_trunk = "{direction=\"received\",side=\"trunk\"}";
    assert_eq!(gateway.metric(&format!("gateway_call_mos_count{of_trunk}")) as u32, 1);
    assert_eq!(gateway.metric(&format!("gateway_poor_streams_total{of_trunk}")) as u32, 1);
    assert!(gateway.metric(&format!("gateway_call_mos_sum{of_trunk}")) < 3.1);
    assert_eq!(gateway.find_metric("gateway_call_mos_count{direction=\"sent\",side=\"browser\"}"), None);
    let lines = ends(gateway);
    assert_eq!(lines.len(), 1, "one for both legs: {lines:?}");
    for figure in
        ["a_received_mos=", "a_received_loss_percent=", "a_received_jitter_ms=", "b_received_packets=0"]
    {
        assert!(lines[0].contains(figure), "{figure} in {lines:?}");
    }
}

/// What the log says of calls that have ended.
fn ends(gateway: &Gateway) -> Vec<String> {
    let log = gateway.log();
    log.lines().filter(|line| line.contains("call ended")).map(str::to_owned).collect()
}

/// SIPp keeps the port of its SDP for itself.
const ANY_PORT: &str = "learn_address = true";
const LOG: &str = "filter = \"info\"";

/// An RTP packet of PCMU (RFC 3550 §5.1).
fn sound(sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 160).to_be_bytes());
    packet.extend(7_u32.to_be_bytes());
    packet.extend([0xFF; 160]);
    packet
}
