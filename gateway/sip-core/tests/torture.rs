//! The test messages of RFC 4475 and RFC 5118: what each is, and what this layer does with it.
//!
//! "Refused" names the fault and the status of the answer; what is accepted here may still be refused by the
//! transaction user, which the comment says then.
#![expect(clippy::unwrap_used, reason = "tests")]

use sip_core::message::{
    Contacts, Limits, Malformed, Message, Method, Name, ParseError, Scheme, Status, Uri,
};

#[path = "message/input.rs"]
mod input;
#[path = "torture/table.rs"]
mod table;

use table::{Row, Verdict, rows};

fn parse(raw: &[u8]) -> Result<Message, Malformed> {
    Message::parse(raw.to_vec().into(), &Limits::default())
}

fn accepted(name: &str) -> Message {
    let row = rows().into_iter().find(|row| row.name == name).unwrap();
    parse(row.raw).unwrap()
}

#[test]
fn the_table_is_whole() {
    let of = |document: &str| rows().iter().filter(|row| row.section.starts_with(document)).count();
    assert_eq!((of("RFC 4475"), of("RFC 5118")), (49, 12));
}

#[test]
fn each_message_meets_its_verdict() {
    for Row { name, section, raw, verdict } in rows() {
        match (verdict, parse(raw)) {
            (Verdict::Accepted, Ok(message)) => assert!(raw.starts_with(message.bytes()), "{name}"),
            (Verdict::Answered(error, status), Err(malformed)) => {
                let reply = malformed.reply.unwrap_or_else(|| panic!("{section} {name}: no answer"));
                assert_eq!((malformed.error, reply.status()), (error, Some(status)), "{section} {name}");
                assert!(reply.to_tag().is_some(), "{name}");
                assert_eq!(reply, parse(reply.bytes()).unwrap(), "{name}");
            }
            (Verdict::Dropped(error), Err(malformed)) => {
                assert_eq!(malformed.error, error, "{section} {name}");
                assert!(malformed.reply.is_none(), "{section} {name}");
            }
            (verdict, outcome) => panic!("{section} {name}: {verdict:?}, but {outcome:?}"),
        }
    }
}

#[test]
fn what_is_accepted_is_re_emitted_octet_by_octet() {
    for Row { name, raw, verdict, .. } in rows() {
        if let Verdict::Accepted = verdict {
            let message = parse(raw).unwrap();
            let exact = message.bytes() == raw || name == "dblreq";
            assert!(exact, "{name}");
            assert_eq!(parse(message.bytes()).unwrap(), message, "{name}");
        }
    }
}

#[test] // RFC 4475 §3.1.1.1
fn wsinv_reads_as_if_it_were_tidy() {
    let message = accepted("wsinv");
    assert_eq!(message.uri(), Some("sip:vivekg@chair-dnrc.example.com;unknownparam"));
    assert_eq!(message.to_tag(), Some("1918181833n"));
    assert_eq!(message.from_tag(), Some("98asjd8"));
    assert_eq!(message.from().display_name().unwrap(), "J Rosenberg \\\"");
    assert_eq!(message.max_forwards(), Some(68));
    assert_eq!(message.cseq(), (9, &Method::Invite));
    let vias: Vec<_> = message.vias().map(|via| (via.transport, via.sent_by, via.branch)).collect();
    assert_eq!(
        vias,
        [
            ("UDP", "192.0.2.2", Some("390skdjuw")),
            ("TCP", "spindle.example.com", Some("z9hG4bK9ikj8")),
            ("UDP", "192.168.255.111", Some("z9hG4bK30239")),
        ]
    );
    assert_eq!(message.header(Name::Subject), Some(""));
    assert_eq!(
        message.header(Name::Other("newfangledheader")),
        Some("newfangled value   continued newfangled value")
    );
    let contacts = message.contacts().unwrap();
    let contact = contacts.first().unwrap();
    assert_eq!((contact.uri, contact.q), ("sip:jdrosen@example.com", Some(330)));
    assert_eq!(contact.params.value("newparam"), Some("newvalue"));
    assert!(contact.params.has("secondparam"));
    let route = Uri::parse(message.route().next().unwrap().trim_matches(['<', '>'])).unwrap();
    assert_eq!(route.param("unknownwith"), Some("value"));
    assert_eq!(message.body().len(), 150);
}

#[test] // RFC 4475 §3.1.1.2
fn intmeth_uses_every_character() {
    let message = accepted("intmeth");
    assert_eq!(message.method().as_str(), "!interesting-Method0123456789_*+`.%indeed'~");
    let uri = Uri::parse(message.uri().unwrap()).unwrap();
    assert_eq!(uri.host, "example.com");
    assert_eq!(uri.user, Some("1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"));
    assert_eq!(uri.password, Some("&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"));
    assert_eq!(message.from().display, "token1~` token2'+_ token3*%!.-");
    assert_eq!(message.from_tag(), Some("_token~1'+`*%!-."));
    assert_eq!(message.to().display_name().unwrap(), "BEL:\x07 NUL:\0 DEL:\x7f");
    assert_eq!(message.call_id(), "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{");
    assert_eq!(message.header(Name::Other("extensionHeader-!.%*+_`'~")), Some("\u{feff}大停電"));
}

#[test] // RFC 4475 §3.1.1.3, §3.1.1.5
fn escapes_are_kept_and_undone_only_where_they_are_escapes() {
    let message = accepted("esc01");
    let uri = Uri::parse(message.uri().unwrap()).unwrap();
    assert_eq!((uri.user_decoded().unwrap().as_ref(), uri.host), ("sips:user@example.com", "example.net"));
    let to = Uri::parse(message.to().uri).unwrap();
    assert_eq!(to.user_decoded().unwrap(), "user");

    let message = accepted("esc02");
    assert_eq!(message.method(), &Method::Other("RE%47IST%45R".into()));
    assert_eq!(message.from().display, "\"%Z%45\"");
    // `C%6Fntact` is another header.
    assert_eq!(message.headers(Name::Contact).count(), 2);
    assert_eq!(message.via().branch, Some("z9hG4bK209%fzsnel234"));
}

#[test] // RFC 4475 §3.1.1.4
fn escaped_nulls_are_part_of_the_user() {
    let message = accepted("escnull");
    let Contacts::List(contacts) = message.contacts().unwrap() else { panic!("no list") };
    let users: Vec<_> =
        contacts.iter().map(|contact| Uri::parse(contact.uri).unwrap().user.unwrap()).collect();
    assert_eq!(users, ["%00", "%00%00"]);
    assert_eq!(Uri::parse(contacts.first().unwrap().uri).unwrap().user_decoded().unwrap(), "\0");
}

#[test] // RFC 4475 §3.1.1.6
fn a_display_name_needs_no_blank_behind_it() {
    assert_eq!(accepted("lwsdisp").from().display, "caller");
}

#[test] // RFC 4475 §3.1.1.7
fn long_values_are_whole() {
    let message = accepted("longreq");
    assert_eq!(message.vias().count(), 34);
    assert_eq!(message.via().host, "sip33.example.com");
    assert_eq!(message.vias().last().unwrap().received_ip(), Some("192.0.2.5".parse().unwrap()));
    assert_eq!(message.body().len(), 150);
}

#[test] // RFC 4475 §3.1.1.8
fn a_datagram_holds_one_message_and_what_follows_is_ignored() {
    let message = accepted("dblreq");
    assert_eq!(message.method(), &Method::Register);
    assert!(message.body().is_empty());
    assert!(message.bytes().ends_with(b"Content-Length: 0\r\n\r\n"));
}

#[test] // RFC 4475 §3.1.1.9
fn a_semicolon_before_the_at_sign_belongs_to_the_user() {
    let message = accepted("semiuri");
    let uri = Uri::parse(message.uri().unwrap()).unwrap();
    assert_eq!(uri.user_decoded().unwrap(), "user;par=u@example.net");
    assert_eq!((uri.host, uri.params.0), ("example.com", ""));
    assert_eq!(message.values(Name::Accept).count(), 6);
}

#[test] // RFC 4475 §3.1.1.10
fn transports_may_be_unknown() {
    let message = accepted("transports");
    let transports: Vec<_> = message.vias().map(|via| via.transport).collect();
    assert_eq!(transports, ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]);
}

#[test] // RFC 4475 §3.1.1.11
fn parts_of_a_body_are_found() {
    let message = accepted("mpart01");
    assert!(message.content_type().unwrap().is("multipart", "mixed"));
    assert_eq!(message.body_part("text", "plain").unwrap(), Some(&b"Hello"[..]));
    assert_eq!(message.body_part("application", "octet-stream").unwrap().map(<[u8]>::len), Some(342));
    assert_eq!(message.sdp(), Ok(None));
}

#[test] // RFC 4475 §3.1.1.12, §3.1.1.13
fn reason_phrases_are_free() {
    use sip_core::message::Kind;
    let message = accepted("unreason");
    let Kind::Response { status, reason } = message.kind() else { panic!("a response") };
    assert_eq!(status, Status::OK);
    assert!(reason.starts_with("= 2**3 * 5**2 но сто"), "{reason}");
    assert_eq!(accepted("noreason").kind(), Kind::Response { status: Status::TRYING, reason: "" });
}

#[test] // RFC 4475 §3.1.2.13: refused by the transaction user with 400
fn a_contact_with_headers_needs_brackets() {
    assert_eq!(accepted("regbadct").contacts().err(), Some(ParseError::Bad("Contact")));
    let message = accepted("regescrt"); // §3.3.14
    let contacts = message.contacts().unwrap();
    let uri = Uri::parse(contacts.first().unwrap().uri).unwrap();
    assert_eq!(uri.headers, Some("Route=%3Csip:sip.example.com%3E"));
}

#[test] // RFC 4475 §3.2.1: a branch that is only the cookie names no transaction
fn an_empty_branch_is_visible() {
    assert_eq!(accepted("badbranch").via().branch, Some("z9hG4bK"));
}

#[test] // RFC 4475 §3.3.2–§3.3.4: 416 is the transaction user's answer to the first two
fn schemes_may_be_unknown() {
    let scheme = |name: &str| {
        let message = accepted(name);
        match Uri::parse(message.uri().unwrap()).unwrap().scheme {
            Scheme::Other(scheme) => scheme.to_owned(),
            known => panic!("{known:?}"),
        }
    };
    assert_eq!(scheme("unkscm"), "nobodyKnowsThisScheme");
    assert_eq!(scheme("novelsc"), "soap.beep");
    let message = accepted("unksm2");
    assert_eq!(message.to().uri, "isbn:2983792873");
    assert_eq!((message.from().uri, message.from_tag()), ("http://www.example.com", Some("3234233")));
}

#[test] // RFC 4475 §3.3.5: 420 is the transaction user's answer
fn option_tags_are_listed() {
    let message = accepted("bext01");
    let required: Vec<_> = message.require().collect();
    assert_eq!(required, ["nothingSupportsThis", "nothingSupportsThisEither"]);
    assert_eq!(message.values(Name::ProxyRequire).count(), 2);
}

#[test] // RFC 4475 §3.3.6, §3.3.15: 415 and 406 are the transaction user's answers
fn unknown_bodies_are_visible() {
    assert!(accepted("invut").content_type().unwrap().is("application", "unknownformat"));
    assert_eq!(accepted("sdp01").header(Name::Accept), Some("text/nobodyKnowsThis"));
}

#[test] // RFC 4475 §3.3.10: the response is dropped by the transaction layer, its topmost Via is not ours
fn a_broadcast_via_is_no_address_to_send_to() {
    let message = accepted("bcast");
    assert_eq!(message.via().branch, Some("z9hG4bK1324923"));
    assert_eq!(message.vias().nth(1).unwrap().host, "255.255.255.255");
}

#[test] // RFC 4475 §3.3.11: 483 is the transaction user's answer
fn max_forwards_may_be_zero() {
    assert_eq!(accepted("zeromf").max_forwards(), Some(0));
}

#[test] // RFC 4475 §3.3.12, §3.3.13
fn parameters_belong_to_the_header_without_brackets_and_to_the_uri_within() {
    let message = accepted("cparam01");
    let contacts = message.contacts().unwrap();
    let contact = contacts.first().unwrap();
    assert_eq!(contact.uri, "sip:+19725552222@gw1.example.net");
    assert!(contact.params.has("unknownparam"));
    let message = accepted("cparam02");
    let contacts = message.contacts().unwrap();
    let contact = contacts.first().unwrap();
    assert!(Uri::parse(contact.uri).unwrap().has_param("unknownparam"));
    assert!(!contact.params.has("unknownparam"));
}

#[test] // RFC 4475 §3.4.1
fn rfc_2543_syntax_is_read() {
    let message = accepted("inv2543");
    assert_eq!((message.via().branch, message.from_tag(), message.max_forwards()), (None, None, None));
    assert_eq!(message.to().uri, "sip:+16505552222@ss1.example.net");
    // Without Content-Length a datagram's body reaches to its end.
    assert!(message.body().ends_with(b"m=audio 49217 RTP/AVP 0\r\n"));
}

#[test] // RFC 5118 §4.3, §4.4
fn a_port_stands_behind_the_brackets() {
    let port = |name: &str| {
        let message = accepted(name);
        let uri = Uri::parse(message.uri().unwrap()).unwrap();
        (uri.host_ip().unwrap().to_string(), uri.port)
    };
    assert_eq!(port("port-ambiguous"), ("2001:db8::10:5070".into(), None));
    assert_eq!(port("port-unambiguous"), ("2001:db8::10".into(), Some(5070)));
}

#[test] // RFC 5118 §4.5
fn received_is_read_with_and_without_brackets() {
    for name in ["via-received-param-no-delim", "via-received-param-with-delim"] {
        let message = accepted(name);
        assert_eq!(message.via().received_ip(), Some("2001:db8::9:255".parse().unwrap()), "{name}");
    }
}

#[test] // RFC 5118 §4.7, §4.9
fn address_families_mix() {
    let message = accepted("mult-ip-in-header");
    let hosts: Vec<_> = message.vias().map(|via| via.host_ip().unwrap().to_string()).collect();
    assert_eq!(hosts, ["2001:db8::9:1", "192.0.2.1", "2001:db8::9:255"]);
    let message = accepted("ipv4-mapped-ipv6");
    assert_eq!(
        message.via().host_ip().unwrap().to_canonical(),
        "192.0.2.10".parse::<std::net::IpAddr>().unwrap()
    );
    assert_eq!(message.sdp().unwrap().map(<[u8]>::len), Some(245));
}

#[test] // RFC 3261 §7.5: a message can end anywhere on the way to us
fn no_beginning_of_a_message_is_a_panic() {
    for Row { raw, .. } in rows() {
        for length in 0..raw.len() {
            input::run(raw.get(..length).unwrap());
        }
    }
}

#[test]
fn no_mutation_is_a_panic_or_a_malformed_answer() {
    let originals: Vec<_> = rows().into_iter().map(|row| row.raw).collect();
    let run = |seed: u64| {
        let mut chance = Chance(seed);
        for _ in 0..50_000 {
            let mut raw = originals[chance.below(originals.len())].to_vec();
            for _ in 0..=chance.below(4) {
                mutate(&mut raw, &mut chance);
            }
            input::run(&raw);
        }
    };
    #[expect(clippy::disallowed_methods, reason = "the test has threads, the crate has not")]
    std::thread::scope(|scope| {
        for seed in 1..=4 {
            let run = &run;
            scope.spawn(move || run(seed * 0x5eed_5119));
        }
    });
}

fn mutate(raw: &mut Vec<u8>, chance: &mut Chance) {
    const SPICE: &[u8] = b"\r\n\t \"\\<>;,:=?@[]%/*\0\x7f\xff09aSIP";
    let at = chance.below(raw.len().max(1)).min(raw.len());
    let spice = SPICE[chance.below(SPICE.len())];
    match chance.below(5) {
        0 if at < raw.len() => raw[at] = spice,
        1 => raw.insert(at, spice),
        2 if at < raw.len() => drop(raw.remove(at)),
        3 => raw.truncate(at),
        _ => {
            let end = (at + chance.below(40)).min(raw.len());
            let piece = raw[at..end].to_vec();
            let to = chance.below(raw.len() + 1);
            drop(raw.splice(to..to, piece));
        }
    }
}

/// xorshift64*; the seed is fixed, so each run is the same.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap() % bound.max(1)
    }
}
