//! An operator follows a call by the log and the metrics alone.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use sip_core::message::Status;
use tokio::time::interval;

use crate::phone::Phone;
use crate::pool::{Relay, gateway_with};
use crate::program::{Gateway, Shape};
use crate::{sipp, succeeds};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_has_one_line_at_its_start_and_one_at_its_end() {
    let gateway = launch("", 25_500, LOG);
    let mut phone = Phone::register(gateway.ws, "alice").await;
    phone.call("echo").await;
    assert_eq!(phone.invite("sip:bob@elsewhere.example").await.status(), Some(Status::NOT_FOUND));
    let ended = wait_for(&gateway, "call ended").await;
    let started = wait_for(&gateway, "call started").await;
    assert_eq!(id(&started), id(&ended), "one span: {started} {ended}");
    for (line, fields) in [
        (
            &started,
            [
                "from=a…e(5) to=e…o(4)",
                "direction=\"service\"",
                "remote=127.0.0.1:",
                "caller_call_id=\"alice-",
            ],
        ),
        (
            &ended,
            [
                "from=a…e(5) to=e…o(4)",
                "ended_by=\"caller\" cause=\"hung_up\" status=200",
                "answered=true",
                "a_received_packets=0",
            ],
        ),
        (
            &wait_for(&gateway, "call refused").await,
            ["from=a…e(5) to=b…b(3)", "status=404", "remote=127.0.0.1:", "call{id="],
        ),
    ] {
        for field in fields {
            assert!(line.contains(field), "{field} in {line}");
        }
    }
    assert_eq!(gateway.metric("gateway_calls_started_total{direction=\"service\"}") as u32, 1);
    assert_eq!(gateway.metric("gateway_calls_ended_total{cause=\"hung_up\",class=\"2xx\"}") as u32, 1);
    assert_eq!(gateway.metric("gateway_calls_refused_total{class=\"4xx\"}") as u32, 1);
    assert_eq!(gateway.metric("gateway_responses_total{class=\"4xx\",method=\"INVITE\"}") as u32, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registration_is_told_when_it_comes_and_when_it_goes_but_not_its_refreshes() {
    let gateway = launch("", 25_510, LOG);
    let mut phone = Phone::register(gateway.ws, "alice").await;
    phone.log_in("secret").await;
    let registered = wait_for(&gateway, "registered").await;
    for field in ["user=a…e(5)", "address=127.0.0.1:", "contacts=1", "expires_s=600"] {
        assert!(registered.contains(field), "{field} in {registered}");
    }
    drop(phone);
    assert!(wait_for(&gateway, "registration lost").await.contains("user=a…e(5)"));
    assert_eq!(lines(&gateway, " registered ").len(), 1, "a refresh is of no interest");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_a_trunks_address_was_passed_over_is_told_and_shown() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let trunk = format!("backup_addresses = [\"{}\"]\nfirst_reply = \"300ms\"", silent.local_addr().unwrap());
    let gateway = launch(&trunk, 25_520, LOG);
    let mut phone = Phone::register(gateway.ws, "alice").await;
    // Nobody listens where the trunk should be, and who listens at its second address says nothing.
    assert_eq!(phone.asks_for("+4930123456").await.status(), Some(Status::SERVICE_UNAVAILABLE));
    wait_for(&gateway, "call ended").await;
    let passed_over = lines(&gateway, "address passed over");
    assert_eq!(passed_over.len(), 2, "{passed_over:?}");
    for line in &passed_over {
        assert!(
            line.contains("trunk=\"sipp\"") && line.contains("why=\"") && line.contains("call{id="),
            "{line}"
        );
    }
    assert!(passed_over[1].contains("no response in first_reply"), "{passed_over:?}");
    let up =
        format!("gateway_trunk_address_up{{address=\"{}\",trunk=\"sipp\"}}", silent.local_addr().unwrap());
    assert_eq!(gateway.metric(&up) as u32, 0);
    let failed = "gateway_calls_ended_total{class=\"5xx\",direction=\"outbound\",trunk=\"sipp\"}";
    assert_eq!(gateway.metric(failed) as u32, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_from_another_address_than_the_signalled_one_is_told_once_and_counted() {
    let inside = launch("", 25_530, LOG);
    let relay = Relay::start(25_540..=25_541);
    let pool = gateway_with(&[&relay], "", LOG);
    tokio::join!(hears_nothing(&inside, 25_530), hears_nothing(&pool, 25_540));
}

/// SIPp calls; its sound comes from another port than its SDP says.
async fn hears_nothing(gateway: &Gateway, relay_port: u16) {
    let elsewhere = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut phone = Phone::register(gateway.ws, "alice").await;
    let mut acknowledged = phone.acknowledged();
    let answering = tokio::spawn(async move { phone.answer(1).await });
    let (target, port) = (gateway.sip.to_string(), gateway.trunk.port().to_string());
    let mut caller =
        sipp(&["-sn", "uac", "-t", "u1", "-s", "alice", "-p", &port, "-m", "1", "-d", "4000", &target]);
    acknowledged.wait_for(|answered| *answered == 1).await.unwrap();
    let mut pace = interval(Duration::from_millis(20));
    while caller.try_wait().unwrap().is_none() {
        pace.tick().await;
        let packet = [&[0x80, 0, 0, 1, 0, 0, 0, 160, 0, 0, 0, 7][..], &[0xFF; 160]].concat();
        elsewhere.send_to(&packet, SocketAddr::from(([127, 0, 0, 1], relay_port))).unwrap();
    }
    succeeds(&mut caller).await;
    answering.await.unwrap();
    let ended = wait_for(gateway, "call ended").await;
    assert!(ended.contains("direction=\"inbound\"") && ended.contains("trunk=\"sipp\""), "{ended}");
    assert!(ended.contains("a_wrong_source="), "{ended}");
    let told = lines(gateway, "comes from another address");
    assert_eq!(told.len(), 1, "once for a leg: {told:?}");
    let from = format!("from={}", elsewhere.local_addr().unwrap());
    assert!(told[0].contains(&from) && told[0].contains("expected=127.0.0.1:"), "{told:?}");
    assert_eq!(id(&told[0]), id(&ended));
    assert!(told[0].contains("leg=\"a\""), "{told:?}");
    let dropped = "gateway_call_packets_dropped_total{reason=\"wrong_source\",side=\"trunk\"}";
    assert!(gateway.metric(dropped) >= 5.0);
}

fn launch(trunk_lines: &str, first_port: u16, log: &str) -> Gateway {
    let relay =
        format!("[relay]\nbrowser_port = 0\nrtp_ports = [{first_port}, {}]\nworkers = 1\n", first_port + 1);
    Gateway::launch(&Shape { trunk_lines, sections: &relay, log, ..Shape::default() })
}

async fn wait_for(gateway: &Gateway, text: &str) -> String {
    loop {
        if let Some(line) = lines(gateway, text).pop() {
            return line;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn lines(gateway: &Gateway, text: &str) -> Vec<String> {
    gateway.log().lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
}

/// Of the call whose span the line is in.
fn id(line: &str) -> &str {
    line.split("call{id=")
        .nth(1)
        .and_then(|rest| rest.split([' ', '}']).next())
        .unwrap_or_else(|| panic!("{line}"))
}

const LOG: &str = "filter = \"info\"";
