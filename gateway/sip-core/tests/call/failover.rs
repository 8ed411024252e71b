//! A callee with several addresses: RFC 3263 §4.3, and several bindings of one user.

use sip_core::call::{CallTimer, Failure};
use sip_core::message::{Method, Name};

use super::sdp::trunk_answer;
use super::trace::{A, B, Kind, Trace};

fn calling(kind: Kind, candidates: u8) -> Trace {
    let mut t = Trace::new(kind);
    t.candidates = candidates;
    let offer = t.a.offer();
    t.invites(Some(&offer)).relay_ready().and();
    t
}

#[test] // RFC 3263 §4.3, RFC 3261 §8.2.2.2
fn a_silent_address_is_left_for_the_next_one() {
    let mut t = calling(Kind::BrowserToTrunk, 2);
    assert_eq!(t.due(CallTimer::FirstReply(B)), Some(2_500));
    t.fires(CallTimer::FirstReply(B)).does("pass over 5060, B quiet INVITE, B INVITE+sdp");
    assert_eq!(t.ways, ["5060", "5061"]);
    let (first, second) = (t.b.inbox[0].clone(), t.b.inbox[1].clone());
    assert_ne!(first.via().branch, second.via().branch, "a new client transaction");
    assert_eq!(first.call_id(), second.call_id());
    assert_eq!(first.from_tag(), second.from_tag());
    assert_eq!((first.cseq().0, second.cseq().0), (1, 2), "not a merged request");
    assert_eq!(first.body(), second.body());
    t.answers(B, 180, None).answers(B, 200, Some(&trunk_answer())).does("A 180, B ACK, media, A 200+sdp");
    t.acks(A, None).sends(A, Method::Bye, None).does("A 200 BYE, release, B BYE");
    t.answers(B, 200, None).does("");
    t.answers_to(B, &first, 487, None, None, &[]).does("ended HungUp by A");
    assert!(t.timers.is_empty(), "{:?}", t.timers);
}

#[test]
fn every_failure_of_the_way_leads_to_the_next_address() {
    for failure in [Failure::Timeout, Failure::Transport] {
        let mut t = calling(Kind::BrowserToTrunk, 2);
        t.fails(B, Method::Invite, failure).does("pass over 5060, B INVITE+sdp");
    }
    let mut t = calling(Kind::BrowserToTrunk, 2);
    t.answers(B, 503, None).does("B INVITE+sdp");
    let mut t = calling(Kind::BrowserToTrunk, 2);
    t.answers_as(B, 503, None, None, &[("Retry-After", "120 (full)")]);
    t.does("pass over 5060 for 120 s, B INVITE+sdp");
    assert_eq!(t.due(CallTimer::FirstReply(B)), Some(1_250), "half the time of the one before");
}

#[test]
fn a_users_refusal_is_the_last_word() {
    for status in [404, 408, 480, 486, 500, 603] {
        let mut t = calling(Kind::BrowserToTrunk, 2);
        t.answers(B, status, None).does(&format!("release, A {status}, ended Refused by B"));
        assert!(t.timers.is_empty());
    }
}

#[test]
fn when_every_address_failed_the_caller_gets_503() {
    let mut t = calling(Kind::BrowserToTrunk, 3);
    t.fires(CallTimer::FirstReply(B)).does("pass over 5060, B quiet INVITE, B INVITE+sdp");
    t.fails(B, Method::Invite, Failure::Transport).does("pass over 5061, B INVITE+sdp");
    t.fires(CallTimer::FirstReply(B)).does("pass over 5062, B quiet INVITE, release, A 503");
    let (first, third) = (t.b.inbox[0].clone(), t.b.inbox[2].clone());
    t.answers_to(B, &first, 486, None, None, &[]).does("");
    t.answers_to(B, &third, 503, None, None, &[]).does("ended Refused by B");
    assert!(t.timers.is_empty());
}

#[test]
fn the_last_503_says_when_to_come_again() {
    let mut t = calling(Kind::BrowserToTrunk, 2);
    t.fires(CallTimer::FirstReply(B)).and();
    t.answers_as(B, 503, None, None, &[("Retry-After", "7")]).does("pass over 5061 for 7 s, release, A 503");
    assert_eq!(t.a.last().header(Name::RetryAfter), Some("7"));
    t.fires(CallTimer::Abandoned).does("ended Refused by B");
}

#[test] // RFC 3261 §9.1: no CANCEL before a provisional response
fn a_late_ringing_is_cancelled() {
    let mut t = calling(Kind::BrowserToTrunk, 2);
    let first = t.b.inbox[0].clone();
    t.fires(CallTimer::FirstReply(B)).answers(B, 200, Some(&trunk_answer())).and();
    t.answers_to(B, &first, 180, None, None, &[]).does("B CANCEL");
    let cancel = t.b.last().clone();
    assert_eq!(cancel.via().branch, first.via().branch);
    assert_eq!((cancel.uri(), cancel.to_tag()), (first.uri(), None));
    assert_eq!(t.ways.last().unwrap(), "5060");
    t.answers_to(B, &first, 180, None, None, &[]).does("");
    t.answers_to(B, &first, 487, None, None, &[]).does("");
    assert_eq!(t.due(CallTimer::Abandoned), None);
}

#[test] // RFC 3261 §13.2.2.4, §15
fn a_late_200_gets_its_ack_and_a_bye() {
    let mut t = calling(Kind::BrowserToTrunk, 2);
    let first = t.b.inbox[0].clone();
    t.fires(CallTimer::FirstReply(B)).answers(B, 200, Some(&trunk_answer())).acks(A, None).and();
    t.answers_to(B, &first, 200, Some(&trunk_answer()), None, &[]).does("B ACK, B BYE");
    assert_eq!(t.ways[t.ways.len() - 2..], ["5060", "5060"]);
    assert_eq!(t.b.last().to_tag(), Some("tag-B"), "the dialog of the first phone");
    t.answers_to(B, &first, 200, Some(&trunk_answer()), None, &[]).does("B ACK");
    t.sends(A, Method::Bye, None).answers(B, 200, None).does("A 200 BYE, release, B BYE, ended HungUp by A");
}

#[test]
fn the_caller_gives_up_at_the_second_address() {
    let mut t = calling(Kind::BrowserToTrunk, 2);
    let first = t.b.inbox[0].clone();
    t.fires(CallTimer::FirstReply(B)).answers(B, 180, None).and();
    t.cancels(A, &[]).does("A 200 CANCEL, release, A 487, B CANCEL");
    let second = t.b.inbox[1].clone();
    t.answers_to(B, &second, 487, None, None, &[]).does("");
    t.fires(CallTimer::Abandoned).does("ended Cancelled by A");
    t.answers_to(B, &first, 200, Some(&trunk_answer()), None, &[]).does("B ACK");
    assert!(t.timers.is_empty());
}

#[test]
fn early_media_of_an_address_that_then_fails_is_forgotten() {
    let mut t = calling(Kind::BrowserToTrunk, 2);
    t.answers(B, 183, Some(&trunk_answer())).does("media, A 183+sdp");
    t.answers(B, 503, None).does("media, B INVITE+sdp");
    t.answers(B, 180, None).does("A 180");
    t.answers(B, 200, Some(&trunk_answer())).does("B ACK, media, A 200+sdp");
}

#[test]
fn a_user_is_tried_at_his_next_binding() {
    let mut t = calling(Kind::TrunkToBrowser, 3);
    t.flow_lost(B).does("B abandon INVITE, B INVITE+sdp");
    assert_eq!(t.b.last().uri(), Some("sip:1002@192.0.2.8;at=1"));
    t.answers(B, 430, None).does("B INVITE+sdp");
    assert_eq!(t.ways, ["20", "21", "22"]);
    t.answers(B, 180, None).does("A 180");
    t.flow_lost(B).does("B abandon INVITE, release, A 480, ended FlowLost by B");
    assert!(t.timers.is_empty());
}

#[test]
fn a_browser_that_does_not_answer_at_all_is_unavailable() {
    let mut t = calling(Kind::TrunkToBrowser, 1);
    t.fires(CallTimer::FirstReply(B)).does("pass over 20, B quiet INVITE, release, A 480");
    t.answers(B, 100, None).does("B CANCEL");
    t.fires(CallTimer::Abandoned).does("ended Refused by B");
}

#[test]
fn a_connection_of_a_former_attempt_does_not_count() {
    let mut t = calling(Kind::TrunkToBrowser, 2);
    let former = t.call.as_ref().unwrap().flows()[0].1;
    t.fires(CallTimer::FirstReply(B)).answers(B, 180, None).and();
    t.feed(sip_core::call::Event::FlowLost { leg: B, flow: former }).does("");
}

#[test] // RFC 3261 §9.1, §17.1.1.2: timer A would ring a phone that nobody waits for
fn a_silent_address_gets_no_more_invites_once_it_is_given_up() {
    let mut t = calling(Kind::BrowserToTrunk, 1);
    t.fires(CallTimer::FirstReply(B)).does("pass over 5060, B quiet INVITE, release, A 503");
    let invite = t.b.last_request().clone();
    t.after(std::time::Duration::from_secs(20)).answers(B, 180, None).does("B CANCEL");
    t.answers_to(B, &invite, 200, Some(&trunk_answer()), None, &[]).does("B ACK, B BYE, ended Refused by B");
    assert!(t.timers.is_empty(), "{:?}", t.timers);
}

#[test]
fn a_call_that_its_caller_cancelled_is_not_repeated_for_ever_either() {
    let mut t = calling(Kind::BrowserToTrunk, 2);
    t.cancels(A, &[]).does("A 200 CANCEL, release, A 487");
    t.fires(CallTimer::FirstReply(B)).does("B quiet INVITE");
    let invite = t.b.last_request().clone();
    t.answers(B, 100, None).does("B CANCEL");
    t.answers_to(B, &invite, 487, None, None, &[]).does("ended Cancelled by A");
    assert!(t.timers.is_empty(), "{:?}", t.timers);

    let mut t = calling(Kind::BrowserToTrunk, 1);
    t.cancels(A, &[]).and().answers(B, 100, None).does("B CANCEL");
    assert_eq!(t.due(CallTimer::FirstReply(B)), None, "it was heard");
}
