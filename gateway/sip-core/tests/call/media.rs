//! What the relay is told.

use relay_api::{DtlsRole, LegSpec};
use sip_core::message::Method;

use super::sdp::{browser, trunk_answer};
use super::trace::{A, B, Kind, Trace};

#[test]
fn payload_types_are_mapped_by_what_each_side_wants_to_receive() {
    let mut t = Trace::new(Kind::BrowserToTrunk);
    let offer = browser(2, "aaaa", "0 101", "sendrecv", "actpass").replace("101", "126");
    t.invites(Some(&offer)).relay_ready();
    assert!(t.b.last_sdp().contains("telephone-event"));
    t.answers(B, 200, Some(&trunk_answer().replace("101", "96"))).and();
    let spec = t.spec.clone().unwrap();
    let LegSpec::Rtp(leg) = &spec.b else { panic!("{spec:?}") };
    let event = leg.codecs.iter().find(|codec| codec.name == "telephone-event").unwrap();
    assert_eq!((event.receive, event.send), (126, 96));
    let LegSpec::WebRtc(leg) = &spec.a else { panic!("{spec:?}") };
    let event = leg.codecs.iter().find(|codec| codec.name == "telephone-event").unwrap();
    assert_eq!((event.receive, event.send), (126, 126));
}

#[test] // RFC 5761 §5.1.1: our sockets are two, so one port is never agreed, whoever wishes for it
fn rtcp_has_a_port_of_its_own_unless_our_side_says_otherwise() {
    let wishing = |sdp: String| sdp + "a=rtcp-mux\r\n";
    let rtcp = |spec: &LegSpec| match spec {
        LegSpec::Rtp(leg) => leg.remote.map(|remote| remote.rtcp.port()),
        other => panic!("{other:?}"),
    };
    let mut t = Trace::new(Kind::TrunkToBrowser);
    let offer = wishing(t.a.offer());
    let answer = t.b.answer();
    t.invites(Some(&offer)).relay_ready().answers(B, 200, Some(&answer)).and();
    assert!(!t.a.last_sdp().contains("rtcp-mux"));
    assert_eq!(rtcp(&t.spec.as_ref().unwrap().a), Some(6001));

    let mut t = Trace::new(Kind::BrowserToTrunk);
    let offer = t.a.offer();
    t.invites(Some(&offer)).relay_ready();
    assert!(!t.b.last_sdp().contains("rtcp-mux"));
    t.answers(B, 200, Some(&wishing(trunk_answer()))).acks(A, None).and();
    assert_eq!(rtcp(&t.spec.as_ref().unwrap().b), Some(6001));
    t.sends(B, Method::Invite, Some(&wishing(trunk_answer()))).and();
    assert_eq!(rtcp(&t.spec.as_ref().unwrap().b), Some(6001));
}

#[test] // RFC 5763 §5
fn the_dtls_role_is_the_one_the_browser_leaves() {
    let role = |t: &Trace| match &t.spec.as_ref().unwrap().b {
        LegSpec::WebRtc(leg) => leg.dtls,
        other => panic!("{other:?}"),
    };
    for (setup, expected) in [("active", DtlsRole::Passive), ("passive", DtlsRole::Active)] {
        let mut t = Trace::new(Kind::TrunkToBrowser);
        let offer = t.a.offer();
        t.invites(Some(&offer)).relay_ready();
        t.answers(B, 200, Some(&browser(2, "bbbb", "0", "sendrecv", setup))).acks(A, None).and();
        assert_eq!(role(&t), expected);
        // A later offer of the browser says actpass again: the association stays as it is.
        t.sends(B, Method::Invite, Some(&browser(3, "bbbb", "0", "sendrecv", "actpass"))).does("B 200+sdp");
        assert_eq!(role(&t), expected);
        let ours = if expected == DtlsRole::Active { "a=setup:active" } else { "a=setup:passive" };
        assert!(t.b.last_sdp().contains(ours), "{}", t.b.last_sdp());
    }
}

#[test]
fn the_relay_hears_of_the_caller_before_the_callee_is_asked() {
    let mut t = Trace::new(Kind::BrowserToTrunk);
    let offer = t.a.offer();
    t.invites(Some(&offer)).does("media");
    let spec = t.spec.clone().unwrap();
    assert_eq!(spec.revision, 1);
    let (LegSpec::WebRtc(a), LegSpec::Rtp(b)) = (&spec.a, &spec.b) else { panic!("{spec:?}") };
    assert_eq!(a.remote.as_ref().unwrap().ufrag, "aaaa");
    assert_eq!(b.remote, None);
    t.relay_ready().relay_ready().does("B INVITE+sdp");
}

#[test]
fn a_media_failure_in_the_call_ends_it_but_a_stale_revision_does_not() {
    let mut t = Trace::established(Kind::BrowserToTrunk);
    t.no_media(relay_api::RelayError::Stale { revision: 9 }).does("");
    t.no_media(relay_api::RelayError::Unknown).does("release, A BYE, B BYE");
    t.answers(A, 200, None).answers(B, 200, None).does("ended MediaLost");
}
