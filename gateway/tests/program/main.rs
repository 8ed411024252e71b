//! The program from outside: its commands, its log, its end, and SIPp as the trunk, calling and called, over UDP and TCP.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "../../../media-relay/tests/built/mod.rs"]
mod built;
mod commands;
mod doors;
mod failover;
mod flood;
mod following;
mod links;
mod log_pipe;
mod networks;
mod pages;
mod phone;
mod pool;
mod program;
mod quality;
mod reload;
mod secrets;
#[expect(dead_code, reason = "the relay's own tests use the rest")]
#[path = "../../../media-relay/tests/loopback/attacks/phone.rs"]
mod speaker;
mod stop;
mod trunk_tls;
mod turn;

use std::fs;
use std::ops::RangeInclusive;
use std::process::Stdio;

use relay_api::Codec;
use tokio::process::{Child, Command};

use phone::Phone;
use program::Gateway;

/// In a row, each way and transport.
const CALLS: u32 = 1_000;
/// Calls before memory is looked at: tables and pools have found their size.
const WARM_UP: u32 = 200;
/// KiB that may be added in a thousand calls: these take less than the 32 s that finished transactions stay (RFC 3261 §17,
/// timers D, H and J), and the allocator keeps some for itself.
const SLACK: u64 = 16 * 1_024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sipp_calls_a_browser_over_udp() {
    sipp_calls("udp", "u1", 10_000..=12_499).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sipp_calls_a_browser_over_tcp() {
    sipp_calls("tcp", "t1", 12_500..=14_999).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_calls_sipp_over_udp() {
    browser_calls("udp", "u1", 15_000..=17_499).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_calls_sipp_over_tcp() {
    browser_calls("tcp", "t1", 17_500..=19_999).await;
}

/// As the speaker sends it.
fn pcmu() -> Codec {
    Codec { name: "PCMU".to_owned(), clock_rate: 8_000, channels: 1, receive: 0, send: 0 }
}

async fn sipp_calls(transport: &str, sipp_transport: &str, rtp_ports: RangeInclusive<u16>) {
    let gateway = Gateway::start(transport, rtp_ports);
    let mut phone = Phone::register(gateway.ws, "alice").await;
    let answering = tokio::spawn(async move {
        phone.answer((WARM_UP + CALLS) as usize).await;
        phone
    });
    run_uac(&gateway, sipp_transport, WARM_UP).await;
    let before = gateway.memory();
    run_uac(&gateway, sipp_transport, CALLS).await;
    let _phone = answering.await.unwrap();
    stays_clean(&gateway, before).await;
}

async fn browser_calls(transport: &str, sipp_transport: &str, rtp_ports: RangeInclusive<u16>) {
    let gateway = Gateway::start(transport, rtp_ports);
    let total = (WARM_UP + CALLS).to_string();
    let port = gateway.trunk.port().to_string();
    let mut uas = sipp(&["-sn", "uas", "-t", sipp_transport, "-p", &port, "-m", &total]);
    let mut phone = Phone::register(gateway.ws, "alice").await;
    listens(&gateway, transport).await;
    for _ in 0..WARM_UP {
        phone.call("+4930123456").await;
    }
    let before = gateway.memory();
    for _ in 0..CALLS {
        phone.call("+4930123456").await;
    }
    succeeds(&mut uas).await;
    stays_clean(&gateway, before).await;
}

async fn run_uac(gateway: &Gateway, transport: &str, calls: u32) {
    let (target, calls) = (gateway.sip.to_string(), calls.to_string());
    let port = gateway.trunk.port().to_string();
    let arguments = [
        "-sn", "uac", "-t", transport, "-s", "alice", "-p", &port, "-m", &calls, "-r", "100", "-d", "50",
        &target,
    ];
    succeeds(&mut sipp(&arguments)).await;
}

fn sipp(arguments: &[&str]) -> Child {
    Command::new("sipp")
        .args(["-i", "127.0.0.1", "-nostdin", "-timeout", "240s", "-timeout_error"])
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("sipp is there: apt-get install sip-tester")
}

/// SIPp ends with 0 if every call succeeded.
async fn succeeds(sipp: &mut Child) {
    let status = sipp.wait().await.unwrap();
    assert!(status.success(), "sipp ended with {status}: 1 is a failed call");
}

/// Waits until SIPp's socket is there: before, over UDP too, the system says that nobody listens.
async fn listens(gateway: &Gateway, transport: &str) {
    // Asked of the kernel: binding it ourselves to see would be in SIPp's way.
    let socket = format!(":{:04X} ", gateway.trunk.port());
    while !fs::read_to_string(format!("/proc/net/{transport}")).unwrap().contains(&socket) {
        tokio::task::yield_now().await;
    }
}

async fn stays_clean(gateway: &Gateway, before: u64) {
    let after = gateway.memory();
    assert!(after <= before + SLACK, "memory grew from {before} to {after} KiB in {CALLS} calls");
    // The counters are renewed now and then: wait for it.
    while gateway.metric("gateway_store_values{kind=\"call\"}") > 0.0
        || gateway.metric("gateway_store_values{kind=\"timer\"}") > 0.0
    {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        gateway.metric("gateway_calls_ended_total{cause=\"hung_up\"}") as u32,
        WARM_UP + CALLS,
        "every call ended by hanging up"
    );
}
