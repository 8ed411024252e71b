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
    let inside = "[relay]\nbrowser_port = 0\nrtp_ports = [38000, 38001]\nworkers = 1\n";
    let inside =
        Gateway::launch(&Shape { trunk_lines: ANY_PORT, sections: inside, log: LOG, ..Shape::default() });
    let relay = Relay::start(38_010..=38_011);
    let pool = gateway_with(&[&relay], ANY_PORT, LOG);
    tokio::join!(sounds_poor(&inside, 38_000), sounds_poor(&pool, 38_010));
}

/// SIPp calls; half of the packets of its trunk are lost on their way to the relay's only port for RTP.
async fn sounds_poor(gateway: &Gateway, relay_port: u16) {
    let trunk = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut phone = Phone::register(gateway.ws, "alice").await;
    let mut acknowledged = phone.acknowledged();
    let answering = tokio::spawn(async move { phone.answer(1).await });
    let (target, port) = (gateway.sip.to_string(), gateway.trunk.port().to_string());
    let mut caller =
        sipp(&["-sn", "uac", "-t", "u1", "-s", "alice", "-p", &port, "-m", "1", "-d", "12000", &target]);
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
    let of_trunk = "{direction=\"received\",side=\"trunk\"}";
    while gateway.find_metric(&format!("gateway_call_mos_count{of_trunk}")) != Some(1.0) {
        tokio::task::yield_now().await;
    }
    assert_eq!(gateway.metric(&format!("gateway_poor_streams_total{of_trunk}")) as u32, 1);
    assert!(gateway.metric(&format!("gateway_call_mos_sum{of_trunk}")) < 3.1);
    assert_eq!(gateway.find_metric("gateway_call_mos_count{direction=\"sent\",side=\"browser\"}"), None);
    let log = gateway.log();
    let of_legs: Vec<&str> = log.lines().filter(|line| line.contains("sound of a call that ended")).collect();
    assert_eq!(of_legs.len(), 2, "one line for each leg: {log}");
    assert!(of_legs.iter().any(|line| line.contains("trunk") && line.contains("received_mos")));
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
