//! What holds for every message.

use proptest::prelude::*;
use sip_core::message::text::{Quoted, unquote};
use sip_core::message::{Builder, Limits, Message, Method, Name, NameAddr};

use crate::{framing_input, input};

fn octets() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..400)
}

/// Octets that look like a message often enough to get past the first line.
fn lines() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("OPTIONS sip:a@b SIP/2.0\r\n".to_owned()),
        Just("SIP/2.0 200 OK\r\n".to_owned()),
        Just("Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\n".to_owned()),
        Just("f: <sip:a@b>;tag=1\r\nt: <sip:c@d>\r\ni: x\r\nCSeq: 1 OPTIONS\r\n".to_owned()),
        Just("l: 3\r\n".to_owned()),
        Just("\r\n".to_owned()),
        "[a-zA-Z:;<>\"=, \r\n\\\\@]{0,40}",
        "[A-Za-z-]{1,12}: [ -~]{0,60}\r\n",
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_octets_are_read_or_refused(octets in octets()) {
        input::run(&octets);
        framing_input::run(&octets);
    }

    #[test]
    fn anything_like_a_message_is_read_or_refused(text in lines(), size in any::<u8>()) {
        input::run(text.as_bytes());
        framing_input::run(&[&[size][..], text.as_bytes()].concat());
    }

    #[test]
    fn what_is_built_is_what_is_read(
        method in "[A-Z]{1,10}",
        user in "[a-z0-9.]{1,12}",
        display in "\\PC{0,20}",
        values in prop::collection::vec(("X-[A-Za-z]{1,8}", "\\PC{0,30}"), 0..8),
        body in octets(),
    ) {
        let method: Method = method.parse().unwrap();
        let mut builder = Builder::request(&method, &format!("sip:{user}@example.com"))
            .header(Name::Via, "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1")
            .header(Name::From, format_args!("{} <sip:{user}@example.com>;tag=1", Quoted(&display)))
            .header(Name::To, "<sip:b@example.com>")
            .header(Name::CallId, "c")
            .header(Name::CSeq, format_args!("1 {method}"));
        for (name, value) in &values {
            builder = builder.header(Name::Other(name), value);
        }
        let built = builder.body("application/x", &body).build().unwrap();
        let read = Message::parse(built.bytes().clone(), &Limits::default()).unwrap();
        prop_assert_eq!(&read, &built);
        prop_assert_eq!(read.body(), &body[..]);
        prop_assert_eq!(read.method(), &method);
        prop_assert_eq!(read.from().display_name().unwrap(), display.as_str());
        for (name, value) in &values {
            let trimmed = value.trim_matches([' ', '\t']);
            prop_assert!(read.headers(Name::Other(name)).any(|read| read == trimmed));
        }
        prop_assert_eq!(read.all_headers().count(), built.all_headers().count());
    }

    #[test]
    fn quoting_is_undone(text in "[ -~]{0,40}") {
        let quoted = Quoted(&text).to_string();
        prop_assert_eq!(unquote(&quoted), text.as_str());
        let whole = format!("{quoted} <sip:a@b>");
        prop_assert_eq!(NameAddr::parse(&whole).unwrap().display_name().unwrap(), text.as_str());
    }
}
