//! Requests within the dialog: order, strangers, DTMF, what is not served.

use relay_api::Service;
use sip_core::call::Event;
use sip_core::message::{Method, Name};
use sip_core::routing::Destination;

use super::sdp::{browser, trunk, trunk_answer};
use super::trace::{A, B, Kind, Trace, parsed};

#[test] // RFC 3261 §12.2.2
fn an_old_cseq_is_refused() {
    let mut t = Trace::established(Kind::BrowserToTrunk);
    t.sends(B, Method::Options, None).does("B 200 OPTIONS");
    let old = t.b.builder_with_cseq(&Method::Info, 1, &[]).build().unwrap();
    t.delivers(B, old).does("B 500 INFO");
}

#[test]
fn a_stranger_with_our_tag_is_outside_the_dialog() {
    let mut t = Trace::established(Kind::BrowserToTrunk);
    t.b.tag = "somebody".into();
    t.sends(B, Method::Bye, None).does("B 481 BYE");
    t.b.tag = "tag-B".into();
    t.b.call_id = "another".into();
    t.sends(B, Method::Bye, None).does("B 481 BYE");
}

#[test] // SECURITY: a tag alone is no key to the other side's dialog
fn a_browser_cannot_speak_for_the_trunk() {
    let mut t = Trace::established(Kind::BrowserToTrunk);
    let bye = t.b.request(&Method::Bye, None, &[]);
    let from = t.destination(A);
    t.feed(Event::Request { leg: B, message: bye, from }).does("B 481 BYE");
}

#[test]
fn what_is_not_served_is_said_so() {
    let mut t = Trace::established(Kind::BrowserToTrunk);
    for (method, status) in [
        (Method::Notify, 489),
        (Method::Refer, 405),
        (Method::Message, 405),
        (Method::Subscribe, 405),
        (Method::Prack, 405),
        (Method::Other("BREW".into()), 501),
    ] {
        t.sends(A, method.clone(), None).does(&format!("A {status} {method}"));
        assert_eq!(t.a.last().header(Name::Allow).is_some(), status == 405);
    }
    t.sends_with(A, Method::Info, None, &[("Require", "magic")]).does("A 420 INFO");
    assert_eq!(t.a.last().header(Name::Unsupported), Some("magic"));
}

#[test] // INFO DTMF goes on as RFC 4733
fn dtmf_by_info_becomes_rtp_events() {
    let mut t = Trace::established(Kind::BrowserToTrunk);
    let relay = "application/dtmf-relay";
    t.sends_body(A, Method::Info, relay, "Signal=5\r\nDuration=200\r\n").does("A 200 INFO, B dtmf 5 200");
    t.sends_body(A, Method::Info, "application/dtmf", "#").does("A 200 INFO, B dtmf # 160");
    t.sends_body(A, Method::Info, relay, "Signal= d \r\nDuration= 99999").does("A 200 INFO, B dtmf D 5000");
    t.sends_body(A, Method::Info, relay, "Signal=55").does("A 415 INFO");
    t.sends_body(A, Method::Info, "text/plain", "5").does("A 415 INFO");
    assert!(t.a.last().header(Name::Accept).unwrap().contains("dtmf-relay"));
    t.sends(A, Method::Info, None).does("A 200 INFO");
    t.sends_body(B, Method::Info, relay, "Signal=1\r\nDuration=100").does("B 200 INFO, A dtmf 1 100");
}

#[test]
fn dtmf_stays_info_where_the_other_side_has_no_rtp_events() {
    let mut t = Trace::new(Kind::BrowserToTrunk);
    let offer = t.a.offer();
    t.invites(Some(&offer)).relay_ready();
    let answer = trunk(1, "192.0.2.9", "0", "sendrecv");
    t.answers_as(B, 200, Some(&answer), None, &[("Allow", "INVITE, ACK, BYE, INFO")]).acks(A, None).and();
    let relay = "application/dtmf-relay";
    t.sends_body(A, Method::Info, relay, "Signal=5\r\nDuration=200\r\n").does("A 200 INFO, B INFO+sdp");
    assert_eq!(t.b.last().body(), b"Signal=5\r\nDuration=200\r\n");
    t.answers(B, 200, None).does("");
    let mut echo = Trace::established(Kind::BrowserTo(Service::Echo));
    echo.sends_body(A, Method::Info, relay, "Signal=5").does("A 200 INFO");
}

#[test] // RFC 3261 §20.5: a peer without Allow may well take INFO
fn a_digit_by_info_goes_on_where_the_peer_lists_no_methods() {
    let relay = "application/dtmf-relay";
    for (kind, formats) in [(Kind::BrowserToTrunk, "0"), (Kind::TrunkToBrowser, "0")] {
        let mut t = without_events(kind, formats, &[]);
        t.sends_body(A, Method::Info, relay, "Signal=5\r\nDuration=200\r\n").does("A 200 INFO, B INFO+sdp");
        // It does not: from then on nobody is told that a digit was heard.
        t.answers(B, 405, None).does("");
        t.sends_body(A, Method::Info, relay, "Signal=5").does("A 488 INFO");
        // The other way round: what a request of the peer lists counts.
        t.sends_body(B, Method::Info, relay, "Signal=6\r\nDuration=100").does("B 200 INFO, A INFO+sdp");
        assert_eq!(t.a.last().body(), b"Signal=6\r\nDuration=100\r\n");
    }
}

#[test]
fn a_digit_that_nobody_takes_is_not_said_to_be_done() {
    let mut t =
        without_events(Kind::BrowserToTrunk, "0", &[("Allow", "INVITE, ACK, BYE"), ("Allow", "CANCEL")]);
    t.sends_body(A, Method::Info, "application/dtmf", "5").does("A 488 INFO");
    t.sends_with(B, Method::Update, None, &[]).and();
    t.sends_body(A, Method::Info, "application/dtmf", "5").does("A 200 INFO, B INFO+sdp");
}

#[test] // a menu before the answer
fn digits_reach_early_media() {
    let mut t = Trace::new(Kind::BrowserToTrunk);
    let offer = t.a.offer();
    t.invites(Some(&offer)).relay_ready().answers(B, 180, None).and();
    t.sends_body(A, Method::Info, "application/dtmf", "5").does("A 488 INFO");
    t.answers(B, 183, Some(&trunk_answer())).and();
    t.sends_body(A, Method::Info, "application/dtmf", "5").does("A 200 INFO, B dtmf 5 160");
}

#[test] // RFC 4733 §3.2
fn digits_may_be_spelled_as_numbers_of_events() {
    let mut t = Trace::established(Kind::BrowserToTrunk);
    for (text, digit) in
        [("9", '9'), ("10", '*'), ("11", '#'), ("12", 'A'), ("13", 'B'), ("14", 'C'), ("15", 'D'), ("*", '*')]
    {
        t.sends_body(A, Method::Info, "application/dtmf", text)
            .does(&format!("A 200 INFO, B dtmf {digit} 160"));
        let relay = format!("Signal={text}\r\nDuration=100\r\n");
        t.sends_body(A, Method::Info, "application/dtmf-relay", &relay);
        t.does(&format!("A 200 INFO, B dtmf {digit} 100"));
    }
    for text in ["16", "1x", "20", "110", "**", "E", "ü"] {
        t.sends_body(A, Method::Info, "application/dtmf", text).does("A 415 INFO");
    }
}

/// A call whose callee takes no RTP events, and says so with these headers.
fn without_events(kind: Kind, formats: &str, headers: &[(&str, &str)]) -> Trace {
    let mut t = Trace::new(kind);
    let offer = t.a.offer();
    let answer = match kind {
        Kind::BrowserToTrunk => trunk(1, "192.0.2.9", formats, "sendrecv"),
        _ => browser(2, "bbbb", formats, "sendrecv", "active"),
    };
    t.invites(Some(&offer)).relay_ready();
    t.answers_as(B, 200, Some(&answer), None, headers).acks(A, None).and();
    t
}

#[test] // SECURITY: a third host gets nothing, whatever a Contact says
fn requests_follow_the_contact_within_the_trunks_networks_only() {
    let sent_to = |contact: &str| {
        let mut t = Trace::established(Kind::BrowserToTrunk);
        t.sends_with(B, Method::Update, None, &[]).and();
        let text = String::from_utf8(t.b.request(&Method::Update, None, &[]).bytes().to_vec()).unwrap();
        let update = parsed(&text.replace("<sip:peer@192.0.2.9:5070>", contact).replace("\r\n", "\n"));
        t.delivers(B, update);
        let mut call = t.call.clone().unwrap();
        let effects = call.handle(
            sip_core::call::Event::Terminate { cause: sip_core::call::Cause::Operator },
            &t.sealer,
            &t.policy,
            t.now,
        );
        let to = effects.into_iter().find_map(|effect| match effect {
            sip_core::call::Effect::Send { to: Destination::Trunk(trunk), message, .. } => {
                Some((trunk.address.to_string(), message.uri().unwrap().to_owned()))
            }
            _ => None,
        });
        to.unwrap()
    };
    let followed = sent_to("<sip:x@192.0.2.99:5080>");
    assert_eq!(followed, ("192.0.2.99:5080".into(), "sip:x@192.0.2.99:5080".into()));
    assert_eq!(sent_to("<sip:x@203.0.113.7>").0, "192.0.2.8:5060");
    assert_eq!(sent_to("<sip:x@evil.example>").0, "192.0.2.8:5060");
}

#[test] // RFC 3261 §12.1.2, §12.2.1.1
fn the_route_set_of_the_200_is_followed() {
    let mut t = Trace::new(Kind::BrowserToTrunk);
    let offer = t.a.offer();
    t.invites(Some(&offer)).relay_ready();
    let routes = [("Record-Route", "<sip:192.0.2.31;lr>"), ("Record-Route", "<sip:192.0.2.30:5066;lr>")];
    t.answers_as(B, 200, Some(&trunk_answer()), None, &routes).and();
    let ack = t.b.last();
    assert_eq!(ack.uri(), Some("sip:peer@192.0.2.9:5070"));
    let route: Vec<_> = ack.route().collect();
    assert_eq!(route, ["<sip:192.0.2.30:5066;lr>", "<sip:192.0.2.31;lr>"]);
}

#[test]
fn a_repeated_request_is_not_carried_out_twice() {
    let mut t = Trace::established(Kind::BrowserToTrunk);
    let info = t.a.builder(&Method::Info, &[]).body("application/dtmf", "1").build().unwrap();
    t.delivers(A, info.clone()).does("A 200 INFO, B dtmf 1 160");
    t.delivers(A, info).does("A 200 INFO");
}
