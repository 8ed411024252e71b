//! RFC 4028 on either leg.

use sip_core::call::CallTimer;
use sip_core::message::{Method, Name};

use super::sdp::{trunk, trunk_answer};
use super::trace::{A, B, Kind, Trace};

fn inbound(expires: &str) -> Trace {
    let mut t = Trace::new(Kind::TrunkToBrowser);
    let (offer, answer) = (t.a.offer(), t.b.answer());
    let headers = [("Session-Expires", expires), ("Supported", "uui, 100rel, timer")];
    let invite = t.a.request(&Method::Invite, Some(&offer), &headers);
    t.invites_with(invite).relay_ready().answers(B, 200, Some(&answer)).and();
    t
}

#[test]
fn a_caller_that_refreshes_is_awaited_and_given_up() {
    let mut t = inbound("1800;refresher=uac");
    assert_eq!(t.a.last().header(Name::SessionExpires), Some("1800;refresher=uac"));
    assert_eq!(t.a.last().header(Name::Require), Some("timer"));
    t.acks(A, None);
    assert_eq!(t.due(CallTimer::Session(A)), Some(1_768_000));
    t.after(std::time::Duration::from_secs(900));
    let offer = t.a.offer();
    t.sends(A, Method::Invite, Some(&offer)).acks(A, None).does("A 200+sdp");
    assert_eq!(t.a.last_response().header(Name::SessionExpires), Some("1800;refresher=uac"));
    assert_eq!(t.due(CallTimer::Session(A)), Some(1_768_000));
    t.fires(CallTimer::Session(A)).does("release, A BYE, B BYE");
}

#[test]
fn where_we_refresh_the_description_stays_the_same() {
    let mut t = inbound("1800;refresher=uas");
    t.acks(A, None);
    let before = t.a.last_sdp();
    assert_eq!(t.due(CallTimer::Session(A)), Some(900_000));
    t.fires(CallTimer::Session(A)).does("A INVITE+sdp");
    assert_eq!(t.a.last_sdp(), before);
    assert_eq!(t.a.last().header(Name::SessionExpires), Some("1800;refresher=uac"));
    let answer = trunk(1, "192.0.2.9", "0 8 101", "sendrecv");
    t.answers_as(A, 200, Some(&answer), None, &[("Session-Expires", "1800;refresher=uac")]).does("A ACK");
    assert_eq!(t.due(CallTimer::Session(A)), Some(900_000));
    t.fires(CallTimer::Session(A)).answers(A, 481, None).does("A INVITE+sdp, release, A BYE, B BYE");
}

#[test] // RFC 4028 §6
fn too_small_an_interval_is_refused() {
    let mut t = Trace::new(Kind::TrunkToBrowser);
    let offer = t.a.offer();
    let invite = t.a.request(&Method::Invite, Some(&offer), &[("Session-Expires", "60")]);
    t.invites_with(invite).does("A 422 INVITE");
    assert_eq!(t.a.last().header(Name::MinSe), Some("90"));
}

#[test]
fn a_callee_may_ask_us_to_refresh() {
    let mut t = Trace::new(Kind::BrowserToTrunk);
    let offer = t.a.offer();
    t.invites(Some(&offer)).relay_ready();
    assert_eq!(t.b.last().header(Name::Supported), Some("timer"));
    let headers = [("Session-Expires", "600;refresher=uac"), ("Require", "timer")];
    t.answers_as(B, 200, Some(&trunk_answer()), None, &headers).acks(A, None).and();
    t.fires(CallTimer::Session(B)).does("B INVITE+sdp");
}
