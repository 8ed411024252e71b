//! Ladders of a SIP Server that was traced on the wire: two offer/answer rounds per leg are the norm there.

use relay_api::{Direction, LegSpec};
use sip_core::call::CallTimer;
use sip_core::message::{Method, Name};

use super::sdp::{browser_answer, trunk};
use super::trace::{A, B, Kind, Trace};

fn trunk_leg(t: &Trace) -> relay_api::RtpLeg {
    match &t.spec.as_ref().unwrap().a {
        LegSpec::Rtp(leg) => leg.clone(),
        other => panic!("{other:?}"),
    }
}

fn origin_version(sdp: &str) -> u64 {
    let line = sdp.lines().find(|line| line.starts_with("o=")).unwrap();
    line.split(' ').nth(2).unwrap().parse().unwrap()
}

#[test]
fn l1_an_inbound_call_is_offered_anew_right_after_its_ack() {
    let mut t = Trace::new(Kind::TrunkToBrowser);
    let offer = t.a.offer();
    let uuid = [("X-Genesys-CallUUID", "0JK7")];
    let invite = t.a.request(&Method::Invite, Some(&offer), &uuid);
    t.invites_with(invite).relay_ready().answers(B, 180, None).does("media, B INVITE+sdp, A 180");
    assert_eq!(t.b.inbox[0].header(Name::Other("X-Genesys-CallUUID")), Some("0JK7"));
    t.answers(B, 200, Some(&browser_answer())).does("B ACK, media, A 200+sdp");
    let first = t.a.last_sdp();
    t.acks(A, None).does("");
    // 12 ms later, without SDP: the whole list, the same port, o= version + 1.
    t.sends(A, Method::Invite, None).does("A 200+sdp");
    let second = t.a.last_sdp();
    assert!(second.contains("m=audio 40000 RTP/AVP 0 8 101\r\n"), "{second}");
    let unchanged = origin_version(&second) == origin_version(&first);
    assert_eq!(unchanged, second == first, "the version rises with the text alone");
    let answer = trunk(2, "192.0.2.77", "0 101", "sendrecv");
    t.acks(A, Some(&answer)).does("media");
    assert_eq!(trunk_leg(&t).remote.unwrap().rtp.to_string(), "192.0.2.77:6000");
    t.sends(A, Method::Bye, None).answers(B, 200, None);
    t.does("A 200 BYE, release, B BYE, ended HungUp by A");
}

#[test]
fn l2_an_originator_without_sdp_acknowledges_when_its_callee_answers() {
    let mut t = Trace::new(Kind::TrunkToBrowser);
    t.invites(None).does("media");
    t.relay_ready().does("B INVITE+sdp");
    t.answers(B, 180, None).does("A 180");
    t.answers(B, 200, Some(&browser_answer())).does("B ACK, media, A 200+sdp");
    assert!(t.a.last_sdp().contains("RTP/AVP 0 8 101"), "{}", t.a.last_sdp());
    for _ in 0..9 {
        t.fires(CallTimer::Resend2xx(A)).does("A 200+sdp");
    }
    // The ACK comes 31 s after the first 200.
    let answer = trunk(1, "192.0.2.9", "0 101", "sendrecv");
    t.acks(A, Some(&answer)).does("media");
    let leg = trunk_leg(&t);
    assert_eq!(
        (leg.remote.unwrap().rtp.to_string(), leg.direction),
        ("192.0.2.9:6000".into(), Direction::SendRecv)
    );
    let again = trunk(2, "192.0.2.9", "0 101", "sendrecv");
    t.sends(A, Method::Invite, Some(&again)).does("A 200+sdp");
    t.acks(A, None).does("");
}

#[test]
fn l3_the_ack_brings_our_own_description_and_then_a_bye() {
    for own in [true, false] {
        let mut t = Trace::new(Kind::TrunkToBrowser);
        t.invites(None).relay_ready().answers(B, 200, Some(&browser_answer())).and();
        let sdp = if own { t.a.last_sdp() } else { trunk(1, "0.0.0.0", "0", "sendrecv") };
        // The browser is told to be quiet, and the relay never sends to itself.
        t.acks(A, Some(&sdp)).does("media, B INVITE+sdp");
        let leg = trunk_leg(&t);
        assert_eq!(leg.remote, None);
        assert!(!leg.direction.sends());
        t.sends_with(A, Method::Bye, None, &[("Reason", "SIP;cause=403")]).does("A 200 BYE, release, B BYE");
        let (bye, reinvite) = (t.b.inbox.pop().unwrap(), t.b.last_request().clone());
        assert_eq!(bye.header(Name::Reason), Some("SIP;cause=403"));
        t.answers_to(B, &reinvite, 487, None, None, &[]).does("");
        t.answers_to(B, &bye, 200, None, None, &[]).does("ended HungUp by A");
        t.sends(A, Method::Info, None).does("A 481 INFO");
    }
}

#[test]
fn l3_an_ack_without_the_answer_ends_the_call() {
    let mut t = Trace::new(Kind::TrunkToBrowser);
    t.invites(None).relay_ready().answers(B, 200, Some(&browser_answer())).and();
    t.acks(A, None).does("release, A BYE, B BYE");
}

#[test]
fn l4_a_cancelled_inbound_call() {
    let mut t = Trace::new(Kind::TrunkToBrowser);
    let offer = t.a.offer();
    t.invites(Some(&offer)).relay_ready().answers(B, 180, None).and();
    // Call control by NOTIFY is not served yet, and says so.
    t.sends(A, Method::Notify, None).does("A 489 NOTIFY");
    t.cancels(A, &[]).does("A 200 CANCEL, release, A 487, B CANCEL");
    let invite = t.b.inbox[0].clone();
    t.answers_to(B, &invite, 487, None, None, &[]).does("ended Cancelled by A");
}
