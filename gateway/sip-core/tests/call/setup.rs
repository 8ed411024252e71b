//! INVITE to ACK, with and without early media, services, forks, refusals.

use relay_api::{Direction, LegSpec, Service};
use sip_core::call::{CallTimer, Cause, Event, Failure, screen};
use sip_core::message::{Message, Method, Name};
use sip_core::routing::Purpose;
use sip_core::sdp::Profile;

use super::sdp::{browser, trunk, trunk_answer};
use super::trace::{A, B, Kind, Trace, other, parsed};

#[test]
fn a_browser_calls_through_the_trunk_and_hangs_up() {
    let mut t = Trace::new(Kind::BrowserToTrunk);
    let offer = t.a.offer();
    t.invites(Some(&offer)).does("media");
    t.relay_ready().does("B INVITE+sdp");
    t.answers(B, 100, None).does("");
    t.answers(B, 180, None).does("A 180");
    t.answers(B, 200, Some(&trunk_answer())).does("B ACK, media, A 200+sdp");
    t.acks(A, None).does("");
    t.sends(A, Method::Bye, None).does("A 200 BYE, release, B BYE");
    t.answers(B, 200, None).does("ended HungUp by A");
    assert!(t.timers.is_empty(), "{:?}", t.timers);
    assert_eq!(t.released, 1);
    assert_eq!(t.summary.unwrap().status, Some(200));
}

#[test] // a phone may ring for longer than silence is bearable
fn a_caller_who_was_not_answered_neither_hears_nor_is_listened_to() {
    let mut t = Trace::new(Kind::TrunkToBrowser);
    let offer = t.a.offer();
    t.invites(Some(&offer)).relay_ready().answers(B, 180, None);
    let LegSpec::Rtp(leg) = &t.spec.as_ref().unwrap().a else { panic!("a trunk calls") };
    assert!(leg.remote.is_some(), "our port is the caller's from now on");
    assert_eq!((leg.codecs.len(), leg.direction), (0, Direction::Inactive));
    let answer = t.b.answer();
    t.answers(B, 200, Some(&answer));
    let LegSpec::Rtp(leg) = &t.spec.as_ref().unwrap().a else { panic!("a trunk calls") };
    assert_eq!((leg.codecs.is_empty(), leg.direction), (false, Direction::SendRecv));
}

#[test]
fn the_trunk_calls_a_browser_which_hangs_up() {
    let mut t = Trace::new(Kind::TrunkToBrowser);
    let offer = t.a.offer();
    t.invites(Some(&offer)).relay_ready().does("media, B INVITE+sdp");
    let sdp = t.b.last_sdp();
    for line in ["a=ice-lite", "a=rtcp-mux", "a=group:BUNDLE", "a=setup:actpass", "UDP/TLS/RTP/SAVPF 0 8 101"]
    {
        assert!(sdp.contains(line), "{line} in {sdp}");
    }
    let answer = t.b.answer();
    t.answers(B, 180, None).answers(B, 200, Some(&answer)).does("A 180, B ACK, media, A 200+sdp");
    t.acks(A, None).sends(B, Method::Bye, None).does("B 200 BYE, release, A BYE");
    t.answers(A, 200, None).does("ended HungUp by B");
}

#[test]
fn a_browser_calls_a_browser() {
    let mut t = Trace::established(Kind::BrowserToBrowser);
    t.sends(A, Method::Bye, None).answers(B, 200, None);
    t.does("A 200 BYE, release, B BYE, ended HungUp by A");
}

#[test]
fn a_service_answers_without_a_second_leg() {
    for service in [Service::Echo, Service::Tone] {
        let mut t = Trace::new(Kind::BrowserTo(service));
        let offer = t.a.offer();
        t.invites(Some(&offer)).does("media");
        assert!(matches!(t.spec.as_ref().unwrap().b, LegSpec::Service(s) if s == service));
        let narrowed = if service == Service::Tone { "media, " } else { "" };
        t.relay_ready().does(&format!("{narrowed}A 200+sdp"));
        let has_opus = t.a.last_sdp().contains("opus");
        assert_eq!(has_opus, service == Service::Echo, "the melody is PCMU or PCMA");
        t.acks(A, None).sends(A, Method::Bye, None).does("A 200 BYE, release, ended HungUp by A");
    }
}

#[test]
fn a_service_is_hung_up_by_the_operator() {
    let mut t = Trace::established(Kind::BrowserTo(Service::Echo));
    t.terminated().does("release, A BYE");
    t.answers(A, 200, None).does("ended Operator");
}

#[test] // SECURITY: a message for the other leg is rebuilt from an allow-list
fn only_headers_that_the_policy_names_cross() {
    let mut t = Trace::new(Kind::TrunkToBrowser);
    let headers = [
        ("X-Genesys-CallUUID", "QV7H40"),
        ("P-Charging-Vector", "icid=1"),
        ("P-Asserted-Identity", "<sip:boss@example.org>"),
        ("Subject", "hello"),
    ];
    let offer = t.a.offer();
    let invite = t.a.request(&Method::Invite, Some(&offer), &headers);
    t.invites_with(invite).relay_ready();
    let invite = t.b.last_request();
    assert_eq!(invite.header(Name::Other("X-Genesys-CallUUID")), Some("QV7H40"));
    for name in ["P-Charging-Vector", "P-Asserted-Identity", "Subject"] {
        assert_eq!(invite.header(Name::Other(name)), None, "{name}");
    }
    assert_eq!(invite.from().uri, "sip:1001@gw.example", "never what the caller claimed");
    assert_ne!(invite.call_id(), "call-of-a");
    t.answers_as(B, 180, None, None, &[("X-Genesys-CallUUID", "forged"), ("Alert-Info", "x")]);
    assert_eq!(t.a.last().header(CALL_UUID), None);
    assert_eq!(t.a.last().header(Name::AlertInfo), None);
}

const CALL_UUID: Name<'static> = Name::Other("X-Genesys-CallUUID");

#[test] // SECURITY: what a trunk is believed a user could forge, in whatever message and however it is spelled
fn a_header_that_trunks_write_never_crosses_from_a_browser() {
    for spelling in ["X-Genesys-CallUUID", "x-genesys-calluuid"] {
        let uuid = [(spelling, "mine")];
        for kind in [Kind::BrowserToTrunk, Kind::BrowserToBrowser, Kind::TrunkToBrowser] {
            let mut t = Trace::new(kind);
            let offer = t.a.offer();
            let invite = t.a.request(&Method::Invite, Some(&offer), &uuid);
            t.invites_with(invite).relay_ready();
            let answer = t.b.answer();
            t.answers_as(B, 183, Some(&answer), None, &uuid).answers_as(B, 200, Some(&answer), None, &uuid);
            t.acks(A, None);
            for leg in [A, B] {
                let held = match t.peer(leg).profile {
                    Profile::WebRtc => {
                        browser(9, if leg == A { "aaaa" } else { "bbbb" }, "0 101", "sendonly", "actpass")
                    }
                    Profile::PlainRtp => trunk(9, "192.0.2.9", "0 101", "sendonly"),
                };
                t.sends_with(leg, Method::Invite, Some(&held), &uuid);
                let answer = t.peer(other(leg)).answer().replace("sendrecv", "recvonly");
                t.answers_as(other(leg), 200, Some(&answer), None, &uuid).acks(leg, None);
                t.sends_with(leg, Method::Update, None, &uuid).sends_with(leg, Method::Options, None, &uuid);
                let resumed = t.peer(leg).offer();
                t.sends_with(leg, Method::Update, Some(&resumed), &uuid);
                let answer = t.peer(other(leg)).answer();
                t.answers_as(other(leg), 200, Some(&answer), None, &uuid);
            }
            t.sends_with(A, Method::Bye, None, &uuid).answers_as(B, 200, None, None, &uuid);
            for leg in [A, B] {
                let crossed = t.peer(leg).inbox.iter().filter(|m| m.header(CALL_UUID).is_some()).count();
                // The INVITE towards a browser, and the answers of a trunk to a browser's.
                let expected = match (kind, leg) {
                    (Kind::TrunkToBrowser, B) => 1,
                    (Kind::BrowserToTrunk, A) => 2,
                    _ => 0,
                };
                assert_eq!(crossed, expected, "{spelling} at {leg:?}");
            }
        }
    }
}

#[test]
fn what_browsers_may_write_crosses_from_them_alone() {
    for (kind, to_callee, to_caller) in [
        (Kind::BrowserToTrunk, true, false),
        (Kind::TrunkToBrowser, false, true),
        (Kind::BrowserToBrowser, true, true),
    ] {
        let mut t = Trace::new(kind);
        t.policy.crossing.from_browser = vec!["X-Note".to_owned()];
        let offer = t.a.offer();
        let invite = t.a.request(&Method::Invite, Some(&offer), &[("X-Note", "hi")]);
        t.invites_with(invite).relay_ready();
        assert_eq!(t.b.last_request().header(Name::Other("X-Note")).is_some(), to_callee);
        t.answers_as(B, 180, None, None, &[("X-Note", "hi")]);
        assert_eq!(t.a.last().header(Name::Other("X-Note")).is_some(), to_caller);
    }
}

#[test] // RFC 3325: the trunk is told who calls; RFC 3261 §16.6 step 3
fn the_invite_to_a_trunk_asserts_the_callers_identity() {
    let mut t = Trace::new(Kind::BrowserToTrunk);
    let offer = t.a.offer();
    t.invites(Some(&offer)).relay_ready();
    let invite = t.b.last_request();
    let identity = r#""Anna \"A\"" <sip:1001@gw.example>"#;
    assert_eq!(invite.header(Name::PAssertedIdentity), Some(identity));
    assert!(invite.header(Name::From).unwrap().starts_with(identity));
    assert_eq!(invite.max_forwards(), Some(69));
    assert_eq!(invite.header(Name::Contact), Some("<sip:1001@gw.example:5060>"));
    let sdp = t.b.last_sdp();
    assert!(sdp.contains("RTP/AVP 0 8 101") && !sdp.contains("opus"), "{sdp}");
}

#[test]
fn every_token_of_ours_names_the_call() {
    let mut t = Trace::new(Kind::BrowserToTrunk);
    let offer = t.a.offer();
    t.invites(Some(&offer)).relay_ready().answers(B, 180, None);
    let call = t.call.as_ref().unwrap().id();
    let ring = t.sealer.open(t.a.last().to_tag().unwrap()).unwrap();
    assert_eq!((ring.call, ring.leg, ring.purpose), (call, A, Purpose::Tag));
    let invite = t.b.last_request();
    for (token, purpose) in
        [(invite.from_tag().unwrap(), Purpose::Tag), (invite.via().branch.unwrap(), Purpose::Branch)]
    {
        let named = t.sealer.open(token).unwrap();
        assert_eq!((named.call, named.leg, named.purpose), (call, B, purpose));
    }
    assert_eq!(invite.call_id(), call.to_string());
}

#[test] // RFC 3261 §17.2.3: a repeated INVITE on another node makes the same call
fn an_invite_that_comes_twice_makes_the_same_call() {
    let (mut one, mut two) = (Trace::new(Kind::BrowserToTrunk), Trace::new(Kind::BrowserToTrunk));
    for t in [&mut one, &mut two] {
        let offer = t.a.offer();
        t.invites(Some(&offer)).relay_ready();
    }
    assert_eq!(one.call, two.call);
    assert_eq!(one.b.last_request(), two.b.last_request());
    // The store keeps the first; the second node hands the repetition to it.
    one.answers(B, 180, None).and();
    let mut invite = one.a.builder_with_cseq(&Method::Invite, 2, &[]);
    invite = invite.body("application/sdp", one.a.offer());
    one.a.gateway_tag = None;
    let invite = without_to_tag(invite.build().unwrap());
    one.delivers(A, invite).does("A 180");
}

#[test] // RFC 3261 §20.43: who is refused hears which line it was
fn a_refused_offer_says_why() {
    let refused = |kind: Kind, change: &dyn Fn(String) -> String| {
        let mut t = Trace::new(kind);
        let offer = change(t.a.offer());
        t.invites(Some(&offer));
        let reply = t.a.last();
        (reply.status().unwrap().code(), reply.header(Name::Warning).unwrap_or_default().to_owned())
    };
    let agent = "gw.example:5060";
    let line = |sdp: &str, start: &str| 1 + sdp.lines().position(|line| line.starts_with(start)).unwrap();
    let offer = trunk(1, "192.0.2.9", "0 8 101", "sendrecv");
    assert_eq!(
        refused(Kind::TrunkToBrowser, &|sdp| sdp.replace("c=IN IP4 192.0.2.9", "c=IN IP4 192.0.2.9;x")),
        (400, format!("307 {agent} \"malformed SDP, line {}: bad address\"", line(&offer, "c=")))
    );
    assert_eq!(
        refused(Kind::TrunkToBrowser, &|sdp| sdp.replace("c=IN IP4 192.0.2.9", "c=IN IP4 pbx.example")),
        (488, format!("301 {agent} \"SDP not acceptable: a host name as media address\""))
    );
    assert_eq!(
        refused(Kind::TrunkToBrowser, &|sdp| sdp.replace("RTP/AVP", "RTP/SAVP")),
        (488, format!("304 {agent} \"SDP not acceptable: no audio stream of this leg's kind\""))
    );
    let offer = browser(2, "aaaa", "111 0 8 101", "sendrecv", "actpass");
    assert_eq!(
        refused(Kind::BrowserToTrunk, &|sdp| sdp.replace("ice-pwd:", "ice-pwd:?")),
        (400, format!("307 {agent} \"malformed SDP, line {}: bad ice-pwd\"", line(&offer, "a=ice-pwd")))
    );

    // A later offer, and the callee's answer.
    let mut t = Trace::established(Kind::BrowserToTrunk);
    let bad = trunk(2, "192.0.2.9", "0", "sendrecv").replace("m=audio 6000", "m=audio many");
    t.sends(B, Method::Invite, Some(&bad)).does("B 400");
    assert!(t.b.last().header(Name::Warning).unwrap().contains("line 6: m= without port"));
    let mut t = Trace::new(Kind::BrowserToTrunk);
    let offer = t.a.offer();
    t.invites(Some(&offer)).relay_ready().answers(B, 200, Some(&bad));
    t.does("media, B INVITE+sdp, B ACK, release, A 488, B BYE");
    assert!(t.a.last().header(Name::Warning).unwrap().contains("callee: malformed SDP, line 6"));
}

fn without_to_tag(message: Message) -> Message {
    let text = String::from_utf8(message.bytes().to_vec()).unwrap();
    let (head, rest) = text.split_once("To: <sip:x@gw.example>").unwrap();
    let (_, rest) = rest.split_once("\r\n").unwrap();
    super::trace::parsed(&format!("{head}To: <sip:x@gw.example>\r\n{rest}").replace("\r\n", "\n"))
}

#[test] // RFC 3261 §12.1.2: a missing tag is a tag too, as RFC 2543 has it
fn a_183_without_a_tag_brings_early_media_as_well() {
    let mut t = Trace::new(Kind::BrowserToTrunk);
    let offer = t.a.offer();
    t.invites(Some(&offer)).relay_ready().and();
    let invite = t.b.last_request().clone();
    let progress = t.b.response(&invite, 183, Some(&trunk_answer()), None, &[]);
    let text = String::from_utf8_lossy(progress.bytes()).replace(";tag=tag-B", "").replace("\r\n", "\n");
    t.feed(Event::Response { leg: B, message: parsed(&text) }).does("media, A 183+sdp");
    t.answers(B, 200, None).does("B ACK, A 200+sdp");
}

#[test] // RFC 3261 §13.2.1: early media
fn a_183_with_sdp_brings_early_media_and_the_200_repeats_the_answer() {
    let mut t = Trace::new(Kind::BrowserToTrunk);
    let offer = t.a.offer();
    t.invites(Some(&offer)).relay_ready().and();
    t.answers(B, 183, Some(&trunk_answer())).does("media, A 183+sdp");
    let early = t.a.last_sdp();
    assert!(early.contains("UDP/TLS/RTP/SAVPF 0 101"), "{early}");
    t.answers(B, 200, Some(&trunk_answer())).does("B ACK, A 200+sdp");
    assert_eq!(t.a.last_sdp(), early);
    t.acks(A, None).does("");
}

#[test] // RFC 3261 §13.2.2.4
fn media_follows_the_fork_that_answers_and_a_second_answer_is_hung_up() {
    let mut t = Trace::new(Kind::BrowserToTrunk);
    let offer = t.a.offer();
    t.invites(Some(&offer)).relay_ready().and();
    let remote = |t: &Trace| match &t.spec.as_ref().unwrap().b {
        LegSpec::Rtp(leg) => leg.remote.unwrap().rtp.to_string(),
        other => panic!("{other:?}"),
    };
    let (first, second) = (trunk(1, "192.0.2.21", "0", "sendrecv"), trunk(1, "192.0.2.22", "0", "sendrecv"));
    t.answers_as(B, 183, Some(&first), Some("one"), &[]).does("media, A 183+sdp");
    assert_eq!(remote(&t), "192.0.2.21:6000");
    t.answers_as(B, 183, Some(&second), Some("two"), &[]).does("media, A 183+sdp");
    assert_eq!(remote(&t), "192.0.2.22:6000");
    let invite = t.b.last_request().clone();
    t.answers_as(B, 200, Some(&first), Some("one"), &[]).does("B ACK, media, A 200+sdp");
    assert_eq!(remote(&t), "192.0.2.21:6000");
    t.answers_to(B, &invite, 200, Some(&second), Some("two"), &[]).does("B ACK, B BYE");
    assert_eq!(t.b.last().to_tag(), Some("two"));
    t.answers_to(B, &invite, 200, Some(&second), Some("two"), &[]).does("B ACK");
    t.answers_to(B, &invite, 200, Some(&first), Some("one"), &[]).does("B ACK");
    assert_eq!(t.b.last().to_tag(), Some("one"));
}

#[test]
fn a_fork_with_another_codec_than_its_early_media_is_followed_by_a_reinvite() {
    let mut t = Trace::new(Kind::BrowserToTrunk);
    let offer = t.a.offer();
    t.invites(Some(&offer)).relay_ready().and();
    let (pcmu, pcma) = (trunk(1, "192.0.2.21", "0", "sendrecv"), trunk(1, "192.0.2.22", "8", "sendrecv"));
    t.answers_as(B, 183, Some(&pcmu), Some("one"), &[]).and();
    t.answers_as(B, 200, Some(&pcma), Some("two"), &[]).does("B ACK, media, A 200+sdp");
    t.acks(A, None).does("A INVITE+sdp");
    assert!(t.a.last_sdp().contains("SAVPF 8\r\n"), "{}", t.a.last_sdp());
    let answer = browser(3, "aaaa", "8", "sendrecv", "active");
    t.answers_as(A, 200, Some(&answer), Some("tag-A"), &[]).does("A ACK, media");
}

#[test]
fn refusals_of_the_callee_become_the_callers() {
    let cases = [
        (486, 486),
        (404, 404),
        (403, 403),
        (480, 480),
        (600, 600),
        (603, 603),
        (606, 488),
        (401, 502),
        (407, 502),
        (302, 480),
        (488, 488),
        (503, 503),
        (500, 500),
        (481, 480),
        (430, 480),
        (420, 500),
        (513, 502),
        (699, 603),
    ];
    for (callee, caller) in cases {
        let mut t = Trace::new(Kind::BrowserToTrunk);
        let offer = t.a.offer();
        t.invites(Some(&offer)).relay_ready().and();
        t.answers_as(
            B,
            callee,
            None,
            None,
            &[("Retry-After", "17 (soon)"), ("Contact", "<sip:other@example.org>")],
        );
        let rest = if callee == 503 { "pass over 5060 for 17 s, " } else { "" };
        t.does(&format!("{rest}release, A {caller}, ended Refused by B"));
        let retry = t.a.last().header(Name::RetryAfter);
        assert_eq!(retry.is_some(), matches!(caller, 480 | 486 | 503 | 600 | 603), "{caller}");
        assert!(t.a.last().header(Name::Contact).is_none());
        assert!(t.timers.is_empty());
    }
}

#[test] // RFC 3261 §8.1.3.1
fn an_unreachable_callee_ends_the_call() {
    for (kind, failure, status) in [
        (Kind::BrowserToTrunk, Failure::Timeout, 504),
        (Kind::BrowserToTrunk, Failure::Transport, 503),
        (Kind::BrowserToBrowser, Failure::Timeout, 408),
        (Kind::BrowserToBrowser, Failure::Transport, 480),
    ] {
        let mut t = Trace::new(kind);
        let offer = t.a.offer();
        t.invites(Some(&offer)).relay_ready().and();
        let way = t.ways[0].clone();
        t.fails(B, Method::Invite, failure)
            .does(&format!("pass over {way}, release, A {status}, ended Refused by B"));
    }
}

#[test]
fn nobody_answers() {
    let mut t = Trace::new(Kind::BrowserToTrunk);
    let offer = t.a.offer();
    t.invites(Some(&offer)).relay_ready().answers(B, 180, None).and();
    assert_eq!(t.due(CallTimer::NoAnswer), Some(180_000));
    t.fires(CallTimer::NoAnswer).does("release, A 480, B CANCEL");
    let invite = t.b.inbox.iter().find(|m| *m.method() == Method::Invite).unwrap().clone();
    t.answers(B, 200, None).does("");
    t.answers_to(B, &invite, 487, None, None, &[]).does("ended NoAnswer");
    assert!(t.timers.is_empty());
}

#[test]
fn what_the_relay_refuses_is_told() {
    for (error, status) in [
        (relay_api::RelayError::Full { what: "ports".into() }, 503),
        (relay_api::RelayError::Unavailable, 503),
        (relay_api::RelayError::NoInterface { reason: "x".into() }, 503),
        (relay_api::RelayError::Invalid { reason: "x".into() }, 488),
    ] {
        let mut t = Trace::new(Kind::BrowserToTrunk);
        let offer = t.a.offer();
        t.invites(Some(&offer)).and();
        t.no_media(error);
        let cause = if status == 488 { Cause::NoCommonCodec } else { Cause::MediaLost };
        t.does(&format!("release, A {status}, ended {cause:?}"));
    }
}

#[test]
fn offers_that_cannot_be_used_are_refused_before_there_is_a_call() {
    let no_codec = browser(1, "aaaa", "9", "sendrecv", "actpass");
    for (offer, status) in [("v=0\r\nnonsense", 400), (no_codec.as_str(), 488), (&trunk_answer(), 488)] {
        let mut t = Trace::new(Kind::BrowserToTrunk);
        t.invites(Some(offer)).does(&format!("A {status} INVITE"));
        assert!(t.a.last().to_tag().is_some());
        assert!(t.call.is_none());
    }
}

#[test] // RFC 3264 §5: no codec of the answer was offered
fn an_answer_without_a_common_codec_ends_both_legs() {
    let mut t = Trace::new(Kind::BrowserToTrunk);
    let offer = t.a.offer();
    t.invites(Some(&offer)).relay_ready().and();
    let answer = trunk(1, "192.0.2.9", "9", "sendrecv");
    t.answers(B, 200, Some(&answer)).does("B ACK, release, A 488, B BYE");
    t.answers(B, 200, None).does("ended NoCommonCodec by B");
}

#[test] // RFC 3261 §8.2.1, §8.2.2, §16.3; RFC 3262 is not served
fn requests_are_screened_before_anybody_asks_who_sent_them() {
    let mut t = Trace::new(Kind::BrowserToTrunk);
    type Case = (Method, &'static [(&'static str, &'static str)], Option<u16>);
    let cases: [Case; 10] = [
        (Method::Invite, &[], None),
        (Method::Invite, &[("Require", "100rel, timer")], Some(420)),
        (Method::Invite, &[("Proxy-Require", "sec-agree")], Some(420)),
        (Method::Refer, &[], Some(405)),
        (Method::Publish, &[], Some(405)),
        (Method::Bye, &[], Some(481)),
        (Method::Other("BREW".into()), &[], Some(501)),
        (Method::Invite, &[("Content-Encoding", "gzip")], Some(415)),
        (Method::Options, &[], None),
        (Method::Ack, &[("Require", "nothing")], None),
    ];
    for (method, headers, expected) in cases {
        let request = t.a.request(&method, None, headers);
        let reply = screen(&request, &t.sealer).err();
        assert_eq!(reply.as_ref().and_then(|reply| reply.status()).map(|s| s.code()), expected, "{method}");
        assert!(reply.as_ref().is_none_or(|reply| reply.to_tag().is_some()));
        if expected == Some(420) {
            assert!(!reply.unwrap().header(Name::Unsupported).unwrap().contains("timer"));
        }
    }
    let hops = super::trace::parsed(
        "INVITE sip:x@gw SIP/2.0\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\nMax-Forwards: 0\nFrom: <sip:a@b>;tag=1\n\
         To: <sip:x@gw>\nCall-ID: 1\nCSeq: 1 INVITE\nContact: <sip:a@b>\n\n",
    );
    assert_eq!(screen(&hops, &t.sealer).unwrap_err().status().unwrap().code(), 483);
}

#[test] // RFC 3261 §16.3 step 4
fn an_invite_that_was_here_before_is_a_loop() {
    let mut t = Trace::new(Kind::BrowserToTrunk);
    let offer = t.a.offer();
    t.invites(Some(&offer)).relay_ready();
    let ours = t.b.last_request().header(Name::Via).unwrap().to_owned();
    let back = t.a.request(&Method::Invite, None, &[("Via", &ours)]);
    assert_eq!(screen(&back, &t.sealer).unwrap_err().status().unwrap().code(), 482);
    let forged = t.a.request(&Method::Invite, None, &[("Via", &ours.replace("z9hG4bKa", "z9hG4bKb"))]);
    assert!(screen(&forged, &t.sealer).is_ok());
}
