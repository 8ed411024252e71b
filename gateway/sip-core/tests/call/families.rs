//! IPv4 and IPv6: RFC 6157 §3, and what the relay is told so that it finds the address for a peer.

use std::net::IpAddr;

use relay_api::{LegSpec, RelayError};
use sip_core::call::CallTimer;
use sip_core::message::{Method, Name};

use super::sdp::{browser_answer, trunk, trunk_answer, trunk_offer};
use super::trace::{A, B, Kind, Trace};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Where the relay was told that the plain leg's peer is.
fn peer(t: &Trace) -> Option<IpAddr> {
    let spec = t.spec.as_ref().unwrap();
    match (&spec.a, &spec.b) {
        (LegSpec::Rtp(leg), _) | (_, LegSpec::Rtp(leg)) => leg.peer,
        other => panic!("{other:?}"),
    }
}

fn of_ipv6(sdp: &str) -> String {
    sdp.replace("IN IP4 192.0.2.9", "IN IP6 2001:db8::9")
}

/// A call to a trunk's address of IPv4 with another one of IPv6 behind it.
fn calling_two_families() -> Trace {
    let mut t = Trace::new(Kind::BrowserToTrunk);
    (t.candidates, t.is_mixed) = (2, true);
    let offer = t.a.offer();
    t.invites(Some(&offer)).and();
    t
}

#[test]
fn the_relay_goes_by_the_trunks_address_or_by_that_of_its_offer() {
    let mut t = Trace::established(Kind::BrowserToTrunk);
    assert_eq!(peer(&t), Some(ip("192.0.2.8")));
    let elsewhere = trunk(2, "192.0.2.77", "0 101", "sendrecv");
    t.sends(B, Method::Invite, Some(&elsewhere)).does("media, B 200+sdp");
    assert_eq!(peer(&t), Some(ip("192.0.2.8")), "our side stays where it is");

    let mut t = Trace::new(Kind::TrunkToBrowser);
    t.invites(Some(&trunk_offer()));
    assert_eq!(peer(&t), Some(ip("192.0.2.9")));

    let mut t = Trace::new(Kind::TrunkToBrowser);
    t.invites(None);
    assert_eq!(peer(&t), Some(ip("192.0.2.8")), "there is no offer");
}

#[test]
fn a_trunk_that_offers_ipv6_is_answered_with_ipv6() {
    let mut t = Trace::new(Kind::TrunkToBrowser);
    t.invites(Some(&of_ipv6(&trunk_offer()))).relay_ready().answers(B, 200, Some(&browser_answer()));
    t.does("media, B INVITE+sdp, B ACK, media, A 200+sdp");
    let answer = t.a.last_sdp();
    assert!(answer.contains("c=IN IP6 2001:db8::2\r\n"), "{answer}");
    assert!(answer.contains("IN IP6 2001:db8::2\r\ns="), "{answer}");
}

#[test] // RFC 3261 §20.43, warn-code 301
fn an_offer_of_a_family_that_the_relay_has_not_is_refused_with_the_reason() {
    let mut t = Trace::new(Kind::TrunkToBrowser);
    t.invites(Some(&of_ipv6(&trunk_offer()))).and();
    t.no_media(RelayError::NoAddress { peer: ip("2001:db8::9") });
    t.does("release, A 488, ended NoCommonAddress");
    let warning = t.a.last().header(Name::Warning).unwrap();
    assert_eq!(warning, "301 gw.example:5060 \"Incompatible network address formats\"");
}

#[test]
fn a_family_that_the_relay_has_not_for_the_caller_is_no_reason_to_try_the_callees_next_binding() {
    let mut t = Trace::new(Kind::TrunkToBrowser);
    t.candidates = 2;
    t.invites(Some(&of_ipv6(&trunk_offer()))).and();
    t.no_media(RelayError::NoAddress { peer: ip("2001:db8::9") });
    t.does("release, A 488, ended NoCommonAddress");
    assert!(t.a.last().header(Name::Warning).is_some());
}

#[test]
fn another_port_of_an_address_that_the_relay_can_not_reach_is_not_tried() {
    let mut t = Trace::new(Kind::BrowserToTrunk);
    t.candidates = 2;
    let offer = t.a.offer();
    t.invites(Some(&offer)).and();
    t.no_media(RelayError::NoAddress { peer: ip("192.0.2.8") });
    t.does("release, A 488, ended NoCommonAddress");
}

#[test]
fn a_trunks_next_address_of_another_family_waits_for_our_address_of_that_family() {
    let mut t = calling_two_families();
    t.relay_ready().and();
    t.fires(CallTimer::FirstReply(B)).does("pass over 5060, B quiet INVITE, media");
    assert_eq!(peer(&t), Some(ip("2001:db8::8")));
    assert_eq!(t.due(CallTimer::NoAnswer), None);
    t.relay_ready().does("B INVITE+sdp");
    let invite = t.b.last();
    let sdp = String::from_utf8_lossy(invite.body());
    assert!(sdp.contains("c=IN IP6 2001:db8::2\r\n"), "{sdp}");
    let via = invite.header(Name::Via).unwrap();
    assert!(via.starts_with("SIP/2.0/UDP [2001:db8::1]:5060;"), "{via}");
    t.answers(B, 200, Some(&of_ipv6(&trunk_answer()))).does("B ACK, media, A 200+sdp");
}

#[test]
fn the_caller_gives_up_while_the_relay_looks_for_an_address() {
    let mut t = calling_two_families();
    t.relay_ready().fires(CallTimer::FirstReply(B)).and();
    t.cancels(A, &[]).does("A 200 CANCEL, release, A 487");
    t.relay_ready().does("");
    t.fires(CallTimer::Abandoned).does("ended Cancelled by A");
    assert!(t.timers.is_empty(), "{:?}", t.timers);
}

#[test]
fn a_trunks_address_of_a_family_that_the_relay_has_not_is_left_for_the_next_one() {
    let mut t = calling_two_families();
    let no_address = RelayError::NoAddress { peer: ip("192.0.2.8") };
    t.no_media(no_address.clone()).does("media");
    t.relay_ready().does("B INVITE+sdp");
    let mut t = calling_two_families();
    t.no_media(no_address.clone()).no_media(no_address).does("media, release, A 488, ended NoCommonAddress");
}

#[test] // RFC 3261 §14.2: the session goes on as it was.
fn another_family_in_the_call_is_refused_and_the_call_goes_on() {
    let mut t = Trace::established(Kind::BrowserToTrunk);
    let offer = of_ipv6(&trunk(2, "192.0.2.9", "0 101", "sendrecv"));
    t.sends(B, Method::Invite, Some(&offer)).does("B 488");
    t.sends(B, Method::Ack, None).and();
    t.sends(A, Method::Bye, None).answers(B, 200, None).does("A 200 BYE, release, B BYE, ended HungUp by A");
}
