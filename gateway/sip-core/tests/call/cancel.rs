//! CANCEL at each stage, and its races.

use sip_core::call::CallTimer;
use sip_core::message::{Method, Name};

use super::sdp::trunk_answer;
use super::trace::{A, B, Kind, Trace};

fn calling() -> Trace {
    let mut t = Trace::new(Kind::BrowserToTrunk);
    let offer = t.a.offer();
    t.invites(Some(&offer)).relay_ready().and();
    t
}

#[test]
fn before_leg_b_was_called() {
    let mut t = Trace::new(Kind::BrowserToTrunk);
    let offer = t.a.offer();
    t.invites(Some(&offer)).and();
    t.cancels(A, &[]).does("A 200 CANCEL, release, A 487, ended Cancelled by A");
    assert_eq!(t.a.inbox[0].to_tag(), t.a.inbox[1].to_tag());
}

#[test]
fn a_relay_that_is_ready_too_late_calls_nobody() {
    let mut t = Trace::new(Kind::BrowserToTrunk);
    let offer = t.a.offer();
    t.invites(Some(&offer)).cancels(A, &[]);
    t.and();
    let description = super::trace::describe(t.spec.as_ref().unwrap());
    t.feed(sip_core::call::Event::MediaReady(Box::new(description))).does("");
}

#[test] // RFC 3261 §9.1: no CANCEL before a provisional response
fn before_a_provisional_response_the_cancel_waits() {
    let mut t = calling();
    t.cancels(A, &[("Reason", "SIP;cause=200;text=\"Elsewhere\"")]).does("A 200 CANCEL, release, A 487");
    t.answers(B, 100, None).does("B CANCEL");
    assert_eq!(t.b.last().header(Name::Reason), Some("SIP;cause=200;text=\"Elsewhere\""));
    let invite = t.b.inbox[0].clone();
    t.answers_to(B, &invite, 180, None, None, &[]).does("");
    t.answers_to(B, &invite, 487, None, None, &[]).does("ended Cancelled by A");
}

#[test]
fn after_ringing() {
    let mut t = calling();
    t.answers(B, 180, None).and();
    t.cancels(A, &[]).does("A 200 CANCEL, release, A 487, B CANCEL");
    let (invite, cancel) = (t.b.inbox[0].clone(), t.b.last().clone());
    assert_eq!(invite.via().branch, cancel.via().branch);
    assert_eq!(invite.uri(), cancel.uri());
    assert_eq!(invite.cseq().0, cancel.cseq().0);
    assert_eq!(t.due(CallTimer::CancelWait(B)), Some(32_000));
    t.answers(B, 200, None).does("");
    t.answers_to(B, &invite, 487, None, None, &[]).does("ended Cancelled by A");
    assert!(t.timers.is_empty());
}

#[test] // RFC 3261 §15: the callee answered first
fn against_a_200_means_ack_and_bye() {
    let mut t = calling();
    t.answers(B, 180, None).cancels(A, &[]).and();
    let invite = t.b.inbox[0].clone();
    t.answers_to(B, &invite, 200, Some(&trunk_answer()), None, &[]).does("B ACK, B BYE");
    t.answers_to(B, &invite, 200, Some(&trunk_answer()), None, &[]).does("B ACK");
    t.answers(B, 200, None).does("ended Cancelled by A");
}

#[test]
fn after_the_200_it_changes_nothing() {
    let mut t = calling();
    t.answers(B, 200, Some(&trunk_answer())).and();
    t.cancels(A, &[]).does("A 200 CANCEL");
    t.acks(A, None).does("");
}

#[test] // RFC 3261 §9.1
fn a_callee_that_never_ends_a_cancelled_invite_is_forgotten() {
    let mut t = calling();
    t.answers(B, 180, None).cancels(A, &[]).and();
    t.fires(CallTimer::CancelWait(B)).does("B abandon INVITE, ended Cancelled by A");
}

#[test] // RFC 3261 §13.2.2.4: also a 2xx that comes after all patience is acknowledged and ended
fn a_200_after_the_invite_was_forgotten_is_hung_up() {
    let mut t = Trace::new(Kind::TrunkToBrowser);
    let (offer, answer) = (t.a.offer(), t.b.answer());
    t.invites(Some(&offer)).relay_ready().answers(B, 180, None).cancels(A, &[]);
    let invite = t.b.inbox[0].clone();
    t.fires(CallTimer::CancelWait(B)).and();
    t.answers_to(B, &invite, 200, Some(&answer), None, &[]).does("B ACK, B BYE");
}

#[test] // RFC 3261 §15.1.2: the caller may end its early dialog by BYE
fn a_bye_in_the_early_dialog_is_a_cancel() {
    let mut t = calling();
    t.answers(B, 180, None).and();
    t.sends(A, Method::Bye, None).does("A 200 BYE, release, A 487, B CANCEL");
    let invite = t.b.inbox[0].clone();
    t.answers_to(B, &invite, 487, None, None, &[]).does("ended Cancelled by A");
}

#[test]
fn the_operator_ends_a_ringing_call() {
    let mut t = calling();
    t.answers(B, 180, None).and();
    t.terminated().does("release, A 480, B CANCEL");
}

#[test]
fn an_unanswered_invite_that_times_out_after_the_cancel_ends_the_call() {
    let mut t = calling();
    t.cancels(A, &[]).and();
    t.fails(B, Method::Invite, sip_core::call::Failure::Timeout).does("ended Cancelled by A");
    assert!(t.timers.is_empty());
}
