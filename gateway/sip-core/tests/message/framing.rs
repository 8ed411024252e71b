//! Messages out of a stream.

use sip_core::message::framing::{Frame, Stream};
use sip_core::message::{Limits, Malformed, Message, ParseError, Status};

fn request(length_line: &str, body: &str) -> String {
    format!(
        "OPTIONS sip:b@example.com SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK1\r\n\
         From: <sip:a@example.com>;tag=f\r\nTo: <sip:b@example.com>\r\nCall-ID: c\r\nCSeq: 7 OPTIONS\r\n{length_line}\r\n{body}"
    )
}

/// All frames of octets that come in pieces of `size`, and the error that ended them.
fn frames(octets: &[u8], size: usize) -> (Vec<Frame>, Option<Malformed>) {
    let mut stream = Stream::new(Limits::default());
    let mut frames = Vec::new();
    for piece in octets.chunks(size) {
        stream.feed(piece);
        while let Some(frame) = stream.next() {
            match frame {
                Ok(frame) => frames.push(frame),
                Err(error) => {
                    assert!(stream.next().is_none());
                    return (frames, Some(error));
                }
            }
        }
    }
    (frames, None)
}

fn fault(octets: &str) -> (ParseError, Option<Status>) {
    let (frames, error) = frames(octets.as_bytes(), 7);
    assert!(frames.is_empty());
    let error = error.unwrap();
    (error.error, error.reply.and_then(|reply| reply.status()))
}

#[test]
fn frames_are_the_same_however_the_octets_arrive() {
    let (a, b) = (request("Content-Length: 4\r\n", "body"), request("l:\r\n 0\r\n", ""));
    let octets = format!("\r\n\r\n{a}{b}\r\n{a}\r\n\r\n");
    let message = |text: &String| Frame::Message(text.clone().into());
    let expected = [
        Frame::KeepAlivePong,
        Frame::KeepAlivePing,
        message(&a),
        message(&b),
        Frame::KeepAlivePong,
        message(&a),
        Frame::KeepAlivePong,
        Frame::KeepAlivePing,
    ];
    for size in 1..=octets.len() {
        let (frames, error) = frames(octets.as_bytes(), size);
        assert!(error.is_none());
        assert_eq!(frames, expected, "pieces of {size}");
    }
}

#[test] // RFC 3261 §20.14
fn a_length_must_be_there_and_be_one() {
    let bad = Some(Status::BAD_REQUEST);
    assert_eq!(fault(&request("", "")), (ParseError::Missing("Content-Length"), bad));
    assert_eq!(fault(&request("l: -1\r\n", "")), (ParseError::Bad("Content-Length"), bad));
    assert_eq!(fault(&request("l: 4, 4\r\n", "body")), (ParseError::Bad("Content-Length"), bad));
    assert_eq!(
        fault(&request("l: 0\r\nContent-Length: 4\r\n", "body")),
        (ParseError::Repeated("Content-Length"), bad)
    );
}

#[test] // the same length twice frames the message, which is then refused as such
fn a_repeated_length_smuggles_nothing() {
    let raw = request("l: 4\r\nl: 4\r\n", "body");
    let (frames, error) = frames(raw.as_bytes(), 11);
    assert!(error.is_none());
    let [Frame::Message(message)] = &frames[..] else { panic!("one message") };
    let malformed = Message::parse(message.clone(), &Limits::default()).unwrap_err();
    assert_eq!(malformed.error, ParseError::Repeated("Content-Length"));
}

#[test]
fn lengths_are_judged_before_there_is_room_for_them() {
    let too_large = (ParseError::BodyTooLarge, Some(Status::REQUEST_ENTITY_TOO_LARGE));
    assert_eq!(fault(&request("l: 65537\r\n", "")), too_large);
    assert_eq!(fault(&request("l: 18446744073709551615\r\n", "")), too_large);
    assert_eq!(fault(&request("l: 99999999999999999999\r\n", "")).0, ParseError::Bad("Content-Length"));
}

#[test]
fn a_head_without_end_is_cut_off() {
    let endless = request("", "").replace("\r\n\r\n", "\r\n") + &"X: y\r\n".repeat(20_000);
    assert_eq!(fault(&endless), (ParseError::MessageTooLarge, Some(Status::MESSAGE_TOO_LARGE)));
    let many = request(&"X: y\r\n".repeat(101), "");
    assert_eq!(fault(&many), (ParseError::TooManyHeaders, Some(Status::MESSAGE_TOO_LARGE)));
    let mut stream = Stream::new(Limits::default());
    stream.feed(&vec![b'x'; 65_536]);
    assert!(stream.next().unwrap().unwrap_err().reply.is_none());
    stream.feed(&vec![b'x'; 1 << 20]);
    assert_eq!((stream.next().is_none(), stream.pending()), (true, 0));
}

#[test]
fn what_is_no_sip_ends_the_stream() {
    assert_eq!(fault("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"), (ParseError::StartLine, None));
    assert_eq!(fault("\r\r\r\r\n\r\n").0, ParseError::BareLineBreak);
}

#[test]
fn half_a_message_is_pending() {
    let raw = request("l: 4\r\n", "body");
    let mut stream = Stream::new(Limits::default());
    stream.feed(&raw.as_bytes()[..raw.len() - 1]);
    assert!(stream.next().is_none());
    assert_eq!(stream.pending(), raw.len() - 1);
    stream.feed(b"y");
    assert!(matches!(stream.next(), Some(Ok(Frame::Message(_)))));
    assert_eq!(stream.pending(), 0);
}
