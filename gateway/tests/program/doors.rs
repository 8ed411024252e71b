//! Who is not let in: each reason leaves one line and is counted.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use sip_core::message::Status;
use socket2::{Domain, Socket, Type};

use crate::phone::Phone;
use crate::program::{Gateway, Shape};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_door_that_stays_closed_says_why_once_and_counts() {
    let gateway = gateway(32_700);
    for _ in 0..3 {
        assert!(upgrade(gateway.ws, "/ws", "Sec-WebSocket-Protocol: xmpp\r\n").starts_with("HTTP/1.1 400"));
        let origin = "Sec-WebSocket-Protocol: sip\r\nOrigin: https://x.example/\r\n";
        assert!(upgrade(gateway.ws, "/ws", origin).starts_with("HTTP/1.1 403"));
        assert!(upgrade(gateway.ws, "/sip", "Sec-WebSocket-Protocol: sip\r\n").starts_with("HTTP/1.1 404"));
        talk(gateway.wss, "GET / HTTP/1.1\r\n\r\n");
        talk(gateway.ws, "no HTTP at all\r\n\r\n");
    }
    for (listener, reason) in
        [("ws", "subprotocol"), ("ws", "origin"), ("ws", "path"), ("wss", "tls"), ("ws", "http")]
    {
        counts(&gateway, listener, reason, 3);
    }
    assert!(gateway.log().contains("https://x.example/"), "the page that may not connect");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_connection_too_many_of_an_address_says_which_key_to_raise() {
    let gateway = gateway(32_704);
    let _open: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(gateway.ws).unwrap()).collect();
    let mut last = TcpStream::connect(gateway.ws).unwrap();
    assert_closed(&mut last);
    counts(&gateway, "ws", "address_full", 1);
    assert!(gateway.log().contains("limits.connections_per_address"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_take_no_place_of_a_trunk() {
    let gateway = gateway(32_708);
    // More than the listener has places.
    for _ in 0..1_100 {
        assert_closed(&mut connect_from("127.0.0.9", gateway.sip));
    }
    let mut trunk = connect_from("127.0.0.1", gateway.sip);
    trunk.write_all(OPTIONS).unwrap();
    let mut answer = [0; 11];
    trunk.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"SIP/2.0 200");
    counts(&gateway, "sip_tcp", "stranger", 1_100);
    assert_eq!(Phone::connect(gateway.ws, "alice").await.log_in("secret").await, Status::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_trusted_proxy_each_client_has_an_address_of_its_own() {
    let gateway = gateway_behind(32_720, "proxies = [\"127.0.0.5/32\"]");
    let asks = |from: &str, client: &str| {
        let mut connection = connect_from(from, gateway.ws);
        let forwarded = format!("X-Forwarded-For: 127.0.0.1, {client}\r\n");
        ask_upgrade(&mut connection, gateway.ws, &forwarded);
        let status = status(&mut connection);
        (connection, status)
    };
    let open: Vec<_> = (0..100).map(|_| asks("127.0.0.5", "192.0.2.7")).collect();
    assert!(open.iter().all(|(_, status)| status == "101"));
    assert_eq!(asks("127.0.0.5", "192.0.2.7").1, "503", "as many as an address may have");
    assert_eq!(asks("127.0.0.5", "192.0.2.8").1, "101", "another client");
    assert_eq!(asks("127.0.0.9", "192.0.2.7").1, "101", "who is no proxy is himself, whatever he writes");
    counts(&gateway, "ws", "address_full", 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_says_first_for_whom_it_connects_and_nobody_else_does() {
    let proxied = "proxies = [\"127.0.0.5/32\"]\nproxy_protocol = [\"ws\", \"sip_tcp\"]";
    let gateway = gateway_behind(32_722, proxied);
    let asks = |from: &str, header: &[u8]| {
        let mut connection = connect_from(from, gateway.ws);
        connection.write_all(header).unwrap();
        ask_upgrade(&mut connection, gateway.ws, "");
        status(&mut connection)
    };
    assert_eq!(asks("127.0.0.5", &proxy_header([192, 0, 2, 7])), "101");
    assert_eq!(asks("127.0.0.5", b""), "", "a proxy that does not say it");
    assert_eq!(asks("127.0.0.1", b""), "101", "who is no proxy says nothing of the kind");
    assert_ne!(asks("127.0.0.1", &proxy_header([192, 0, 2, 7])), "101");
    counts(&gateway, "ws", "proxy", 1);

    let mut trunk = connect_from("127.0.0.5", gateway.sip);
    trunk.write_all(&proxy_header([127, 0, 0, 1])).unwrap();
    trunk.write_all(OPTIONS).unwrap();
    let mut answer = [0; 11];
    trunk.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"SIP/2.0 200");
    let mut stranger = connect_from("127.0.0.5", gateway.sip);
    stranger.write_all(&proxy_header([192, 0, 2, 7])).unwrap();
    assert_closed(&mut stranger);
    counts(&gateway, "sip_tcp", "stranger", 1);
}

/// Version 2, TCP over IPv4, from this client.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_call_finds_the_house_ready() {
    for round in 0..5 {
        let first_port = 31_340 + 2 * round;
        let relay = format!(
            "[relay]\nbrowser_port = 0\nrtp_ports = [{first_port}, {}]\nworkers = 1\n",
            first_port + 1
        );
        let shape = Shape { transport: "tcp", sections: &relay, ..Shape::default() };
        let gateway = Gateway::spawn(&shape);
        let pbx = tokio::net::TcpListener::bind(gateway.trunk).await.unwrap();
        let busy = async {
            let (mut line, _) = pbx.accept().await.unwrap();
            let mut text = String::new();
            while !text.contains("\r\n\r\n") {
                let mut buffer = [0; 4_096];
                let length = tokio::io::AsyncReadExt::read(&mut line, &mut buffer).await.unwrap();
                text.push_str(&String::from_utf8_lossy(&buffer[..length]));
            }
            let kept = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"];
            let lines = text.lines().filter(|line| kept.iter().any(|name| line.starts_with(name)));
            let tagged = |line: &str| if line.starts_with("To:") { ";tag=t\r\n" } else { "\r\n" };
            let headers: String = lines.map(|line| format!("{line}{}", tagged(line))).collect();
            let answer = format!("SIP/2.0 486 Busy Here\r\n{headers}Content-Length: 0\r\n\r\n");
            tokio::io::AsyncWriteExt::write_all(&mut line, answer.as_bytes()).await.unwrap();
            line
        };
        let calls = async {
            while tokio::net::TcpStream::connect(gateway.ws).await.is_err() {
                tokio::task::yield_now().await;
            }
            Phone::register(gateway.ws, "alice").await.asks_for("+4930123456").await
        };
        let (answer, _line) = tokio::join!(calls, busy);
        assert_eq!(answer.status(), Some(Status::BUSY_HERE), "{}", String::from_utf8_lossy(answer.bytes()));
    }
}

fn proxy_header(client: [u8; 4]) -> Vec<u8> {
    let [a, b, c, d] = client;
    let ports_and_addresses = [a, b, c, d, 127, 0, 0, 1, 0x12, 0x67, 0x1F, 0x90];
    [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0C"[..], &ports_and_addresses].concat()
}

fn gateway(first_port: u16) -> Gateway {
    gateway_behind(first_port, "")
}

fn gateway_behind(first_port: u16, listen_lines: &str) -> Gateway {
    let last_port = first_port + 1;
    let relay = format!("[relay]\nbrowser_port = 0\nrtp_ports = [{first_port}, {last_port}]\nworkers = 1\n");
    Gateway::launch(&Shape { listen_lines, sections: &relay, log: "filter = \"info\"", ..Shape::default() })
}

/// So many were refused, and that is told in one line. A peer may know before it is counted and written.
fn counts(gateway: &Gateway, listener: &str, reason: &str, refused: u32) {
    let name = format!("gateway_connections_refused_total{{listener=\"{listener}\",reason=\"{reason}\"}}");
    let said = format!("reason=\"{reason}\"");
    let lines = || gateway.log().lines().filter(|line| line.contains(&said)).count();
    while gateway.find_metric(&name).is_none_or(|counted| counted < f64::from(refused)) || lines() == 0 {
        std::thread::yield_now();
    }
    assert_eq!(gateway.metric(&name), f64::from(refused));
    assert_eq!(lines(), 1);
}

fn upgrade(gateway: SocketAddr, path: &str, headers: &str) -> String {
    talk(gateway, &upgrade_request(gateway, path, headers))
}

fn ask_upgrade(connection: &mut TcpStream, gateway: SocketAddr, headers: &str) {
    let headers = format!("Sec-WebSocket-Protocol: sip\r\n{headers}");
    connection.write_all(upgrade_request(gateway, "/ws", &headers).as_bytes()).unwrap();
}

fn upgrade_request(gateway: SocketAddr, path: &str, headers: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {gateway}\r\nConnection: upgrade, close\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    )
}

/// Of an HTTP response; empty if there is none.
fn status(connection: &mut TcpStream) -> String {
    let mut start = [0; 12];
    match connection.read_exact(&mut start) {
        Ok(()) => String::from_utf8_lossy(&start[9..]).into_owned(),
        Err(_) => String::new(),
    }
}

/// Says something, and hears until the other side closes.
fn talk(gateway: SocketAddr, words: &str) -> String {
    let mut connection = TcpStream::connect(gateway).unwrap();
    connection.write_all(words.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // A reset is an end, too.
    let _ = connection.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn connect_from(ip: &str, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(ip.parse().unwrap(), 0).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.into()
}

fn assert_closed(connection: &mut TcpStream) {
    assert!(matches!(connection.read(&mut [0; 1]), Ok(0) | Err(_)));
}

const OPTIONS: &[u8] = b"OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bKo\r\n\
    From: <sip:t@127.0.0.1>;tag=1\r\nTo: <sip:127.0.0.1>\r\nCall-ID: o\r\nCSeq: 1 OPTIONS\r\n\
    Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n";
