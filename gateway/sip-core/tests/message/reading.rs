//! Reading, answering, stamping and building messages.

use std::net::IpAddr;

use sip_core::message::{
    BuildError, Builder, Contacts, Kind, Limits, Malformed, Message, Method, Name, ParseError, Status, Uri,
};

fn parse(raw: impl AsRef<[u8]>) -> Result<Message, Malformed> {
    Message::parse(raw.as_ref().to_vec().into(), &Limits::default())
}

/// An OPTIONS with these lines behind the mandatory ones and then `body`.
fn options(lines: &str, body: &str) -> String {
    let head = "OPTIONS sip:b@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5070;rport;branch=z9hG4bK1\r\n\
                From: <sip:a@example.com>;tag=f\r\nTo: <sip:b@example.com>\r\nCall-ID: c@example.com\r\nCSeq: 7 OPTIONS\r\n";
    format!("{head}{lines}\r\n{body}")
}

fn browser_invite() -> Message {
    parse(include_bytes!("browser_invite.sip")).unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn a_browsers_invite_is_read() {
    let message = browser_invite();
    assert_eq!(message.bytes(), include_bytes!("browser_invite.sip").as_slice());
    assert_eq!(
        message.kind(),
        Kind::Request { method: &Method::Invite, uri: "sip:1002@gateway.example.com" }
    );
    assert_eq!((message.via().transport, message.via().host), ("WSS", "f3v9k2p7q1x5.invalid"));
    assert_eq!(message.from().display_name().unwrap(), "Alice Example");
    assert!(message.supported().any(|tag| tag == "outbound"));
    assert!(message.sdp().unwrap().unwrap().starts_with(b"v=0\r\n"));
    let contacts = message.contacts().unwrap();
    assert_eq!(Uri::parse(contacts.first().unwrap().uri).unwrap().param("transport"), Some("ws"));
    assert!(message.header(Name::Authorization).unwrap().starts_with("Digest "));
    assert_eq!(format!("{message:?}"), "Message(5731 INVITE)");
}

#[test] // the trunk: no brackets, Via late, Content-Length before Content-Type, lower-case codecs, no rport
fn a_trunks_invite_is_read() {
    let message = parse(include_bytes!("genesys_invite.sip")).unwrap();
    assert_eq!((message.from().uri, message.from_tag()), ("sip:1002@192.0.2.20:5060", Some("0C8A3F1E-77")));
    assert_eq!((message.to().uri, message.to_tag()), ("sip:1001@192.0.2.10:5060", None));
    assert_eq!(message.via().rport, None);
    assert_eq!(message.header(Name::Other("x-genesys-calluuid")), Some("01AB23CD45EF67GH89IJ01KL23"));
    assert_eq!(message.sdp().unwrap().unwrap(), message.body());
}

#[test] // RFC 5626 §4.2
fn an_instance_is_read() {
    let message = parse(options(
        "m: <sip:x7k2@f3.invalid;transport=ws>;+sip.instance=\"<urn:uuid:0f2d>\";reg-id=1;expires=9999999999, \
         <sip:y@z>;expires=soon\r\n",
        "",
    ))
    .unwrap();
    let Contacts::List(contacts) = message.contacts().unwrap() else { panic!("a list") };
    assert_eq!((contacts[0].instance, contacts[0].reg_id), (Some("<urn:uuid:0f2d>"), Some(1)));
    assert_eq!((contacts[0].expires, contacts[1].expires), (Some(u32::MAX), Some(3_600)));
}

#[test] // RFC 3261 §10.2.2
fn a_star_stands_alone() {
    assert!(matches!(parse(options("Contact: *\r\n", "")).unwrap().contacts(), Ok(Contacts::Star)));
    for mixed in ["*, <sip:a@b>", "<sip:a@b>, *", "*, *", "<sip:a@b>,,", ""] {
        let message = parse(options(&format!("Contact: {mixed}\r\n"), "")).unwrap();
        assert_eq!(message.contacts().err(), Some(ParseError::Bad("Contact")), "{mixed}");
    }
    let none = parse(options("", "")).unwrap();
    assert!(none.contacts().unwrap().first().is_none());
}

#[test] // RFC 3261 §7.3.1
fn continued_lines_read_as_one_and_are_kept_as_they_came() {
    let raw = options("Subject: a\r\n\t b\r\n  c\r\nk: x\r\n ,y\r\n", "body");
    let message = parse(&raw).unwrap();
    assert_eq!(message.header(Name::Subject), Some("a  \t b    c"));
    assert_eq!(message.supported().collect::<Vec<_>>(), ["x", "y"]);
    assert_eq!(message.bytes(), raw.as_bytes());
    assert_eq!(message.body(), b"body");
    let stamped = message.with_top_via_stamped(ip("192.0.2.9"), 1);
    assert_eq!(
        (stamped.header(Name::Subject), stamped.body()),
        (message.header(Name::Subject), message.body())
    );
}

#[test]
fn header_names_have_no_case_and_one_short_form() {
    let message = parse(options("SUPPORTED: a\r\nK: b, \"c,d\"\r\nX-Mine: 1\r\nx-mine: 2\r\n", "")).unwrap();
    assert_eq!(message.values(Name::Supported).collect::<Vec<_>>(), ["a", "b", "\"c,d\""]);
    assert_eq!(message.headers(Name::Other("X-MINE")).collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(message.header(Name::Other("k")), Some("a"));
    let names: Vec<_> = message.all_headers().map(|(name, _)| name).collect();
    assert_eq!(names[5..], [Name::Supported, Name::Supported, Name::Other("X-Mine"), Name::Other("x-mine")]);
}

#[test] // a display name in another character set must not cost the call
fn octets_that_are_no_utf_8_are_kept() {
    let raw = options("", "").replace("From: <", "From: \"Jos?\" <");
    let raw: Vec<_> = raw.bytes().map(|c| if c == b'?' { 0xe9 } else { c }).collect();
    let message = parse(&raw).unwrap();
    assert_eq!((message.from().display, message.from_tag()), ("", Some("f")));
    assert_eq!(message.header(Name::From), None);
    assert_eq!(message.header_bytes(Name::From), Some(&b"\"Jos\xe9\" <sip:a@example.com>;tag=f"[..]));
    let answer = message.response(Status::OK).build().unwrap();
    assert_eq!(answer.header_bytes(Name::From), message.header_bytes(Name::From));
}

#[test] // RFC 3261 §7.5, §18.3
fn empty_lines_before_and_octets_behind_are_no_part_of_a_datagram() {
    let message = parse(format!("\r\n\r\n{}trailing", options("l: 4\r\n", "body"))).unwrap();
    assert_eq!(message.body(), b"body");
    assert_eq!(message.bytes(), options("l: 4\r\n", "body").as_bytes());
    assert_eq!(parse("\r\n\r\n").unwrap_err().error, ParseError::Empty);
}

#[test]
fn limits_have_their_answers() {
    let refused = |raw: String, limits: Limits| {
        let malformed = Message::parse(raw.into(), &limits).unwrap_err();
        (malformed.error, malformed.reply.and_then(|reply| reply.status()))
    };
    let usual = Limits::default();
    assert_eq!(
        refused(options("", &"x".repeat(600)), Limits { message: 500, ..usual }),
        (ParseError::MessageTooLarge, Some(Status::MESSAGE_TOO_LARGE))
    );
    assert_eq!(
        refused(options("l: 600\r\n", &"x".repeat(600)), Limits { body: 500, ..usual }),
        (ParseError::BodyTooLarge, Some(Status::REQUEST_ENTITY_TOO_LARGE))
    );
    // A length of more digits than exist is judged before anything is allocated for it.
    assert_eq!(
        refused(options("l: 18446744073709551615\r\n", ""), usual),
        (ParseError::BodyTooLarge, Some(Status::REQUEST_ENTITY_TOO_LARGE))
    );
    assert_eq!(
        refused(options(&"a: b\r\n".repeat(96), ""), usual),
        (ParseError::TooManyHeaders, Some(Status::MESSAGE_TOO_LARGE))
    );
    assert!(parse(options(&"a: b\r\n".repeat(95), "")).is_ok());
    assert_eq!(
        refused(options(&format!("a: {}\r\n", "b\r\n ".repeat(3_000)), ""), usual),
        (ParseError::LineTooLong, Some(Status::MESSAGE_TOO_LARGE))
    );
    let vias = format!("v: {}\r\n", vec!["SIP/2.0/UDP h"; 70].join(","));
    assert_eq!(
        refused(options(&vias, ""), usual),
        (ParseError::TooManyVias, Some(Status::MESSAGE_TOO_LARGE))
    );
}

#[test]
fn a_bare_line_break_ends_nothing() {
    for smuggled in ["X: a\nVia: SIP/2.0/UDP evil\r\n", "X: a\rb\r\n"] {
        let malformed = parse(options(smuggled, "")).unwrap_err();
        assert_eq!(malformed.error, ParseError::BareLineBreak);
        assert_eq!(malformed.reply.unwrap().status(), Some(Status::BAD_REQUEST));
    }
}

#[test]
fn nobody_answers_an_ack_a_response_or_a_message_without_via() {
    let broken = options("X\r\n", "");
    assert!(parse(&broken).unwrap_err().reply.is_some());
    assert!(parse(broken.replace("OPTIONS", "ACK")).unwrap_err().reply.is_none());
    assert!(parse(broken.replace("7 OPTIONS", "7 ACK")).unwrap_err().reply.is_none());
    assert!(parse(broken.replace("Via", "Vaa")).unwrap_err().reply.is_none());
    let response = broken.replace("OPTIONS sip:b@example.com SIP/2.0", "SIP/2.0 200 OK");
    assert!(parse(response).unwrap_err().reply.is_none());
    assert!(parse("GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap_err().reply.is_none());
}

#[test] // RFC 3261 §8.2.7
fn an_answer_to_a_broken_request_names_the_fault_and_is_the_same_each_time() {
    let raw = options("X\r\nSecret: do-not-echo\r\n", "");
    let (first, again) = (parse(&raw).unwrap_err().reply.unwrap(), parse(&raw).unwrap_err().reply.unwrap());
    assert_eq!(first, again);
    let text = std::str::from_utf8(first.bytes()).unwrap();
    assert!(text.starts_with("SIP/2.0 400 Malformed Header Line\r\n"));
    assert!(!text.contains("do-not-echo"));
    assert_eq!(
        (first.call_id(), first.cseq(), first.via().branch),
        ("c@example.com", (7, &Method::Options), Some("z9hG4bK1"))
    );
}

#[test] // RFC 3261 §8.2.6
fn a_response_copies_what_it_must() {
    let request = parse(
        options(
            "Record-Route: <sip:p2;lr>\r\nRecord-Route: <sip:p1;lr>\r\nTimestamp: 54\r\nSubject: no\r\n",
            "",
        )
        .replace("\r\nFrom", "\r\nv: SIP/2.0/TCP [::1];branch=z9hG4bK0\r\nFrom"),
    )
    .unwrap();
    let ok = request.response(Status::OK).to_tag("t1").header(Name::Server, "gateway").build().unwrap();
    assert_eq!(
        std::str::from_utf8(ok.bytes()).unwrap(),
        "SIP/2.0 200 OK\r\n\
         Via: SIP/2.0/UDP 192.0.2.1:5070;rport;branch=z9hG4bK1\r\n\
         Via: SIP/2.0/TCP [::1];branch=z9hG4bK0\r\n\
         Record-Route: <sip:p2;lr>\r\n\
         Record-Route: <sip:p1;lr>\r\n\
         From: <sip:a@example.com>;tag=f\r\n\
         To: <sip:b@example.com>;tag=t1\r\n\
         Call-ID: c@example.com\r\n\
         CSeq: 7 OPTIONS\r\n\
         Server: gateway\r\n\
         Content-Length: 0\r\n\r\n"
    );
}

#[test]
fn a_trying_has_the_timestamp_and_a_failure_no_route() {
    let request = parse(options("Record-Route: <sip:p2;lr>\r\nTimestamp: 54\r\n", "")).unwrap();
    let trying = request.response(Status::TRYING).build().unwrap();
    assert_eq!((trying.header(Name::Timestamp), trying.record_route().count()), (Some("54"), 0));
    let busy = request.response(Status::BUSY_HERE).to_tag("t").build().unwrap();
    assert_eq!((busy.header(Name::Timestamp), busy.record_route().count()), (None, 0));
    // A tag that is there stays (RFC 3261 §8.2.6.2).
    let request =
        parse(options("", "").replace("To: <sip:b@example.com>", "To: <sip:b@example.com>;tag=old")).unwrap();
    assert_eq!(request.response(Status::OK).to_tag("new").build().unwrap().to_tag(), Some("old"));
}

#[test] // RFC 3581 §4
fn rport_is_filled_in_with_the_source() {
    let stamped =
        parse(options("Subject: s\r\n", "body")).unwrap().with_top_via_stamped(ip("198.51.100.7"), 4711);
    let via = stamped.via();
    assert_eq!((via.sent_by, via.branch), ("192.0.2.1:5070", Some("z9hG4bK1")));
    assert_eq!((via.received_ip(), via.rport), (Some(ip("198.51.100.7")), Some(Some(4711))));
    assert_eq!(
        (stamped.header(Name::Subject), stamped.call_id(), stamped.body()),
        (Some("s"), "c@example.com", &b"body"[..])
    );
    assert_eq!(parse(stamped.bytes()).unwrap(), stamped);
    assert_eq!(stamped.response(Status::OK).build().unwrap().via().rport, Some(Some(4711)));
}

#[test] // RFC 3261 §18.2.1
fn received_is_added_where_the_sent_by_is_another_host() {
    let raw = options("", "").replace("rport;", "");
    let message = parse(&raw).unwrap();
    assert_eq!(message.with_top_via_stamped(ip("192.0.2.1"), 5070), message);
    assert_eq!(message.with_top_via_stamped(ip("::ffff:192.0.2.1"), 5070), message);
    let stamped = message.with_top_via_stamped(ip("2001:db8::1"), 9);
    assert_eq!((stamped.via().received_ip(), stamped.via().rport), (Some(ip("2001:db8::1")), None));
}

#[test]
fn what_a_sender_claims_to_have_been_received_from_is_replaced() {
    let raw = options("", "").replace("rport;", "rport=1;received=203.0.113.9;");
    let stamped = parse(raw).unwrap().with_top_via_stamped(ip("192.0.2.1"), 5071);
    let text = std::str::from_utf8(stamped.bytes()).unwrap();
    assert!(
        text.contains("Via: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bK1;received=192.0.2.1;rport=5071\r\n"),
        "{text}"
    );
    let raw = options("", "").replace("rport;", "received=203.0.113.9;");
    assert_eq!(parse(raw).unwrap().with_top_via_stamped(ip("192.0.2.1"), 5071).via().received, None);
}

#[test]
fn only_the_topmost_of_several_vias_in_a_line_is_stamped() {
    let raw = options("", "").replace("z9hG4bK1", "z9hG4bK1 , SIP/2.0/TCP lower;branch=z9hG4bK0;rport");
    let stamped = parse(raw).unwrap().with_top_via_stamped(ip("198.51.100.7"), 4711);
    let rports: Vec<_> = stamped.vias().map(|via| (via.host, via.rport)).collect();
    assert_eq!(rports, [("192.0.2.1", Some(Some(4711))), ("lower", Some(None))]);
    assert_eq!(parse(stamped.bytes()).unwrap(), stamped);
}

fn builder() -> Builder {
    Builder::request(&Method::Info, "sip:b@example.com")
        .header(Name::Via, "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1")
        .header(Name::From, "<sip:a@example.com>;tag=f")
        .header(Name::To, "<sip:b@example.com>;tag=t")
        .header(Name::CallId, "c@example.com")
        .header(Name::CSeq, "3 INFO")
}

#[test]
fn what_is_built_reads_the_same_when_it_arrives() {
    let built = builder()
        .header(Name::Other("X-A"), 5)
        .body("application/dtmf-relay", "Signal=1\r\n")
        .build()
        .unwrap();
    let arrived = parse(built.bytes()).unwrap();
    assert_eq!(built, arrived);
    assert_eq!((built.body(), built.cseq(), built.to_tag()), (arrived.body(), (3, &Method::Info), Some("t")));
    assert!(built.bytes().ends_with(
        b"\r\nX-A: 5\r\nContent-Type: application/dtmf-relay\r\nContent-Length: 10\r\n\r\nSignal=1\r\n"
    ));
}

#[test]
fn no_value_breaks_out_of_its_line() {
    let built = builder()
        .header(Name::Subject, "x\r\nVia: SIP/2.0/UDP evil")
        .header(Name::UserAgent, "a\nb\0c")
        .header_bytes(Name::Organization, b"\r\n\r\nbody")
        .build()
        .unwrap();
    assert_eq!(built.header(Name::Subject), Some("x  Via: SIP/2.0/UDP evil"));
    assert_eq!(built.header(Name::UserAgent), Some("a b c"));
    assert_eq!(built.vias().count(), 1);
    assert_eq!(parse(built.bytes()).unwrap(), built);
}

#[test]
fn a_message_of_ours_that_breaks_a_rule_is_refused() {
    let refused = |builder: Builder| builder.build().unwrap_err();
    assert_eq!(refused(Builder::response(Status::OK, None)), BuildError(ParseError::Missing("CSeq")));
    assert_eq!(refused(builder().header(Name::Other("X Y"), 1)), BuildError(ParseError::HeaderLine));
    assert_eq!(
        refused(builder().header(Name::Other("t"), "<sip:c@d>")),
        BuildError(ParseError::Repeated("To"))
    );
    let ack = builder().header(Name::MaxForwards, 256);
    assert_eq!(refused(ack), BuildError(ParseError::Bad("Max-Forwards")));
    let uri =
        Builder::request(&Method::Info, "sip:b@example.com SIP/2.0\r\nX: y").header(Name::CSeq, "3 INFO");
    assert_eq!(refused(uri), BuildError(ParseError::RequestUri));
    let method = Method::Other("A B".into());
    assert_eq!(refused(Builder::request(&method, "sip:b@example.com")), BuildError(ParseError::Method));
}

#[test] // RFC 2046 §5.1; parts 16, depth 4, boundary 70
fn multipart_bodies_are_bounded() {
    let multipart = |boundary: &str, body: &str| {
        parse(options(&format!("c: multipart/mixed;boundary=\"{boundary}\"\r\n"), body)).unwrap()
    };
    let part = "--b\r\nContent-Type: text/plain\r\n\r\nx\r\n";
    let sdp = "--b\r\nc: x\r\nContent-Type : application/SDP\r\n\r\nv=0\r\n--b--";
    assert_eq!(multipart("b", &format!("preamble\r\n{part}{sdp}")).sdp(), Ok(Some(&b"v=0"[..])));
    assert_eq!(multipart("b", &format!("{}--b--", part.repeat(16))).sdp(), Ok(None));
    assert_eq!(multipart("b", &format!("{}--b--", part.repeat(17))).sdp(), Err(ParseError::Multipart));
    assert_eq!(multipart("b", part).sdp(), Err(ParseError::Multipart));
    assert_eq!(multipart("b", "nothing").sdp(), Err(ParseError::Multipart));
    assert_eq!(multipart(&"b".repeat(71), sdp).sdp(), Err(ParseError::Multipart));
    let nested = |depth: usize| {
        (0..depth).fold(("application/sdp".to_owned(), "v=0".to_owned()), |(kind, body), level| {
            let kind_line = format!("Content-Type: {kind}\r\n\r\n");
            (
                format!("multipart/mixed;boundary=n{level}"),
                format!("--n{level}\r\n{kind_line}{body}\r\n--n{level}--"),
            )
        })
    };
    let deep = |depth| {
        let (kind, body) = nested(depth);
        parse(options(&format!("c: {kind}\r\n"), &body)).unwrap().sdp().map(|sdp| sdp.map(<[u8]>::to_vec))
    };
    assert_eq!(deep(4), Ok(Some(b"v=0".to_vec())));
    assert_eq!(deep(5), Err(ParseError::Multipart));
}

#[test]
fn statuses_and_methods_are_stored_as_what_they_are() {
    let stored =
        serde_json::to_string(&(Status::RINGING, Method::Invite, Method::Other("X".into()))).unwrap();
    assert_eq!(stored, r#"[180,"INVITE","X"]"#);
    let read: (Status, Method, Method) = serde_json::from_str(&stored).unwrap();
    assert_eq!(read, (Status::RINGING, Method::Invite, Method::Other("X".into())));
    assert!(serde_json::from_str::<Status>("99").is_err());
    assert!(serde_json::from_str::<Method>(r#""A B""#).is_err());
    assert_eq!("invite".parse(), Ok(Method::Other("invite".into())));
    assert_eq!((Status::new(299).unwrap().reason(), Status::new(700)), ("OK", None));
}
