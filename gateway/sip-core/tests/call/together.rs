//! A user with several devices: all ring, the first to answer has the call (RFC 3261 §16.7 for what the others' answers mean).

use relay_api::RelayError;
use sip_core::call::{CallTimer, Event, Failure, Ring};
use sip_core::message::{Method, Name};

use super::sdp::browser_answer;
use super::trace::{A, B, Kind, Trace, c};

/// The trunk calls a user on two browsers; both were invited.
fn calling() -> Trace {
    let mut t = Trace::new(Kind::TrunkToBrowser);
    (t.candidates, t.ring) = (2, Ring::Together);
    let offer = t.a.offer();
    t.invites(Some(&offer)).does("media, media");
    t.relay_ready_for(B).does("B INVITE+sdp");
    t.relay_ready_for(c()).does("C INVITE+sdp");
    t
}

#[test]
fn each_device_has_an_offer_of_its_own_and_a_dialog_of_its_own() {
    let t = calling();
    let (first, second) = (t.b.last_request(), t.c.last_request());
    assert_ne!(first.call_id(), second.call_id());
    assert_ne!(first.from_tag(), second.from_tag());
    assert_ne!(first.via().branch, second.via().branch);
    assert_ne!(first.body(), second.body(), "the o= line names another session");
    assert_eq!(second.uri(), Some("sip:1002@192.0.2.8;at=1"));
}

#[test] // RFC 3326 §2
fn the_first_to_answer_has_the_call_and_the_others_ring_no_more() {
    let mut t = calling();
    t.answers(B, 180, None).answers(c(), 180, None).does("A 180, A 180");
    t.answers(c(), 200, Some(&browser_answer())).does("C ACK, media, A 200+sdp, B CANCEL, drop");
    let reason = t.b.last_request().header(Name::Reason);
    assert_eq!(reason, Some("SIP;cause=200;text=\"Call completed elsewhere\""));
    let invite = t.b.invited();
    t.answers(B, 200, None).does("");
    t.answers_to(B, &invite, 487, None, None, &[]).does("");
    t.acks(A, None).sends(c(), Method::Bye, None).does("C 200 BYE, release, A BYE");
    t.answers(A, 200, None);
    let by = t.call.as_ref().unwrap();
    assert!(by.is_ended());
    assert!(t.timers.is_empty(), "{:?}", t.timers);
}

#[test] // RFC 3261 §9.1: no CANCEL before a provisional response
fn a_device_that_was_not_heard_yet_is_cancelled_when_it_is() {
    let mut t = calling();
    t.answers(B, 200, Some(&browser_answer())).does("B ACK, media, A 200+sdp, drop");
    t.answers(c(), 180, None).does("C CANCEL");
    let invite = t.c.invited();
    t.answers_to(c(), &invite, 487, None, None, &[]).does("");
    assert_eq!(t.due(CallTimer::CancelWait(c())), None);
}

#[test] // RFC 3261 §13.2.2.4, §15
fn a_second_answer_that_crossed_the_cancel_gets_ack_and_bye() {
    let mut t = calling();
    t.answers(B, 180, None).answers(c(), 180, None).and();
    t.answers(B, 200, Some(&browser_answer())).and();
    let invite = t.c.invited();
    t.answers_to(c(), &invite, 200, Some(&browser_answer()), None, &[]).does("C ACK, C BYE");
    assert!(t.c.last_request().header(Name::Reason).unwrap().contains("cause=200"));
    t.answers_to(c(), &invite, 200, Some(&browser_answer()), None, &[]).does("C ACK");
    t.acks(A, None).sends(A, Method::Bye, None).does("A 200 BYE, release, B BYE");
    t.answers(B, 200, None).does("");
    t.answers(c(), 200, None).does("ended HungUp by A");
}

#[test] // RFC 3261 §21.4.18, §21.6.2
fn a_busy_device_leaves_the_others_ringing_and_a_decline_ends_all() {
    let mut t = calling();
    t.answers(B, 486, None).does("drop");
    t.answers(c(), 180, None)
        .answers(c(), 200, Some(&browser_answer()))
        .does("A 180, C ACK, media, A 200+sdp");
    let mut t = calling();
    t.answers(c(), 180, None).and();
    t.answers(B, 603, None).does("release, drop, A 603, C CANCEL");
    assert_eq!(t.c.last_request().header(Name::Reason), Some("SIP;cause=603"));
    let invite = t.c.invited();
    t.answers_to(c(), &invite, 487, None, None, &[]).does("ended Refused by B");
    assert!(t.timers.is_empty(), "{:?}", t.timers);
}

#[test] // RFC 3261 §16.7 step 6
fn the_caller_hears_the_best_of_all_refusals() {
    for (first, second, told) in [(486, 480, 486), (480, 486, 486), (480, 404, 404), (408, 486, 486)] {
        let mut t = calling();
        t.answers(B, first, None).does("drop");
        t.answers(c(), second, None);
        t.does(&format!("release, A {told}, ended Refused by {}", if told == second { "C" } else { "B" }));
    }
}

#[test]
fn a_device_that_is_gone_or_silent_is_only_one_less() {
    let mut t = calling();
    t.flow_lost(B).does("B abandon INVITE, drop");
    t.answers(c(), 180, None).does("A 180");
    let mut t = calling();
    t.fires(CallTimer::FirstReply(c())).does("pass over 21, B quiet INVITE, drop");
    t.answers(B, 200, Some(&browser_answer())).does("B ACK, media, A 200+sdp");
    let mut t = calling();
    t.fails(c(), Method::Invite, Failure::Transport).does("pass over 21, drop");
    t.fails(B, Method::Invite, Failure::Transport).does("pass over 20, release, A 480, ended Refused by C");
}

#[test]
fn the_caller_gives_up_and_nothing_rings_on() {
    let mut t = calling();
    t.answers(B, 180, None).answers(c(), 180, None).and();
    t.cancels(A, &[]).does("A 200 CANCEL, release, drop, A 487, B CANCEL, C CANCEL");
    let (first, second) = (t.b.invited(), t.c.invited());
    t.answers_to(B, &first, 487, None, None, &[]).does("");
    t.answers_to(c(), &second, 487, None, None, &[]).does("ended Cancelled by A");
    assert!(t.timers.is_empty(), "{:?}", t.timers);
}

#[test]
fn what_the_relay_says_late_of_a_device_that_lost_does_not_touch_the_call() {
    let mut t = calling();
    t.answers(B, 200, Some(&browser_answer())).acks(A, None).and();
    t.relay_ready_for(c()).does("");
    let session = t.call.as_ref().unwrap().id().session(c());
    t.feed(Event::MediaFailed { session, error: RelayError::Unavailable }).does("");
}

#[test]
fn nobody_answers() {
    let mut t = calling();
    t.answers(B, 180, None).answers(c(), 180, None).and();
    t.fires(CallTimer::NoAnswer).does("release, drop, A 480, B CANCEL, C CANCEL");
}

#[test] // RFC 3261 §13.2.1: a caller without an offer gets ours from whom he is joined to
fn a_caller_without_an_offer_is_offered_what_the_winner_has() {
    let mut t = Trace::new(Kind::TrunkToBrowser);
    (t.candidates, t.ring) = (2, Ring::Together);
    t.invites(None).relay_ready_for(B).relay_ready_for(c()).and();
    t.answers(c(), 200, Some(&browser_answer())).does("C ACK, media, A 200+sdp, drop");
    let answer = t.a.answer();
    t.acks(A, Some(&answer)).does("media");
}
