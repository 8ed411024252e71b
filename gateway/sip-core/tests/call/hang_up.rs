//! BYE both ways and whatever crosses it; the repeated 2xx and its ACK.

use std::time::Duration;

use relay_api::EventKind;
use sip_core::call::{CallTimer, Failure, orphan};
use sip_core::message::{Method, Name};

use super::sdp::trunk_answer;
use super::trace::{A, B, Kind, Trace};

#[test] // RFC 3326
fn a_reason_goes_through_to_the_other_leg() {
    let mut t = Trace::established(Kind::BrowserToTrunk);
    t.sends_with(B, Method::Bye, None, &[("Reason", "Q.850;cause=16")]);
    t.does("B 200 BYE, release, A BYE");
    assert_eq!(t.a.last().header(Name::Reason), Some("Q.850;cause=16"));
    t.answers(A, 200, None).does("ended HungUp by B");
    assert_eq!(t.summary.unwrap().reason.as_deref(), Some("Q.850;cause=16"));
}

#[test] // RFC 3326 §2, RFC 3261 §7.3.1: rows of one name are one list
fn every_reason_goes_through_in_however_many_rows_it_comes() {
    let sip = r#"SIP;cause=200;text="Call completed, elsewhere; \"bye\"""#;
    let q850 = r#"Q.850;cause=16;text="Normal call clearing""#;
    let both = format!("{sip}, {q850}");
    for rows in [vec![("Reason", sip), ("Reason", q850)], vec![("reason", both.as_str())]] {
        for (leg, other) in [(A, B), (B, A)] {
            let mut t = Trace::established(Kind::BrowserToTrunk);
            t.sends_with(leg, Method::Bye, None, &rows);
            assert_eq!(t.peer(other).last().values(Name::Reason).collect::<Vec<_>>(), [sip, q850]);
        }
        let mut t = Trace::new(Kind::TrunkToBrowser);
        let offer = t.a.offer();
        t.invites(Some(&offer)).relay_ready().answers(B, 180, None).cancels(A, &rows);
        assert_eq!(t.b.last().values(Name::Reason).collect::<Vec<_>>(), [sip, q850]);
    }
    // One that is too long stays behind, the others go on.
    let long = format!("SIP;text=\"{}\"", "x".repeat(600));
    let mut t = Trace::established(Kind::BrowserToTrunk);
    t.sends_with(B, Method::Bye, None, &[("Reason", &long), ("Reason", q850)]);
    assert_eq!(t.a.last().headers(Name::Reason).collect::<Vec<_>>(), [q850]);
}

#[test]
fn both_hang_up_at_once() {
    let mut t = Trace::established(Kind::BrowserToTrunk);
    t.sends(A, Method::Bye, None).does("A 200 BYE, release, B BYE");
    t.sends(B, Method::Bye, None).does("B 200 BYE, ended HungUp by A");
}

#[test] // a second BYE may follow, also on a node that knows nothing of the first (GENESYS L3)
fn a_repeated_bye_is_answered_again() {
    let mut t = Trace::established(Kind::BrowserToTrunk);
    let bye = t.b.request(&Method::Bye, None, &[]);
    t.delivers(B, bye.clone()).does("B 200 BYE, release, A BYE");
    t.delivers(B, bye).does("B 200 BYE");
    t.sends(B, Method::Info, None).does("B 481 INFO");
}

#[test]
fn a_bye_that_nobody_answers_ends_the_leg() {
    let mut t = Trace::established(Kind::BrowserToTrunk);
    t.sends(A, Method::Bye, None).and();
    t.fails(B, Method::Bye, Failure::Timeout).does("ended HungUp by A");
}

#[test]
fn a_bye_answered_by_an_error_ends_the_leg() {
    let mut t = Trace::established(Kind::BrowserToTrunk);
    t.sends(A, Method::Bye, None).answers(B, 481, None).does("A 200 BYE, release, B BYE, ended HungUp by A");
}

#[test] // RFC 3261 §13.3.1.4
fn a_200_is_repeated_until_its_ack() {
    let mut t = Trace::new(Kind::BrowserToTrunk);
    let offer = t.a.offer();
    t.invites(Some(&offer)).relay_ready().answers(B, 200, Some(&trunk_answer())).and();
    let first = t.a.last().clone();
    for wait in [500, 1_000, 2_000, 4_000, 4_000] {
        assert_eq!(t.due(CallTimer::Resend2xx(A)), Some(wait));
        t.fires(CallTimer::Resend2xx(A)).does("A 200+sdp");
        assert_eq!(t.a.last(), &first);
    }
    t.acks(A, None).does("");
    assert!(t.timers.is_empty());
}

#[test] // RFC 3261 §13.3.1.4: after 64*T1 both legs end
fn a_200_without_ack_ends_the_call() {
    let mut t = Trace::new(Kind::BrowserToTrunk);
    let offer = t.a.offer();
    t.invites(Some(&offer)).relay_ready().answers(B, 200, Some(&trunk_answer())).and();
    let start = t.now;
    let mut sent = 0;
    while t.summary.is_none() && !t.a.inbox.iter().any(|m| *m.method() == Method::Bye) {
        t.fires(CallTimer::Resend2xx(A));
        sent += 1;
    }
    assert!(t.now.since(start) >= Duration::from_secs(32) && t.now.since(start) <= Duration::from_secs(36));
    assert_eq!(sent, 11, "0.5, 1, 2, then each 4 s");
    t.and().answers(A, 200, None).answers(B, 200, None).does("ended NotAcknowledged by A");
}

#[test] // RFC 3261 §15: no BYE of the callee's side before the ACK
fn the_callee_hangs_up_before_the_caller_acknowledged() {
    let mut t = Trace::new(Kind::BrowserToTrunk);
    let offer = t.a.offer();
    t.invites(Some(&offer)).relay_ready().answers(B, 200, Some(&trunk_answer())).and();
    t.sends(B, Method::Bye, None).does("B 200 BYE, release");
    t.fires(CallTimer::Resend2xx(A)).does("A 200+sdp");
    t.acks(A, None).does("A BYE");
    t.answers(A, 200, None).does("ended HungUp by B");
    assert!(t.timers.is_empty());
}

#[test]
fn the_caller_hangs_up_before_it_acknowledged() {
    let mut t = Trace::new(Kind::BrowserToTrunk);
    let offer = t.a.offer();
    t.invites(Some(&offer)).relay_ready().answers(B, 200, Some(&trunk_answer())).and();
    t.sends(A, Method::Bye, None).does("A 200 BYE, release, B BYE");
    t.answers(B, 200, None).does("ended HungUp by A");
    assert!(t.timers.is_empty());
}

#[test]
fn lost_media_ends_both_legs_with_a_reason() {
    let (consent, gone) = ("consent".into(), "the relay is gone".into());
    for (kind, end) in [
        (EventKind::MediaTimeout, "ended MediaTimeout by A"),
        (EventKind::TransportFailed { reason: consent }, "ended MediaLost by A"),
        (EventKind::SessionLost { reason: gone }, "ended MediaLost"),
    ] {
        let mut t = Trace::established(Kind::BrowserToTrunk);
        t.relay_says(A, EventKind::MediaStarted).does("");
        t.relay_says(A, kind).does("release, A BYE, B BYE");
        assert!(t.b.last().header(Name::Reason).unwrap().starts_with("SIP;cause="));
        t.answers(A, 200, None).answers(B, 200, None).does(end);
    }
}

#[test] // the 2xx of a call that is gone: its peer would wait for an ACK and for sound
fn an_orphaned_200_gets_ack_and_bye() {
    let mut t = Trace::new(Kind::BrowserToTrunk);
    let offer = t.a.offer();
    t.invites(Some(&offer)).relay_ready();
    let answer = t.b.last_request().response(sip_core::message::Status::OK).to_tag("b");
    let answer = answer.header(Name::Contact, "<sip:peer@192.0.2.9:5070>").build().unwrap();
    let effects = orphan(&answer, &t.destination(B), &t.sealer);
    let sent: Vec<_> = effects
        .iter()
        .map(|effect| match effect {
            sip_core::call::Effect::Send { message, .. }
            | sip_core::call::Effect::SendAck { message, .. } => {
                (message.cseq().0, message.method().as_str(), message.uri().unwrap(), message.to_tag())
            }
            other => panic!("{other:?}"),
        })
        .collect();
    let target = "sip:peer@192.0.2.9:5070";
    assert_eq!(sent, [(1, "ACK", target, Some("b")), (2, "BYE", target, Some("b"))]);
    let strange =
        t.a.request(&Method::Invite, None, &[]).response(sip_core::message::Status::OK).build().unwrap();
    assert!(orphan(&strange, &t.destination(B), &t.sealer).is_empty());
}
