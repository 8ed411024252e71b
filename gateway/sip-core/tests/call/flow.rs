//! A browser's connection breaks, and comes back or not.

use sip_core::call::CallTimer;
use sip_core::message::Method;
use sip_core::routing::FlowId;

use super::sdp::trunk_answer;
use super::trace::{A, B, Kind, Trace};

#[test]
fn a_caller_that_vanishes_while_it_rings_cancels() {
    let mut t = Trace::new(Kind::BrowserToTrunk);
    let offer = t.a.offer();
    t.invites(Some(&offer)).relay_ready().answers(B, 180, None).and();
    t.flow_lost(A).does("release, A 480, B CANCEL");
}

#[test]
fn a_callee_that_vanishes_while_it_rings_is_unavailable() {
    let mut t = Trace::new(Kind::TrunkToBrowser);
    let offer = t.a.offer();
    t.invites(Some(&offer)).relay_ready().answers(B, 180, None).and();
    t.flow_lost(B).does("B abandon INVITE, release, A 480, ended FlowLost by B");
    assert!(t.timers.is_empty());
}

#[test] // GENESYS 3: the closed tab must not leave the call up
fn a_browser_that_stays_away_ends_the_call_after_the_grace() {
    let mut t = Trace::established(Kind::BrowserToTrunk);
    t.flow_lost(A).does("");
    assert_eq!(t.due(CallTimer::Grace(A)), Some(20_000));
    t.fires(CallTimer::Grace(A)).does("release, B BYE");
    t.answers(B, 200, None).does("ended FlowLost by A");
}

#[test]
fn a_browser_that_comes_back_goes_on_over_its_new_flow() {
    let mut t = Trace::established(Kind::BrowserToTrunk);
    assert_eq!(t.call.as_ref().unwrap().flows(), [(A, FlowId { node: 1, connection: 10 })]);
    t.flow_lost(A).flow_restored(A).does("");
    assert!(t.timers.is_empty());
    assert_eq!(t.call.as_ref().unwrap().flows(), [(A, FlowId { node: 9, connection: 99 })]);
    t.sends(B, Method::Bye, None).does("B 200 BYE, release, A BYE");
}

#[test]
fn the_other_side_hangs_up_during_the_grace() {
    let mut t = Trace::established(Kind::BrowserToTrunk);
    t.flow_lost(A).sends(B, Method::Bye, None).does("B 200 BYE, release, ended HungUp by B");
    assert!(t.timers.is_empty());
}

#[test]
fn a_200_is_repeated_on_the_new_flow() {
    let mut t = Trace::new(Kind::BrowserToTrunk);
    let offer = t.a.offer();
    t.invites(Some(&offer)).relay_ready().answers(B, 200, Some(&trunk_answer())).and();
    t.flow_lost(A).flow_restored(A).fires(CallTimer::Resend2xx(A)).does("A 200+sdp");
}
