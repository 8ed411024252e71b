//! WS: RFC 6455 and RFC 7118 from a client's side, and HTTP on the same port.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use gateway::adapters::{Limits, Rate};
use gateway::ports::transport::{CloseReason, Protocol, SendError, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::recorder::{ANSWER, ANSWERED, Lab, soon};

const OPTIONS: &str = "OPTIONS sip:a@example.com SIP/2.0\r\n\r\n";

async fn connect(to: SocketAddr) -> WebSocketStream<TcpStream> {
    handshake(to, TcpStream::connect(to).await.unwrap()).await
}

async fn handshake(to: SocketAddr, stream: TcpStream) -> WebSocketStream<TcpStream> {
    let mut request = format!("ws://{to}/ws").into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "sip".parse().unwrap());
    let (socket, response) = soon(client_async(request, stream)).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "sip");
    socket
}

/// A client that writes its frames by hand.
async fn connect_raw(to: SocketAddr) -> TcpStream {
    connect(to).await.into_inner()
}

/// A masked client frame; the mask is zero, so the payload can be read.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first, 0x80 | u8::try_from(payload.len()).unwrap(), 0, 0, 0, 0];
    bytes.extend_from_slice(payload);
    bytes
}

/// Reads until the server's Close frame, which has to be the first frame, and gives its code.
async fn close_code(stream: &mut TcpStream) -> u16 {
    let mut head = [0; 4];
    soon(stream.read_exact(&mut head)).await.unwrap();
    assert_eq!(head[0], 0x88, "a Close frame");
    u16::from_be_bytes([head[2], head[3]])
}

/// Writes a request by hand and gives the whole answer, up to the end of the connection.
async fn http(to: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let _ = soon(stream.read_to_string(&mut answer)).await;
    answer
}

#[tokio::test] // RFC 7118 §5
async fn text_and_binary_frames_are_messages_and_answered_in_kind() {
    let mut lab = Lab::new();
    let mut phone = connect(lab.listen_ws(Limits::browser())).await;
    let opened = lab.opened().await;
    assert_eq!(opened.protocol, Protocol::Ws);

    phone.send(Message::text(OPTIONS)).await.unwrap();
    let (source, raw) = lab.message().await;
    assert_eq!((source.connection, raw.as_ref()), (opened.connection, OPTIONS.as_bytes()));
    source.reply.send(Bytes::from_static(b"one")).unwrap();
    assert_eq!(soon(phone.next()).await.unwrap().unwrap(), Message::text("one"));

    phone.send(Message::binary(OPTIONS)).await.unwrap();
    let (source, raw) = lab.message().await;
    assert_eq!(raw, OPTIONS);
    lab.send(source.connection.unwrap(), b"two").unwrap();
    assert_eq!(soon(phone.next()).await.unwrap().unwrap(), Message::binary("two"));
}

#[tokio::test] // RFC 6455 §5.6
async fn what_is_not_utf_8_leaves_as_a_binary_frame() {
    let mut lab = Lab::new();
    let mut phone = connect(lab.listen_ws(Limits::browser())).await;
    let connection = lab.opened().await.connection.unwrap();
    lab.send(connection, b"\xff\xfe").unwrap();
    assert_eq!(soon(phone.next()).await.unwrap().unwrap(), Message::binary(&b"\xff\xfe"[..]));
}

#[tokio::test] // RFC 6455 §5.4: control frames may stand between the fragments of a message.
async fn fragments_make_one_message_and_a_ping_between_them_is_answered() {
    let mut lab = Lab::new();
    let mut phone = connect(lab.listen_ws(Limits::browser())).await;
    lab.opened().await;
    let part =
        |text: &'static str, opcode, last| Message::Frame(Frame::message(text, OpCode::Data(opcode), last));
    phone.send(part("OPTI", Data::Text, false)).await.unwrap();
    phone.send(Message::Ping(Bytes::from_static(b"well?"))).await.unwrap();
    assert_eq!(soon(phone.next()).await.unwrap().unwrap(), Message::Pong(Bytes::from_static(b"well?")));
    phone.send(part("ON", Data::Continue, false)).await.unwrap();
    phone.send(part("S", Data::Continue, true)).await.unwrap();
    assert_eq!(lab.message().await.1, "OPTIONS");
}

#[tokio::test] // RFC 5626 §4.4.1, RFC 7118 §6
async fn a_crlf_keep_alive_is_answered_and_is_no_message() {
    let mut lab = Lab::new();
    let mut phone = connect(lab.listen_ws(Limits::browser())).await;
    lab.opened().await;
    phone.send(Message::text("\r\n\r\n")).await.unwrap();
    assert_eq!(soon(phone.next()).await.unwrap().unwrap(), Message::text("\r\n"));
    phone.send(Message::text("\r\n")).await.unwrap();
    phone.send(Message::text(OPTIONS)).await.unwrap();
    assert_eq!(lab.message().await.1, OPTIONS);
}

#[tokio::test] // RFC 6455 §5.5.1: no data frame follows a Close frame
async fn what_was_answered_leaves_before_the_end_that_follows_in_the_same_segment() {
    let mut lab = Lab::new();
    let at = lab.listen_ws(Limits::browser());
    let request = frame(0x81, format!("OPTIONS {ANSWERED} SIP/2.0\r\n\r\n").as_bytes());
    let ends = [frame(0x88, &1000_u16.to_be_bytes()), frame(0x83, b""), frame(0x81, b"\xff")];
    for (end, code) in ends.into_iter().zip([1000, 1002, 1007]) {
        let mut phone = connect_raw(at).await;
        lab.opened().await;
        phone.write_all(&[request.clone(), end].concat()).await.unwrap();
        let mut head = [0; 2];
        soon(phone.read_exact(&mut head)).await.unwrap();
        assert_eq!(head, [0x81, u8::try_from(ANSWER.len()).unwrap()], "{code}");
        let mut answer = [0; ANSWER.len()];
        soon(phone.read_exact(&mut answer)).await.unwrap();
        assert_eq!(answer, ANSWER);
        assert_eq!(close_code(&mut phone).await, code);
        drop(phone);
        lab.message().await;
        lab.closed().await;
    }
}

#[tokio::test] // RFC 6455 §7.4.1: 1009, and decided on the header, as only that is ever sent here.
async fn a_frame_that_announces_too_much_is_refused_before_it_comes() {
    let mut lab = Lab::new();
    let at = lab.listen_ws(Limits::browser());
    for length in [65_537, 1 << 31, 1 << 32, 1 << 63, u64::MAX] {
        let mut phone = connect_raw(at).await;
        lab.opened().await;
        let mut header = vec![0x81, 0xff];
        header.extend_from_slice(&length.to_be_bytes());
        header.extend_from_slice(&[0; 4]);
        phone.write_all(&header).await.unwrap();
        assert_eq!(close_code(&mut phone).await, 1009, "{length}");
        drop(phone);
        assert_eq!(lab.closed().await, CloseReason::TooBig);
    }
}

#[tokio::test]
async fn fragments_that_add_up_to_too_much_are_refused() {
    let mut lab = Lab::new();
    let mut phone = connect(lab.listen_ws(Limits::browser())).await;
    lab.opened().await;
    let half = "x".repeat(40_000);
    for opcode in [Data::Text, Data::Continue] {
        let frame = Frame::message(half.clone(), OpCode::Data(opcode), false);
        phone.send(Message::Frame(frame)).await.unwrap();
    }
    let Message::Close(Some(close)) = soon(phone.next()).await.unwrap().unwrap() else { panic!("no Close") };
    assert_eq!(u16::from(close.code), 1009);
}

#[tokio::test] // RFC 6455 §5.1, §5.2, §5.5, §8.1
async fn a_client_that_breaks_the_protocol_is_told_so() {
    let mut lab = Lab::new();
    let at = lab.listen_ws(Limits::browser());
    let cases: [(&str, Vec<u8>, u16); 7] = [
        ("not masked", b"\x81\x02hi".to_vec(), 1002),
        ("a reserved bit", frame(0xc1, b"hi"), 1002),
        ("an unknown opcode", frame(0x83, b"hi"), 1002),
        ("a continuation of nothing", frame(0x80, b"hi"), 1002),
        ("a fragmented ping", frame(0x09, b"hi"), 1002),
        ("not UTF-8", frame(0x81, b"\xff\xfe"), 1007),
        ("a message inside a message", [frame(0x01, b"a"), frame(0x81, b"b")].concat(), 1002),
    ];
    for (what, bytes, code) in cases {
        let mut phone = connect_raw(at).await;
        lab.opened().await;
        phone.write_all(&bytes).await.unwrap();
        assert_eq!(close_code(&mut phone).await, code, "{what}");
        drop(phone);
        lab.closed().await;
    }
}

#[tokio::test]
async fn a_client_s_close_is_answered() {
    let mut lab = Lab::new();
    let mut phone = connect(lab.listen_ws(Limits::browser())).await;
    lab.opened().await;
    phone.close(None).await.unwrap();
    assert!(matches!(soon(phone.next()).await, None | Some(Ok(Message::Close(_)))));
    drop(phone);
    assert_eq!(lab.closed().await, CloseReason::Peer);
    assert_eq!(lab.transports.statistics().open, 0);
}

#[tokio::test]
async fn a_client_that_vanishes_is_gone() {
    let mut lab = Lab::new();
    let phone = connect(lab.listen_ws(Limits::browser())).await;
    let connection = lab.opened().await.connection.unwrap();
    drop(phone);
    assert_eq!(lab.closed().await, CloseReason::Peer);
    assert_eq!(lab.send(connection, b"late"), Err(SendError::Gone));
}

#[tokio::test]
async fn we_close_with_a_code_after_what_was_queued() {
    let mut lab = Lab::new();
    let mut phone = connect(lab.listen_ws(Limits::browser())).await;
    let connection = lab.opened().await.connection.unwrap();
    lab.send(connection, b"last").unwrap();
    lab.transports.close(connection, CloseReason::Restart);
    assert_eq!(lab.send(connection, b"too late"), Err(SendError::Gone));
    assert_eq!(soon(phone.next()).await.unwrap().unwrap(), Message::text("last"));
    let Message::Close(Some(close)) = soon(phone.next()).await.unwrap().unwrap() else { panic!("no Close") };
    assert_eq!(u16::from(close.code), 1012);
    drop(phone);
    assert_eq!(lab.closed().await, CloseReason::Restart);
}

#[tokio::test]
async fn answers_leave_while_a_message_is_being_worked_on_and_the_next_one_waits() {
    let mut lab = Lab::new();
    let mut phone = connect(lab.listen_ws(Limits::browser())).await;
    lab.opened().await;
    phone.send(Message::text("wait")).await.unwrap();
    phone.send(Message::text("next")).await.unwrap();
    let (source, _) = lab.message().await;
    source.reply.send(Bytes::from_static(b"100 Trying")).unwrap();
    assert_eq!(soon(phone.next()).await.unwrap().unwrap(), Message::text("100 Trying"));
    lab.permit();
    assert_eq!(lab.message().await.1, "next");
}

#[tokio::test]
async fn work_that_has_begun_is_ended_before_the_end_of_the_connection_is_told() {
    let mut lab = Lab::new();
    let mut phone = connect(lab.listen_ws(Limits::browser())).await;
    let connection = lab.opened().await.connection.unwrap();
    phone.send(Message::text("wait")).await.unwrap();
    lab.message().await;
    lab.transports.close(connection, CloseReason::Normal);
    let Message::Close(_) = soon(phone.next()).await.unwrap().unwrap() else { panic!("no Close") };
    assert_eq!(lab.transports.statistics().open, 1);
    lab.permit();
    drop(phone);
    assert_eq!(lab.closed().await, CloseReason::Normal);
}

#[tokio::test]
async fn a_panic_costs_one_message() {
    let mut lab = Lab::new();
    let mut phone = connect(lab.listen_ws(Limits::browser())).await;
    lab.opened().await;
    phone.send(Message::text("panic")).await.unwrap();
    phone.send(Message::text("next")).await.unwrap();
    lab.message().await;
    assert_eq!(lab.message().await.1, "next");
    assert_eq!(lab.transports.statistics().panics, 1);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_closed_when_its_queue_is_full() {
    for length in [60_000, 1_000] {
        let mut lab = Lab::new();
        let at = lab.listen_ws(Limits::browser());
        let phone = handshake(at, connect_with_a_small_window(at).await).await;
        let connection = lab.opened().await.connection.unwrap();
        let mut other = connect(at).await;
        let others = lab.opened().await.connection.unwrap();
        let message: &'static [u8] = Box::leak(vec![b'x'; length].into_boxed_slice());
        let mut taken = 0;
        while lab.send(connection, message).is_ok() {
            taken += message.len();
            assert!(taken <= HELD, "the server and the kernel hold {taken} bytes for one client");
            lab.send(others, b"unharmed").unwrap();
            assert_eq!(soon(other.next()).await.unwrap().unwrap(), Message::text("unharmed"));
        }
        assert_eq!(lab.closed().await, CloseReason::SlowReader);
        drop(phone);
    }
}

/// SECURITY: 256 KiB for a client that never reads, and what its own kernel takes.
const HELD: usize = 256 * 1024 + 16 * 1024;

/// Its kernel takes next to nothing for it.
async fn connect_with_a_small_window(to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(2_048).unwrap();
    socket.connect(to).await.unwrap()
}

#[tokio::test]
async fn more_connections_than_allowed_from_one_address_are_closed_unread() {
    let mut lab = Lab::new();
    let at = lab.listen_ws(Limits { connections_per_address: 2, ..Limits::browser() });
    let first = connect(at).await;
    let _second = connect(at).await;
    lab.opened().await;
    lab.opened().await;
    let answer = http(at, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(answer, "");
    assert_eq!(lab.transports.statistics().refused, 1);
    drop(first);
    lab.closed().await;
    let _third = connect(at).await;
    lab.opened().await;
}

#[tokio::test]
async fn a_client_that_floods_waits_and_loses_nothing() {
    let mut lab = Lab::new();
    let rate = Some(Rate { per_second: 1_000, burst: 2 });
    let mut phone = connect(lab.listen_ws(Limits { rate, ..Limits::browser() })).await;
    lab.opened().await;
    for number in 0..50 {
        phone.send(Message::text(number.to_string())).await.unwrap();
    }
    for number in 0..50 {
        assert_eq!(lab.message().await.1, number.to_string());
    }
}

#[tokio::test]
async fn a_browser_that_never_shows_who_it_is_is_closed() {
    let mut lab = Lab::new();
    let limits = Limits { identification: Duration::from_millis(100), ..Limits::browser() };
    let mut phone = connect(lab.listen_ws(limits)).await;
    lab.opened().await;
    let Message::Close(Some(close)) = soon(phone.next()).await.unwrap().unwrap() else { panic!("no Close") };
    assert_eq!(u16::from(close.code), 1008);
    drop(phone);
    assert_eq!(lab.closed().await, CloseReason::TooSlow);
}

#[tokio::test]
async fn half_a_handshake_is_closed() {
    let lab = Lab::new();
    let at = lab.listen_ws(Limits { handshake: Duration::from_millis(100), ..Limits::browser() });
    let answer = http(at, "GET /ws HTTP/1.1\r\nHost: a\r\n").await;
    assert!(!answer.contains("101"), "{answer}");
}

#[tokio::test]
async fn half_a_frame_is_closed() {
    let mut lab = Lab::new();
    let limits = Limits { frame: Duration::from_millis(100), ..Limits::browser() };
    let mut phone = connect_raw(lab.listen_ws(limits)).await;
    lab.opened().await;
    phone.write_all(&frame(0x81, b"hello")[..8]).await.unwrap();
    assert_eq!(close_code(&mut phone).await, 1008);
    drop(phone);
    assert_eq!(lab.closed().await, CloseReason::TooSlow);
}

#[tokio::test]
async fn half_a_frame_behind_a_whole_one_is_closed() {
    let mut lab = Lab::new();
    let limits = Limits { frame: Duration::from_millis(100), ..Limits::browser() };
    let mut phone = connect_raw(lab.listen_ws(limits)).await;
    lab.opened().await;
    let mut bytes = frame(0x81, b"whole");
    bytes.extend(&frame(0x81, b"half")[..8]);
    phone.write_all(&bytes).await.unwrap();
    assert_eq!(lab.message().await.1, "whole");
    assert_eq!(close_code(&mut phone).await, 1008);
}

#[tokio::test]
async fn pages_are_served_on_the_same_port() {
    let lab = Lab::new();
    let at = lab.listen_ws(Limits::browser());
    let page = http(at, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(page.starts_with("HTTP/1.1 200 OK") && page.ends_with("the page"), "{page}");
    let missing = http(at, "GET /no HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(missing.starts_with("HTTP/1.1 404"), "{missing}");
    let no_upgrade = http(at, "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(no_upgrade.starts_with("HTTP/1.1 404"), "{no_upgrade}");
    let bomb = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    let refused = http(at, &bomb).await;
    assert!(refused.is_empty() || refused.starts_with("HTTP/1.1 431"), "{refused}");
}

#[tokio::test] // RFC 7118 §4.1, RFC 6455 §10.2
async fn a_wrong_subprotocol_or_page_is_refused() {
    let lab = Lab::new();
    let at = lab.listen_ws(Limits::browser());
    let ask = |protocol: &'static str, origin: &'static str| async move {
        let mut request = format!("ws://{at}/ws").into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", protocol.parse().unwrap());
        request.headers_mut().insert("origin", origin.parse().unwrap());
        match client_async(request, TcpStream::connect(at).await.unwrap()).await {
            Err(Error::Http(response)) => response.status().as_u16(),
            other => panic!("not refused: {other:?}"),
        }
    };
    assert_eq!(soon(ask("xmpp", "https://evil.test")).await, 403);
    let own: &'static str = format!("https://{at}").leak();
    assert_eq!(soon(ask("xmpp", own)).await, 400);
}

#[tokio::test]
async fn a_drain_tells_clients_to_come_back_and_lets_nobody_in() {
    let mut lab = Lab::new();
    let at = lab.listen_ws(Limits::browser());
    let mut phones = [connect(at).await, connect(at).await];
    lab.opened().await;
    lab.opened().await;
    let transports = lab.transports.clone();
    let drain = tokio::spawn(async move { transports.shutdown(Duration::from_millis(50)).await });
    for phone in &mut phones {
        let Message::Close(Some(close)) = soon(phone.next()).await.unwrap().unwrap() else {
            panic!("no Close")
        };
        assert_eq!(u16::from(close.code), 1012);
    }
    drop(phones);
    assert_eq!(lab.closed().await, CloseReason::Restart);
    assert_eq!(lab.closed().await, CloseReason::Restart);
    soon(drain).await.unwrap();
    assert!(TcpStream::connect(at).await.is_err());
}
