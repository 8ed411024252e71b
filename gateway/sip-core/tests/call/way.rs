//! By what and where requests within a dialog go: RFC 3261 §12.2.1.1 and §18.1.1, RFC 3263 §4.1.

use std::time::Duration;

use sip_core::call::{CallTimer, Failure, LegId};
use sip_core::message::{Method, Name};
use sip_core::routing::{Destination, Transport, TrunkAddress};

use super::sdp::{browser_answer, trunk_answer, trunk_offer};
use super::trace::{A, B, Kind, Trace, other};

/// The trunk's leg of a call that is up.
fn plain(kind: Kind) -> LegId {
    if kind == Kind::TrunkToBrowser { A } else { B }
}

/// A call of either direction with a trunk of this transport, whose messages come like that, and with this Contact.
fn established(
    kind: Kind,
    configured: Transport,
    by: (Transport, &'static str),
    contact: &'static str,
) -> Trace {
    let mut t = Trace::new(kind);
    (t.configured, t.comes_by) = (configured, by);
    t.peer_mut(plain(kind)).contact = Some(contact);
    let (offer, answer) = match kind {
        Kind::TrunkToBrowser => (trunk_offer(), browser_answer()),
        _ => (t.a.offer(), trunk_answer()),
    };
    t.invites(Some(&offer)).relay_ready().answers(B, 200, Some(&answer)).acks(A, None).and();
    t
}

/// The browser hangs up: where the trunk's BYE goes.
fn hangs_up(t: &mut Trace, kind: Kind) -> TrunkAddress {
    t.sends(other(plain(kind)), Method::Bye, None);
    went(t)
}

fn went(t: &Trace) -> TrunkAddress {
    match t.went.clone() {
        Some(Destination::Trunk(trunk)) => trunk,
        other => panic!("not to the trunk: {other:?}"),
    }
}

/// Both directions, and the Contact, then: transport, address, our Via.
fn goes(
    configured: Transport,
    by: (Transport, &'static str),
    contact: &'static str,
    to: (Transport, &'static str),
    via: &str,
) {
    for kind in [Kind::TrunkToBrowser, Kind::BrowserToTrunk] {
        let mut t = established(kind, configured, by, contact);
        let trunk = hangs_up(&mut t, kind);
        assert_eq!((trunk.transport, trunk.address), (to.0, to.1.parse().unwrap()), "{contact}");
        let bye = t.peer(plain(kind)).last_request();
        assert_eq!(*bye.method(), Method::Bye);
        assert!(bye.header(Name::Via).unwrap().starts_with(via), "{contact}: {:?}", bye.header(Name::Via));
        assert_eq!(bye.uri().unwrap(), contact.trim_matches(['<', '>']), "as the peer wrote it");
    }
}

const UDP: &str = "SIP/2.0/UDP 198.51.100.1:5060;branch=";
const TCP: &str = "SIP/2.0/TCP 198.51.100.1:5062;branch=";
const TLS: &str = "SIP/2.0/TLS 198.51.100.1:5061;branch=";

#[test] // RFC 3261 §18.1.1: its INVITE was too large for UDP; its Contact says by what it wants requests
fn a_udp_trunk_that_called_by_tcp_is_asked_by_udp() {
    let by = (Transport::Tcp, "192.0.2.8:40123");
    goes(Transport::Udp, by, "<sip:pbx@192.0.2.9:5070>", (Transport::Udp, "192.0.2.9:5070"), UDP);
    goes(Transport::Udp, by, "<sip:pbx@192.0.2.9>", (Transport::Udp, "192.0.2.9:5060"), UDP);
}

#[test]
fn a_contact_that_names_a_transport_is_followed() {
    let udp = (Transport::Udp, "192.0.2.8:5060");
    let tcp = (Transport::Tcp, "192.0.2.8:40123");
    for transport in ["tcp", "TCP"] {
        let contact = if transport == "tcp" {
            "<sip:pbx@192.0.2.9:5070;transport=tcp>"
        } else {
            "<sip:pbx@192.0.2.9:5070;transport=TCP>"
        };
        goes(Transport::Udp, udp, contact, (Transport::Tcp, "192.0.2.9:5070"), TCP);
    }
    goes(Transport::Tcp, tcp, "<sip:pbx@192.0.2.9;transport=udp>", (Transport::Udp, "192.0.2.9:5060"), UDP);
    goes(Transport::Udp, udp, "<sip:pbx@192.0.2.9;transport=tls>", (Transport::Tls, "192.0.2.9:5061"), TLS);
    goes(Transport::Udp, udp, "<sips:pbx@192.0.2.9;transport=tcp>", (Transport::Tls, "192.0.2.9:5061"), TLS);
}

#[test] // the configured transport stands in for the default of RFC 3263 §4.1
fn a_contact_without_a_transport_means_that_of_a_tcp_or_tls_trunk() {
    let tcp = (Transport::Tcp, "192.0.2.8:40123");
    goes(Transport::Tcp, tcp, "<sip:pbx@192.0.2.9>", (Transport::Tcp, "192.0.2.9:5060"), TCP);
    let tls = (Transport::Tls, "192.0.2.8:40123");
    for contact in ["<sip:pbx@192.0.2.9>", "<sips:pbx@192.0.2.9>", "<sip:pbx@192.0.2.9;transport=udp>"] {
        goes(Transport::Tls, tls, contact, (Transport::Tls, "192.0.2.9:5061"), TLS);
    }
}

#[test] // SECURITY: within the trunk's networks, and by our transports, alone
fn a_contact_that_cannot_be_followed_means_the_trunk_itself() {
    let udp = (Transport::Udp, "192.0.2.8:5060");
    for contact in [
        "<sip:pbx@203.0.113.66:5070>",
        "<sip:pbx@203.0.113.66:5070;transport=tcp>",
        "<sip:pbx@pbx.example:5070;transport=tcp>",
        "<sip:pbx@192.0.2.9:5070;transport=sctp>",
        "<sip:pbx@[2001:db8::9]:5070>",
    ] {
        goes(Transport::Udp, udp, contact, udp, UDP);
    }
}

#[test] // RFC 4291 §2.5.5.2
fn an_ipv4_address_in_ipv6_clothes_is_itself() {
    let udp = (Transport::Udp, "192.0.2.8:5060");
    let contact = "<sip:pbx@[::ffff:192.0.2.9]:5070>";
    goes(Transport::Udp, udp, contact, (Transport::Udp, "192.0.2.9:5070"), UDP);
}

#[test] // RFC 3261 §13.2.1: a phone whose responses are all lost can't be cancelled
fn an_invite_that_goes_over_udp_expires() {
    let udp = (Transport::Udp, "192.0.2.8:5060");
    let tcp = (Transport::Tcp, "192.0.2.8:5060");
    for (by, expires) in [(udp, Some("180")), (tcp, None)] {
        let t = established(Kind::BrowserToTrunk, by.0, by, "<sip:pbx@192.0.2.9>");
        assert_eq!(t.b.inbox[0].header(Name::Expires), expires);
    }
    let mut t = Trace::new(Kind::TrunkToBrowser);
    t.invites(Some(&trunk_offer())).relay_ready();
    assert_eq!(t.b.inbox[0].header(Name::Expires), None);
}

#[test] // RFC 3261 §12.2.1.1: the route set is the next hop, its transport counts
fn a_route_is_followed_by_its_own_transport() {
    let mut t = Trace::new(Kind::BrowserToTrunk);
    let offer = t.a.offer();
    t.invites(Some(&offer)).relay_ready();
    let route = [("Record-Route", "<sip:192.0.2.20:5080;transport=tcp;lr>")];
    t.answers_as(B, 200, Some(&trunk_answer()), None, &route);
    assert_eq!((went(&t).transport, went(&t).address.port()), (Transport::Tcp, 5080));
    assert!(t.b.last().header(Name::Via).unwrap().starts_with(TCP), "the ACK");
}

#[test] // RFC 3261 §12.2.2: the Contact of a re-INVITE
fn a_contact_that_moves_to_another_transport_is_followed() {
    let udp = (Transport::Udp, "192.0.2.8:5060");
    let mut t = established(Kind::BrowserToTrunk, Transport::Udp, udp, "<sip:pbx@192.0.2.9:5070>");
    t.b.contact = Some("<sip:pbx@192.0.2.9:5090;transport=tcp>");
    t.sends(B, Method::Invite, Some(&trunk_answer())).acks(B, None);
    let to = hangs_up(&mut t, Kind::BrowserToTrunk);
    assert_eq!((to.transport, to.address.port()), (Transport::Tcp, 5090));
}

#[test]
fn a_contact_elsewhere_leaves_the_connection_that_the_dialog_came_by_as_the_other_way() {
    for kind in [Kind::TrunkToBrowser, Kind::BrowserToTrunk] {
        for (contact, otherwise) in [
            ("<sip:pbx@192.0.2.9:5070;transport=tcp>", Some("192.0.2.8:40123")),
            ("<sip:pbx@192.0.2.8:40123;transport=tcp>", None),
            ("<sip:pbx@192.0.2.9:5070;transport=udp>", None),
        ] {
            let by = (Transport::Tcp, "192.0.2.8:40123");
            let mut t = established(kind, Transport::Tcp, by, contact);
            assert_eq!(
                hangs_up(&mut t, kind).otherwise,
                otherwise.map(|at| at.parse().unwrap()),
                "{contact}"
            );
        }
    }
}

#[test] // RFC 3261 §15.1.1: the peer's call stays up until it knows
fn a_bye_that_was_not_delivered_is_tried_again_for_a_while() {
    for kind in [Kind::TrunkToBrowser, Kind::BrowserToTrunk] {
        let leg = plain(kind);
        let by = (Transport::Tcp, "192.0.2.8:40123");
        let mut t = established(kind, Transport::Tcp, by, "<sip:pbx@192.0.2.9;transport=tcp>");
        hangs_up(&mut t, kind);
        let first = t.and().peer(leg).last_request().clone();
        for wait in [500, 4_000, 16_000] {
            t.fails(leg, Method::Bye, Failure::Transport).does("");
            assert_eq!(t.due(CallTimer::Bye(leg)), Some(wait));
            t.fires(CallTimer::Bye(leg)).does(&format!("{leg:?} BYE"));
        }
        let last = t.peer(leg).last_request().clone();
        assert_eq!(last.cseq().0, first.cseq().0 + 3, "each is a request of its own");
        t.fails(leg, Method::Bye, Failure::Transport).does(&format!("ended HungUp by {:?}", other(leg)));
        assert!(t.timers.is_empty(), "{:?}", t.timers);
    }
}

#[test]
fn a_bye_that_is_tried_again_is_over_with_its_answer_or_with_the_peers_bye() {
    let by = (Transport::Tcp, "192.0.2.8:40123");
    let undelivered = || {
        let mut t =
            established(Kind::BrowserToTrunk, Transport::Tcp, by, "<sip:pbx@192.0.2.9;transport=tcp>");
        t.sends(A, Method::Bye, None).and().fails(B, Method::Bye, Failure::Transport).does("");
        t
    };
    let mut t = undelivered();
    t.fires(CallTimer::Bye(B)).answers(B, 481, None).does("B BYE, ended HungUp by A");
    assert!(t.timers.is_empty());
    let mut t = undelivered();
    t.sends(B, Method::Bye, None).does("B 200 BYE, ended HungUp by A");
    assert!(t.timers.is_empty());
}

#[test] // RFC 3261 §18.4
fn a_bye_that_a_contact_of_udp_does_not_take_goes_where_the_dialog_came_from() {
    for kind in [Kind::TrunkToBrowser, Kind::BrowserToTrunk] {
        let udp = (Transport::Udp, "192.0.2.8:5060");
        let mut t = established(kind, Transport::Udp, udp, "<sip:pbx@192.0.2.9:5070>");
        let mut ports = vec![hangs_up(&mut t, kind).address.port()];
        for _ in 0..2 {
            t.fails(plain(kind), Method::Bye, Failure::Transport).fires(CallTimer::Bye(plain(kind)));
            ports.push(went(&t).address.port());
        }
        assert_eq!(ports, [5070, 5060, 5070]);
    }
}

#[test] // RFC 3261 §17.1.2.2, timer F
fn a_bye_without_response_is_tried_once_more_over_another_connection_and_not_over_udp() {
    let by = (Transport::Tcp, "192.0.2.8:5060");
    let mut t = established(Kind::BrowserToTrunk, Transport::Tcp, by, "<sip:pbx@192.0.2.9;transport=tcp>");
    t.sends(A, Method::Bye, None).and().after(Duration::from_secs(32));
    t.fails(B, Method::Bye, Failure::Timeout).fires(CallTimer::Bye(B)).does("B BYE");
    t.fails(B, Method::Bye, Failure::Timeout).does("ended HungUp by A");

    let udp = (Transport::Udp, "192.0.2.8:5060");
    let mut t = established(Kind::BrowserToTrunk, Transport::Udp, udp, "<sip:pbx@192.0.2.9>");
    t.sends(A, Method::Bye, None).and();
    t.fails(B, Method::Bye, Failure::Timeout).does("ended HungUp by A");
}
