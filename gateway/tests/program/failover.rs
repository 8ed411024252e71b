//! A trunk of three addresses: one dead, one that refuses, one that answers (RFC 3263 §4.3).

use std::net::UdpSocket;

use bytes::Bytes;
use sip_core::message::{Limits, Message, Method, Name, Status};

use super::phone::Phone;
use super::program::{Gateway, free_port};
use super::{sipp, succeeds};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_passes_a_dead_and_a_full_address_and_is_answered() {
    let (full, good) = (free_port(), free_port());
    let lines = format!("backup_addresses = [\"{full}\", \"{good}\"]\nfirst_reply = \"2s\"");
    let gateway = Gateway::start_with("udp", 32_000..=32_099, &lines, "filter = \"warn\"");
    // Bound and never read: no ICMP tells that nobody is there.
    let dead = UdpSocket::bind(gateway.trunk).unwrap();
    let refuser = UdpSocket::bind(full).unwrap();
    let refusing = std::thread::spawn(move || refuse_invites(&refuser));
    let mut uas = sipp(&["-sn", "uas", "-t", "u1", "-p", &good.port().to_string(), "-m", "2"]);
    // Asked of the kernel: binding it ourselves to see would be in SIPp's way.
    while !std::fs::read_to_string("/proc/net/udp").unwrap().contains(&format!(":{:04X} ", good.port())) {
        tokio::task::yield_now().await;
    }
    let mut phone = Phone::register(gateway.ws, "alice").await;
    phone.call("+4930123456").await;
    let mut invite = [0; 4_096];
    let (length, _) = dead.recv_from(&mut invite).unwrap();
    assert!(invite[..length].starts_with(b"INVITE "));

    phone.call("+4930123456").await;
    succeeds(&mut uas).await;
    assert_eq!(refusing.join().unwrap(), 1, "Retry-After is kept by the second call");
    dead.set_nonblocking(true).unwrap();
    while let Ok((length, _)) = dead.recv_from(&mut invite) {
        let text = String::from_utf8_lossy(&invite[..length]).into_owned();
        assert!(text.contains("CSeq: 1 INVITE"), "a repetition of the first INVITE: {text}");
    }
}

/// Answers INVITEs with 503 and Retry-After until one was acknowledged and nothing more comes; says how many there were.
fn refuse_invites(socket: &UdpSocket) -> usize {
    socket.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
    let mut calls = std::collections::HashSet::new();
    let mut buffer = [0; 4_096];
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        let request = Message::parse(Bytes::copy_from_slice(&buffer[..length]), &Limits::default()).unwrap();
        if *request.method() == Method::Invite {
            calls.insert(request.call_id().to_owned());
            let response = request.response(Status::SERVICE_UNAVAILABLE).to_tag("full");
            let response = response.header(Name::RetryAfter, 60).build().unwrap();
            socket.send_to(response.bytes(), from).unwrap();
        }
    }
    calls.len()
}
