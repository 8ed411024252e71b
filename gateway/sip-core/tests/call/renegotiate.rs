//! re-INVITE and UPDATE both ways: refresh, hold, glare, refusal.

use relay_api::{Direction, LegSpec};
use sip_core::call::{CallTimer, Failure, LegId};
use sip_core::message::{Method, Name};

use super::sdp::{browser, trunk};
use super::trace::{A, B, Kind, Trace, other};

fn held_by_browser() -> String {
    browser(3, "aaaa", "0 101", "sendonly", "actpass")
}

fn direction(spec: &LegSpec) -> Direction {
    match spec {
        LegSpec::WebRtc(leg) => leg.direction,
        LegSpec::Rtp(leg) => leg.direction,
        LegSpec::Service(_) => panic!("a service has no direction"),
    }
}

#[test] // RFC 3264 §8.4
fn hold_and_resume_by_the_browser() {
    let mut t = Trace::established(Kind::BrowserToTrunk);
    t.sends(A, Method::Invite, Some(&held_by_browser())).does("B INVITE+sdp");
    assert!(t.b.last_sdp().contains("a=sendonly"), "{}", t.b.last_sdp());
    let held = trunk(2, "192.0.2.9", "0 101", "recvonly");
    t.answers(B, 200, Some(&held)).does("B ACK, media, A 200+sdp");
    assert!(t.a.last_sdp().contains("a=recvonly"), "{}", t.a.last_sdp());
    let spec = t.spec.clone().unwrap();
    // The relay goes on sending (silence) to the trunk, which would hang up without RTP.
    assert_eq!((direction(&spec.a), direction(&spec.b)), (Direction::RecvOnly, Direction::SendOnly));
    t.acks(A, None).does("");

    let resumed = browser(4, "aaaa", "0 101", "sendrecv", "actpass");
    t.sends(A, Method::Invite, Some(&resumed)).does("B INVITE+sdp");
    assert!(t.b.last_sdp().contains("a=sendrecv"));
    let back = trunk(3, "192.0.2.9", "0 101", "sendrecv");
    t.answers(B, 200, Some(&back)).does("B ACK, media, A 200+sdp");
    let spec = t.spec.clone().unwrap();
    assert_eq!((direction(&spec.a), direction(&spec.b)), (Direction::SendRecv, Direction::SendRecv));
    t.acks(A, None).does("");
}

#[test]
fn hold_by_the_trunk_with_inactive_reaches_the_browser() {
    let mut t = Trace::established(Kind::BrowserToTrunk);
    let held = trunk(2, "192.0.2.9", "0 101", "inactive");
    t.sends(B, Method::Invite, Some(&held)).does("A INVITE+sdp");
    assert!(t.a.last_sdp().contains("a=inactive"));
    let answer = browser(3, "aaaa", "0 101", "inactive", "active");
    t.answers(A, 200, Some(&answer)).does("A ACK, media, B 200+sdp");
    assert!(t.b.last_sdp().contains("a=inactive"));
    t.acks(B, None).does("");
}

#[test]
fn both_sides_hold_and_one_resumes() {
    let mut t = Trace::established(Kind::BrowserToTrunk);
    t.sends(A, Method::Invite, Some(&held_by_browser()));
    t.answers(B, 200, Some(&trunk(2, "192.0.2.9", "0 101", "recvonly"))).acks(A, None).and();
    t.sends(B, Method::Invite, Some(&trunk(3, "192.0.2.9", "0 101", "inactive"))).does("A INVITE+sdp");
    t.answers(A, 200, Some(&browser(4, "aaaa", "0 101", "inactive", "active")))
        .does("A ACK, media, B 200+sdp");
    t.acks(B, None);
    t.sends(B, Method::Invite, Some(&trunk(4, "192.0.2.9", "0 101", "recvonly"))).does("A INVITE+sdp");
    t.answers(A, 200, Some(&browser(5, "aaaa", "0 101", "sendonly", "active")))
        .does("A ACK, media, B 200+sdp");
    assert!(t.b.last_sdp().contains("a=sendonly"));
}

#[test]
fn a_moved_address_is_answered_at_once_and_the_other_leg_never_hears_of_it() {
    let mut t = Trace::established(Kind::BrowserToTrunk);
    let before = t.b.last_sdp();
    let moved = trunk(2, "192.0.2.50", "0 101", "sendrecv");
    t.sends(B, Method::Invite, Some(&moved)).does("media, B 200+sdp");
    let after = t.b.last_sdp();
    let port = |sdp: &str| {
        sdp.lines().find(|line| line.starts_with("m=")).unwrap().split(' ').nth(1).map(str::to_owned)
    };
    assert_eq!(port(&before), port(&after));
    t.acks(B, None).does("");
}

#[test]
fn an_equal_offer_gets_an_equal_answer() {
    let mut t = Trace::established(Kind::TrunkToBrowser);
    let first = t.a.last_sdp();
    let offer = t.a.offer();
    t.sends(A, Method::Invite, Some(&offer)).does("A 200+sdp");
    assert_eq!(t.a.last_sdp(), first, "RFC 3264 §8: the same text, the same version");
}

#[test] // RFC 3311
fn update_with_an_offer_is_answered_without_an_ack() {
    let mut t = Trace::established(Kind::BrowserToTrunk);
    let moved = trunk(2, "192.0.2.50", "0 101", "sendrecv");
    t.sends(B, Method::Update, Some(&moved)).does("media, B 200+sdp UPDATE");
    assert!(t.timers.is_empty());
    t.sends(B, Method::Update, None).does("B 200 UPDATE");
    t.sends(A, Method::Update, Some(&held_by_browser())).does("B INVITE+sdp");
    let held = trunk(2, "192.0.2.9", "0 101", "recvonly");
    t.answers(B, 200, Some(&held)).does("B ACK, media, A 200+sdp UPDATE");
}

#[test] // RFC 3311 §5.2
fn update_with_an_offer_before_the_answer_is_too_early() {
    let mut t = Trace::new(Kind::BrowserToTrunk);
    let offer = t.a.offer();
    t.invites(Some(&offer)).relay_ready().answers(B, 180, None).and();
    t.sends(A, Method::Update, Some(&offer)).does("A 500+ UPDATE".replace('+', "").as_str());
    assert!(t.a.last().header(Name::RetryAfter).is_some());
    let theirs = t.b.offer();
    t.sends(B, Method::Update, Some(&theirs)).does("B 491 UPDATE");
    t.sends(B, Method::Update, None).does("B 200 UPDATE");
}

#[test] // RFC 3261 §14.2
fn a_second_offer_while_the_first_is_open_is_refused() {
    let mut t = Trace::established(Kind::BrowserToTrunk);
    t.sends(A, Method::Invite, Some(&held_by_browser())).and();
    t.sends(A, Method::Invite, Some(&held_by_browser())).does("A 500");
    let seconds: u32 = t.a.last().header(Name::RetryAfter).unwrap().parse().unwrap();
    assert!(seconds <= 10);
    // Ours is open towards the trunk: glare.
    t.sends(B, Method::Invite, Some(&trunk(2, "192.0.2.9", "0 101", "sendonly"))).does("B 491");
}

#[test] // RFC 3261 §14.1
fn a_491_to_our_offer_is_tried_again_later() {
    let mut t = Trace::established(Kind::BrowserToTrunk);
    t.sends(A, Method::Invite, Some(&held_by_browser())).and();
    t.answers(B, 491, None).does("");
    // Leg B's Call-ID is ours: 2.1 to 4 s.
    let wait = t.due(CallTimer::Retry(B)).unwrap();
    assert!((2_100..=4_000).contains(&wait), "{wait}");
    t.fires(CallTimer::Retry(B)).does("B INVITE+sdp");
    let held = trunk(2, "192.0.2.9", "0 101", "recvonly");
    t.answers(B, 200, Some(&held)).does("B ACK, media, A 200+sdp");
}

#[test]
fn after_too_many_491_the_asker_is_told() {
    let mut t = Trace::established(Kind::BrowserToTrunk);
    t.sends(A, Method::Invite, Some(&held_by_browser())).and();
    for _ in 0..3 {
        t.answers(B, 491, None).fires(CallTimer::Retry(B)).does("B INVITE+sdp");
    }
    t.answers(B, 491, None).does("A 491");
    t.acks(A, None).does("");
}

#[test] // the other leg refuses: everything stays as it was
fn a_488_goes_back_to_the_asker_and_is_rolled_back() {
    let mut t = Trace::established(Kind::BrowserToTrunk);
    let before = t.spec.clone();
    t.sends(A, Method::Invite, Some(&held_by_browser())).answers(B, 488, None).does("B INVITE+sdp, A 488");
    assert_eq!(t.spec, before);
    let offer = browser(4, "aaaa", "0 101", "sendrecv", "actpass");
    t.sends(A, Method::Invite, Some(&offer)).does("A 200+sdp");
}

#[test] // RFC 3261 §12.2.1.2
fn a_reinvite_that_finds_no_dialog_ends_the_call() {
    for timeout in [true, false] {
        let mut t = Trace::established(Kind::BrowserToTrunk);
        t.sends(A, Method::Invite, Some(&held_by_browser())).and();
        if timeout {
            t.fails(B, Method::Invite, Failure::Timeout);
        } else {
            t.answers(B, 481, None);
        }
        t.does("release, A 487, A BYE, B BYE");
        t.answers(A, 200, None).answers(B, 481, None).does("ended DialogLost by B");
    }
}

#[test]
fn a_cancelled_reinvite_is_taken_back_on_the_other_leg() {
    let mut t = Trace::established(Kind::BrowserToTrunk);
    t.sends(A, Method::Invite, Some(&held_by_browser())).and();
    t.cancels(A, &[]).does("A 200 CANCEL, A 487");
    let held = trunk(2, "192.0.2.9", "0 101", "recvonly");
    t.answers(B, 200, Some(&held)).does("B ACK, media, B INVITE+sdp");
    assert!(t.b.last_sdp().contains("a=sendrecv"));
    let back = trunk(3, "192.0.2.9", "0 101", "sendrecv");
    t.answers(B, 200, Some(&back)).does("B ACK, media");
}

#[test]
fn a_bye_while_an_offer_is_open() {
    let mut t = Trace::established(Kind::BrowserToTrunk);
    t.sends(A, Method::Invite, Some(&held_by_browser())).and();
    t.sends(B, Method::Bye, None).does("B 200 BYE, release, A 487, A BYE");
    t.answers(A, 200, None).does("ended HungUp by B");
}

#[test]
fn a_codec_change_is_negotiated_with_the_other_leg() {
    let mut t = Trace::established(Kind::TrunkToBrowser);
    let pcma = trunk(2, "192.0.2.9", "8", "sendrecv");
    t.sends(A, Method::Invite, Some(&pcma)).does("B INVITE+sdp");
    assert!(t.b.last_sdp().contains("SAVPF 8\r\n"), "{}", t.b.last_sdp());
    let answer = browser(3, "bbbb", "8", "sendrecv", "active");
    t.answers(B, 200, Some(&answer)).does("B ACK, media, A 200+sdp");
}

#[test]
fn an_offer_without_a_usable_codec_is_488_and_changes_nothing() {
    let mut t = Trace::established(Kind::BrowserToTrunk);
    let before = t.spec.clone();
    t.sends(B, Method::Invite, Some(&trunk(2, "192.0.2.9", "9", "sendrecv"))).does("B 488");
    t.sends(B, Method::Invite, Some("v=0\r\nrubbish")).does("B 400");
    t.sends_body(B, Method::Invite, "text/plain", "hello").does("B 415");
    assert_eq!(t.spec, before);
}

#[test] // RFC 8839 §4.4.1.1: an answer to an ICE restart needs new credentials of ours
fn an_ice_restart_waits_for_the_relay() {
    let mut t = Trace::established(Kind::BrowserToTrunk);
    let restart = browser(3, "cccc", "0 101", "sendrecv", "actpass");
    t.sends(A, Method::Invite, Some(&restart)).does("media");
    t.relay_ready().does("A 200+sdp");
    assert!(t.a.last_sdp().contains("a=ice-ufrag:ourscccc"), "{}", t.a.last_sdp());
    t.acks(A, None).does("");
}

#[test] // RFC 5407 §3.1.5: the ACK was overtaken
fn a_reinvite_acknowledges_the_200_before_it() {
    let mut t = Trace::new(Kind::TrunkToBrowser);
    let (offer, answer) = (t.a.offer(), t.b.answer());
    t.invites(Some(&offer)).relay_ready().answers(B, 200, Some(&answer)).and();
    t.sends(A, Method::Invite, Some(&offer)).does("A 200+sdp");
    t.acks(A, None).does("");
    assert!(t.timers.is_empty());
}

#[test]
fn a_service_answers_hold_by_itself() {
    let mut t = Trace::established(Kind::BrowserTo(relay_api::Service::Echo));
    let held = browser(3, "aaaa", "111 0", "sendonly", "actpass");
    t.sends(A, Method::Invite, Some(&held)).does("media, A 200+sdp");
    assert!(t.a.last_sdp().contains("a=recvonly"));
}

/// One end holds; what the other leg's peer is asked.
fn holding(leg: LegId) -> Trace {
    let mut t = Trace::established(Kind::BrowserToTrunk);
    let held = if leg == A { held_by_browser() } else { trunk(2, "192.0.2.9", "0 101", "sendonly") };
    t.sends(leg, Method::Invite, Some(&held)).does(&format!("{:?} INVITE+sdp", other(leg)));
    t
}

fn accepting(leg: LegId, formats: &str) -> String {
    match leg {
        A => browser(4, "aaaa", formats, "recvonly", "active"),
        _ => trunk(4, "192.0.2.9", formats, "recvonly"),
    }
}

#[test] // RFC 3261 §13.2.2.4: the ACK was lost
fn a_repeated_2xx_to_our_reinvite_is_acknowledged_again() {
    for (holder, leg) in [(A, B), (B, A)] {
        let mut t = holding(holder);
        let reinvite = t.peer(leg).last_request().clone();
        t.answers(leg, 200, Some(&accepting(leg, "0 101"))).and();
        for _ in 0..2 {
            t.answers_to(leg, &reinvite, 200, Some(&accepting(leg, "0 101")), None, &[]);
            t.does(&format!("{leg:?} ACK"));
        }
    }
}

#[test] // RFC 3261 §14.1
fn a_2xx_to_our_reinvite_without_a_usable_answer_changes_nothing() {
    for (holder, leg) in [(A, B), (B, A)] {
        for answer in [None, Some(accepting(leg, "9")), Some("v=0\r\nrubbish".to_owned())] {
            let mut t = holding(holder);
            let before = t.spec.clone();
            t.answers(leg, 200, answer.as_deref()).does(&format!("{leg:?} ACK, {holder:?} 488"));
            t.acks(holder, None).does("");
            assert_eq!(t.spec, before);
            // Its side has nothing open, and the call is as it was.
            let again = accepting(leg, "0 101").replace("recvonly", "sendrecv").replace("active", "actpass");
            t.sends(leg, Method::Invite, Some(&again)).does(&format!("{leg:?} 200+sdp"));
            assert!(t.peer(leg).last_sdp().contains("a=sendrecv"));
        }
    }
}

#[test] // RFC 3261 §14.2: a wish for our offer is as much of an exchange as an offer
fn an_offerless_reinvite_while_ours_is_open_is_a_glare() {
    for (holder, leg) in [(A, B), (B, A)] {
        let mut t = holding(holder);
        t.sends(leg, Method::Invite, None).does(&format!("{leg:?} 491"));
    }
}

#[test] // RFC 3261 §14.1: who did not make the Call-ID waits less
fn leg_a_waits_up_to_two_seconds_after_a_glare() {
    let mut t = holding(B);
    t.answers(A, 491, None).does("");
    let wait = t.due(CallTimer::Retry(A)).unwrap();
    assert!(wait <= 2_000, "{wait}");
    t.fires(CallTimer::Retry(A)).does("A INVITE+sdp");
}

#[test] // RFC 3264 §8.3.2: a payload type keeps its meaning on a leg, and no two formats share one
fn newcomers_get_payload_types_that_nothing_else_has() {
    let mut t = Trace::established(Kind::BrowserToBrowser);
    let offer = browser(3, "bbbb", "111 0", "sendrecv", "actpass")
        .replace("SAVPF 111 0", "SAVPF 101 127")
        .replace("rtpmap:111", "rtpmap:101")
        .replace("rtpmap:0 PCMU/8000", "rtpmap:127 telephone-event/48000");
    t.sends(B, Method::Invite, Some(&offer)).does("A INVITE+sdp");
    let sdp = t.a.last_sdp();
    let types: Vec<_> = sdp.lines().find(|line| line.starts_with("m=")).unwrap().split(' ').skip(3).collect();
    // 101 is telephone-event/8000 on that leg; 127, the first that is free, was the other newcomer's.
    assert_eq!(types, ["127", "126"], "{sdp}");
    assert!(sdp.contains("a=rtpmap:127 opus/48000/2") && sdp.contains("a=rtpmap:126 telephone-event/48000"));
}
