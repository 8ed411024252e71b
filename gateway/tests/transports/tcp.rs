//! TCP: framing, keep-alives and limits on a byte stream.

use std::time::Duration;

use gateway::adapters::Limits;
use gateway::ports::transport::{CloseReason, Protocol};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::recorder::{ANSWER, ANSWERED, Lab, soon};

/// A whole OPTIONS with a body.
pub fn options(call_id: &str) -> String {
    format!(
        "OPTIONS sip:gw@127.0.0.1 SIP/2.0\r\n\
         Via: SIP/2.0/TCP 127.0.0.1:5070;branch=z9hG4bK{call_id}\r\n\
         From: <sip:pbx@127.0.0.1>;tag=1\r\n\
         To: <sip:gw@127.0.0.1>\r\n\
         Call-ID: {call_id}\r\n\
         CSeq: 1 OPTIONS\r\n\
         Content-Type: text/plain\r\n\
         Content-Length: 5\r\n\r\nhello"
    )
}

#[tokio::test] // RFC 3261 §18.3
async fn a_message_that_comes_byte_by_byte_is_one_message() {
    let mut lab = Lab::new();
    let mut trunk = TcpStream::connect(lab.listen_tcp(Limits::trunk())).await.unwrap();
    trunk.set_nodelay(true).unwrap();
    assert_eq!(lab.opened().await.protocol, Protocol::Tcp);
    let message = options("bytes");
    for byte in message.as_bytes() {
        trunk.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let (source, raw) = lab.message().await;
    assert_eq!(raw, message);
    source.reply.send("SIP/2.0 200 OK\r\n\r\n".into()).unwrap();
    let mut answer = [0; 18];
    soon(trunk.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"SIP/2.0 200 OK\r\n\r\n");
}

#[tokio::test]
async fn twenty_messages_in_one_segment_are_twenty_messages_in_order() {
    let mut lab = Lab::new();
    let mut trunk = TcpStream::connect(lab.listen_tcp(Limits::trunk())).await.unwrap();
    lab.opened().await;
    let messages: Vec<String> = (0..20).map(|number| options(&number.to_string())).collect();
    trunk.write_all(messages.concat().as_bytes()).await.unwrap();
    for message in messages {
        assert_eq!(lab.message().await.1, message);
    }
}

#[tokio::test] // RFC 5626 §4.4.1
async fn a_keep_alive_is_answered_also_between_messages() {
    let mut lab = Lab::new();
    let mut trunk = TcpStream::connect(lab.listen_tcp(Limits::trunk())).await.unwrap();
    lab.opened().await;
    trunk.write_all(format!("\r\n\r\n{}", options("ping")).as_bytes()).await.unwrap();
    let mut pong = [0; 2];
    soon(trunk.read_exact(&mut pong)).await.unwrap();
    assert_eq!(&pong, b"\r\n");
    assert_eq!(lab.message().await.1, options("ping"));
}

#[tokio::test] // Two lengths: who believes which is how a second message is smuggled past a proxy.
async fn two_different_lengths_are_answered_and_closed_and_the_rest_is_not_read() {
    let mut lab = Lab::new();
    let mut trunk = TcpStream::connect(lab.listen_tcp(Limits::trunk())).await.unwrap();
    lab.opened().await;
    let smuggled = options("two").replace("Content-Length: 5", "Content-Length: 5\r\nContent-Length: 50");
    trunk.write_all((smuggled + &options("smuggled")).as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon(trunk.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("SIP/2.0 400 "), "{answer}");
    drop(trunk);
    assert_eq!(lab.closed().await, CloseReason::Protocol);
}

#[tokio::test] // RFC 3261 §18.3
async fn what_was_answered_leaves_before_the_end_that_follows_in_the_same_segment() {
    let mut lab = Lab::new();
    let at = lab.listen_tcp(Limits::trunk());
    let good = options("good").replace("sip:gw@127.0.0.1 SIP", &format!("{ANSWERED} SIP"));
    for bad in ["garbage\r\n\r\n", &options("bad").replace("Content-Length: 5\r\n", ""), ""] {
        let mut trunk = TcpStream::connect(at).await.unwrap();
        lab.opened().await;
        trunk.write_all([&good, &good, bad].concat().as_bytes()).await.unwrap();
        trunk.shutdown().await.unwrap();
        let mut answers = Vec::new();
        soon(trunk.read_to_end(&mut answers)).await.unwrap();
        assert!(answers.starts_with(&[ANSWER, ANSWER].concat()), "{}", String::from_utf8_lossy(&answers));
        for _ in 0..2 {
            lab.message().await;
        }
        lab.closed().await;
    }
}

#[tokio::test]
async fn a_length_above_the_limit_is_refused_before_the_body_comes() {
    let mut lab = Lab::new();
    for length in ["65537", "4294967296", "18446744073709551615", "99999999999999999999999"] {
        let mut trunk = TcpStream::connect(lab.listen_tcp(Limits::trunk())).await.unwrap();
        lab.opened().await;
        let message = options("big").replace("Content-Length: 5", &format!("Content-Length: {length}"));
        trunk.write_all(message.as_bytes()).await.unwrap();
        let mut answer = String::new();
        soon(trunk.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.starts_with("SIP/2.0 4") || answer.starts_with("SIP/2.0 513"), "{length}: {answer}");
        drop(trunk);
        lab.closed().await;
    }
}

#[tokio::test]
async fn half_a_message_is_closed() {
    let mut lab = Lab::new();
    let limits = Limits { frame: Duration::from_millis(100), ..Limits::trunk() };
    let mut trunk = TcpStream::connect(lab.listen_tcp(limits)).await.unwrap();
    lab.opened().await;
    trunk.write_all((options("whole") + "OPTIONS sip:").as_bytes()).await.unwrap();
    assert_eq!(lab.message().await.1, options("whole"));
    assert_eq!(soon(trunk.read(&mut [0; 16])).await.unwrap(), 0);
    drop(trunk);
    assert_eq!(lab.closed().await, CloseReason::TooSlow);
}

#[tokio::test]
async fn a_trunk_that_says_nothing_is_closed() {
    let mut lab = Lab::new();
    let limits = Limits { identification: Duration::from_millis(100), ..Limits::trunk() };
    let mut silent = TcpStream::connect(lab.listen_tcp(limits)).await.unwrap();
    lab.opened().await;
    assert_eq!(soon(silent.read(&mut [0; 16])).await.unwrap(), 0);
    drop(silent);
    assert_eq!(lab.closed().await, CloseReason::TooSlow);
}
