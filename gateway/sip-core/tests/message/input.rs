//! Fuzz entry: octets are read as a message, everything that can be read of it is, and what must hold is checked.
//! Used by the fuzz target `message` and by the replay of its corpus.

use sip_core::message::{Limits, Malformed, Message, Status, Uri};

/// Reads one message.
pub fn run(octets: &[u8]) {
    match parse(octets) {
        Ok(message) => walk(&message, octets),
        // An answer of ours is a sound message, whatever it answers.
        Err(Malformed { reply: Some(reply), .. }) => {
            assert_eq!(arrived(&reply), reply);
            assert!(reply.status().is_some_and(Status::is_failure));
        }
        Err(Malformed { reply: None, .. }) => {}
    }
}

fn parse(octets: &[u8]) -> Result<Message, Malformed> {
    Message::parse(octets.to_vec().into(), &Limits::default())
}

/// What a peer reads of a message of ours. Long names for short ones, a stamp and a tag make lines longer than they came.
fn arrived(message: &Message) -> Message {
    let limits = Limits { message: 100_000, line: 10_000, ..Limits::default() };
    Message::parse(message.bytes().clone(), &limits).unwrap()
}

fn walk(message: &Message, octets: &[u8]) {
    let behind_empty_lines =
        octets.len() - octets.windows(2).step_by(2).take_while(|pair| pair == b"\r\n").count() * 2;
    assert!(octets[octets.len() - behind_empty_lines..].starts_with(message.bytes()));
    assert_eq!(&parse(message.bytes()).unwrap(), message);
    assert!(!message.call_id().is_empty());
    for uri in [message.from().uri, message.to().uri].into_iter().chain(message.uri()) {
        let uri = Uri::parse(uri).unwrap();
        assert!(uri.equivalent(&uri));
    }
    assert_eq!(message.vias().next().map(|via| via.sent_by), Some(message.via().sent_by));
    // What the strict walk found when the message came is what the lazy view finds.
    for via in message.vias().chain([message.via()]) {
        assert_eq!(via.branch, via.params.value("branch"));
    }
    assert_eq!((message.from_tag(), message.to_tag()), (message.from().tag(), message.to().tag()));
    for (_, value) in message.all_headers() {
        assert!(!value.contains(['\r', '\n']));
    }
    drop((
        message.contacts(),
        message.sdp(),
        message.expires(),
        message.content_type(),
        message.via().received_ip(),
    ));
    let stamped = message.with_top_via_stamped("192.0.2.1".parse().unwrap(), 5);
    assert_eq!(arrived(&stamped), stamped);
    assert_eq!((stamped.body(), stamped.cseq()), (message.body(), message.cseq()));
    assert_eq!((stamped.from_tag(), stamped.to_tag()), (message.from_tag(), message.to_tag()));
    assert_eq!(stamped.vias().count(), message.vias().count());
    let answer = message.response(Status::OK).to_tag("x").build().unwrap();
    assert_eq!(arrived(&answer), answer);
    assert_eq!((answer.via().branch, answer.call_id()), (message.via().branch, message.call_id()));
}
