//! RFC 5769, and another implementation. §2.1–§2.3 are in `stun/tests.rs`.

use rtc_stun::fingerprint::FINGERPRINT;
use rtc_stun::message::{BINDING_REQUEST, Getter, Message as Theirs, Setter, TransactionId};
use rtc_stun::xoraddr::XorMappedAddress;

use super::*;
use crate::turn::message::{Kind, Message};

/// RFC 5769 §2.4: long-term credentials, password `TheMatrIX` after preparation, realm `example.org`.
const LONG_TERM: &[u8] = b"\x00\x01\x00\x60\x21\x12\xa4\x42\x78\xad\x34\x33\xc6\xad\x72\xc0\x29\xda\x41\x2e\
    \x00\x06\x00\x12\xe3\x83\x9e\xe3\x83\x88\xe3\x83\xaa\xe3\x83\x83\xe3\x82\xaf\xe3\x82\xb9\x00\x00\
    \x00\x15\x00\x1cf//499k954d6OL34oL9FSTvy64sA\
    \x00\x14\x00\x0bexample.org\x00\
    \x00\x08\x00\x14\xf6\x70\x24\x65\x6d\xd6\x4a\x3e\x02\xb8\xe0\x71\x2e\x85\xc9\xa2\x8c\xa8\x96\x66";

#[test] // RFC 5769 §2.4
fn the_sample_request_with_long_term_credentials_is_authentic() {
    let message = Message::parse(LONG_TERM).unwrap();
    assert_eq!(message.username, Some("マトリックス".as_bytes()));
    assert_eq!(message.realm, Some(&b"example.org"[..]));
    assert_eq!(message.nonce, Some(&b"f//499k954d6OL34oL9FSTvy64sA"[..]));
    assert!(message.is_authentic(&key("マトリックス", "example.org", "TheMatrIX")));
    assert!(!message.is_authentic(&key("マトリックス", "example.org", "TheMatrix")));
    for at in 0..LONG_TERM.len() {
        let mut forged = LONG_TERM.to_vec();
        forged[at] ^= 1;
        let is_authentic = Message::parse(&forged)
            .is_some_and(|message| message.is_authentic(&key("マトリックス", "example.org", "TheMatrIX")));
        assert!(!is_authentic, "octet {at}");
    }
}

#[test] // RFC 5769 §2.1, without the ICE attributes it would be granted
fn another_implementation_agrees_about_binding() {
    let mut rig = Rig::new();
    for number in 1..100 {
        let source = match number % 2 {
            0 => SocketAddr::from(([192, 0, 2, number], 1_000 + u16::from(number))),
            _ => SocketAddr::from(([0x2001, 0xDB8, 0, 0, 0, 0, 7, number.into()], 60_000)),
        };
        let mut request = Theirs::new();
        request.transaction_id = TransactionId([number; 12]);
        request.set_type(BINDING_REQUEST);
        request.write_header();
        FINGERPRINT.add_to(&mut request).unwrap();
        let answer = rig.receives(Client::Udp { listener: 0, address: source }, &request.raw).unwrap();
        let mut theirs = Theirs::new();
        theirs.unmarshal_binary(&answer).unwrap();
        assert_eq!(theirs.transaction_id, request.transaction_id);
        FINGERPRINT.check(&theirs).unwrap();
        let mut mapped = XorMappedAddress::default();
        mapped.get_from(&theirs).unwrap();
        assert_eq!(SocketAddr::new(mapped.ip, mapped.port), source);
        assert!(Message::parse(&request.raw).is_some_and(|ours| ours.kind == Kind::Binding));
    }
}
