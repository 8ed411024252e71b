//! What each side was told agrees with what the other side said: forks, later answers, codecs, RTP events, packet times.

use relay_api::EventKind;
use sip_core::call::LegId;
use sip_core::message::Method;
use sip_core::sdp::Profile;

use super::sdp::{browser, trunk};
use super::trace::{A, B, Kind, Trace};

/// A peer's answer, or its offer with `actpass`.
fn says(t: &Trace, leg: LegId, version: u32, formats: &str, direction: &str, setup: &str) -> String {
    match t.peer(leg).profile {
        Profile::WebRtc => {
            browser(version, if leg == A { "aaaa" } else { "bbbb" }, formats, direction, setup)
        }
        Profile::PlainRtp => trunk(version, "192.0.2.9", formats, direction),
    }
}

fn offers(t: &Trace, leg: LegId, version: u32, formats: &str) -> String {
    says(t, leg, version, formats, "sendrecv", "actpass")
}

fn answers(t: &Trace, leg: LegId, version: u32, formats: &str) -> String {
    says(t, leg, version, formats, "sendrecv", "active")
}

/// The formats of the last description that a peer got.
fn listed(t: &Trace, leg: LegId) -> String {
    let sdp = t.peer(leg).last_sdp();
    let line = sdp.lines().find(|line| line.starts_with("m=audio")).unwrap();
    line.split(' ').skip(3).collect::<Vec<_>>().join(" ")
}

fn has_line(t: &Trace, leg: LegId, wanted: &str) -> bool {
    t.peer(leg).last_sdp().lines().any(|line| line == wanted)
}

/// A call that rings with early media: `(formats, direction)` of one fork, then of the one that takes the call.
fn forked(kind: Kind, early: (&str, &str), last: (&str, &str), tag: &str) -> Trace {
    let mut t = Trace::new(kind);
    let offer = offers(&t, A, 1, "0 8 101");
    t.invites(Some(&offer)).relay_ready();
    let answer = says(&t, B, 2, early.0, early.1, "active");
    t.answers_as(B, 183, Some(&answer), Some("announcer"), &[]).does("media, B INVITE+sdp, media, A 183+sdp");
    let answer = says(&t, B, 3, last.0, last.1, "active");
    t.answers_as(B, 200, Some(&answer), Some(tag), &[]).and();
    t.acks(A, None);
    if tag == "announcer" {
        t.b.tag = "announcer".into();
    } else {
        t.b.tag = tag.to_owned();
    }
    t
}

const FIVE: EventKind = EventKind::Dtmf { digit: '5', duration_ms: 100 };
const CALLS: [Kind; 3] = [Kind::BrowserToTrunk, Kind::TrunkToBrowser, Kind::BrowserToBrowser];

#[test] // RFC 3261 §13.2.2.4: an announcement of one fork, a person at the other one
fn the_caller_is_brought_to_the_direction_of_the_2xx() {
    for kind in CALLS {
        for tag in ["person", "announcer"] {
            for early in ["sendonly", "inactive", "recvonly"] {
                let mut t = forked(kind, ("0 101", early), ("0 101", "sendrecv"), tag);
                t.does("A INVITE+sdp");
                assert!(has_line(&t, A, "a=sendrecv"), "{}", t.a.last_sdp());
                let answer = answers(&t, A, 5, "0 101");
                t.answers(A, 200, Some(&answer)).does("A ACK, media");
            }
        }
    }
}

#[test]
fn a_2xx_that_says_what_the_18x_said_is_told_once() {
    for kind in CALLS {
        for tag in ["person", "announcer"] {
            forked(kind, ("0 101", "sendrecv"), ("0 101", "sendrecv"), tag).does("");
            forked(kind, ("0 101", "sendonly"), ("0 101", "sendonly"), tag).does("");
        }
    }
}

#[test] // RFC 4733
fn the_caller_is_brought_to_the_rtp_events_of_the_2xx() {
    for kind in CALLS {
        let mut t = forked(kind, ("0", "sendrecv"), ("0 101", "sendrecv"), "person");
        t.does("A INVITE+sdp");
        assert_eq!(listed(&t, A), "0 101");
        let mut t = forked(kind, ("0 101", "sendrecv"), ("0", "sendrecv"), "person");
        // His events go on as INFO, which nobody ruled out.
        t.does("").relay_says(A, FIVE).does("B INFO+sdp");
    }
}

#[test]
fn the_caller_is_brought_to_the_codec_of_the_2xx() {
    for kind in CALLS {
        let mut t = forked(kind, ("0 101", "sendrecv"), ("8 101", "sendrecv"), "person");
        t.does("A INVITE+sdp");
        assert_eq!(listed(&t, A), "8 101");
        // He would send PCMA first, which the one who took the call does not have.
        let mut t = forked(kind, ("8 0 101", "sendrecv"), ("0 101", "sendrecv"), "person");
        t.does("A INVITE+sdp");
        assert_eq!(listed(&t, A), "0 101");
        // PCMU was told already, and is enough.
        forked(kind, ("0 101", "sendrecv"), ("0 8 101", "sendrecv"), "person").does("");
    }
}

#[test] // a caller who holds from the start still hears of the codec, but not of a direction that he does not want
fn a_caller_that_only_listens_is_not_asked_to_speak() {
    let mut t = Trace::new(Kind::BrowserToTrunk);
    let offer = says(&t, A, 1, "0 101", "recvonly", "actpass");
    t.invites(Some(&offer)).relay_ready();
    assert!(has_line(&t, B, "a=recvonly"));
    let answer = says(&t, B, 2, "0 101", "sendonly", "active");
    t.answers_as(B, 183, Some(&answer), Some("one"), &[]).answers_as(B, 200, Some(&answer), Some("two"), &[]);
    t.and().acks(A, None).does("");
}

#[test] // the relay makes the events of digits that come by INFO
fn rtp_events_that_come_with_a_later_offer_are_taken_and_told() {
    for kind in CALLS {
        let mut t = Trace::new(kind);
        let offer = offers(&t, A, 1, "0 8");
        t.invites(Some(&offer)).relay_ready();
        let answer = answers(&t, B, 2, "0 8");
        t.answers(B, 200, Some(&answer)).acks(A, None).and();
        let offer = offers(&t, A, 3, "0 8 101");
        t.sends(A, Method::Invite, Some(&offer)).does("media, A 200+sdp");
        assert_eq!(listed(&t, A), "0 8 101");
        // The other one never was asked for events.
        t.acks(A, None).does("B INVITE+sdp");
        assert_eq!(listed(&t, B), "0 8 101");
        let dtmf = "application/dtmf";
        let answer = answers(&t, B, 4, "0 8");
        t.answers(B, 200, Some(&answer)).and();
        t.sends_body(B, Method::Info, dtmf, "5").does("B 200 INFO, A dtmf 5 160");
        // It said no, and is not asked again.
        let offer = offers(&t, A, 5, "0 8 101");
        t.sends(A, Method::Invite, Some(&offer)).does("A 200+sdp");
        t.acks(A, None).does("");
    }
}

#[test]
fn rtp_events_go_on_as_info_where_a_later_offer_leaves_them_out() {
    for kind in CALLS {
        let mut t = Trace::established(kind);
        t.relay_says(A, FIVE).does("");
        let offer = offers(&t, B, 3, "0");
        t.sends(B, Method::Invite, Some(&offer)).and();
        t.acks(B, None).does("");
        t.relay_says(A, FIVE).does("B INFO+sdp");
        assert_eq!(t.b.last().body(), b"Signal=5\r\nDuration=100\r\n");
        // It takes no INFO either.
        t.answers(B, 415, None).does("");
        t.relay_says(A, FIVE).does("");
    }
}

#[test]
fn rtp_events_are_taken_back_where_nobody_takes_digits() {
    for kind in CALLS {
        let mut t = Trace::new(kind);
        let offer = offers(&t, A, 1, "0 8 101");
        t.invites(Some(&offer)).relay_ready();
        let early = answers(&t, B, 2, "0 101");
        t.answers(B, 183, Some(&early));
        let last = answers(&t, B, 3, "0");
        t.answers_as(B, 200, Some(&last), Some("person"), &[("Allow", "INVITE, ACK, BYE")]).and();
        t.acks(A, None).does("A INVITE+sdp");
        assert_eq!(listed(&t, A), "0");
        let answer = answers(&t, A, 4, "0");
        t.answers(A, 200, Some(&answer)).does("A ACK, media");
    }
}

#[test] // RFC 3264 §6.1: the order of an answer is a preference
fn the_order_of_the_callees_answer_reaches_the_caller() {
    for kind in CALLS {
        let mut t = Trace::new(kind);
        let offer = offers(&t, A, 1, "0 8 101");
        t.invites(Some(&offer)).relay_ready();
        let answer = answers(&t, B, 2, "8 0 101");
        t.answers(B, 200, Some(&answer)).acks(A, None).and();
        assert_eq!(listed(&t, A), "8 0 101");
        // His later offers get the same answer, however often.
        let offer = offers(&t, A, 3, "0 8 101");
        t.sends(A, Method::Invite, Some(&offer)).does("A 200+sdp");
        assert_eq!(listed(&t, A), "8 0 101");
        t.acks(A, None);
        // An offer of the callee is answered in its own order.
        let offer = offers(&t, B, 4, "0 8 101");
        t.and().sends(B, Method::Invite, Some(&offer)).and();
        assert_eq!(listed(&t, B), "0 8 101");
        // A hold that crosses brings the order of its answer along.
        t.acks(B, None).and();
        let offer = says(&t, A, 5, "0 8 101", "sendonly", "actpass");
        t.sends(A, Method::Invite, Some(&offer)).does("B INVITE+sdp");
        let answer = says(&t, B, 6, "8 0 101", "recvonly", "active");
        t.answers(B, 200, Some(&answer)).and();
        assert_eq!(listed(&t, A), "8 0 101");
    }
}

#[test] // RFC 8866 §6.4
fn the_packet_time_of_each_side_is_told_the_other_one() {
    for kind in CALLS {
        let wishing = |sdp: String, ptime: u16| format!("{sdp}a=ptime:{ptime}\r\n");
        let mut t = Trace::new(kind);
        let offer = wishing(offers(&t, A, 1, "0 101"), 30);
        t.invites(Some(&offer)).relay_ready();
        assert!(has_line(&t, B, "a=ptime:30"), "{}", t.b.last_sdp());
        let answer = wishing(answers(&t, B, 2, "0 101"), 40);
        t.answers(B, 200, Some(&answer)).acks(A, None).and();
        assert!(has_line(&t, A, "a=ptime:40"), "{}", t.a.last_sdp());

        // In offers of ours as well: one that is passed on, and one that is asked for.
        let offer = wishing(says(&t, B, 3, "0 101", "sendonly", "actpass"), 60);
        t.sends(B, Method::Invite, Some(&offer)).and();
        assert!(has_line(&t, A, "a=ptime:60"), "{}", t.a.last_sdp());
        let answer = says(&t, A, 4, "0 101", "recvonly", "active");
        t.answers(A, 200, Some(&answer)).acks(B, None).and();
        assert!(!t.b.last_sdp().contains("a=ptime"), "{}", t.b.last_sdp());
        t.sends(A, Method::Invite, None).and();
        assert!(has_line(&t, A, "a=ptime:60"), "{}", t.a.last_sdp());
    }
}

#[test] // a peer can't make browsers send packets of no or of endless length
fn absurd_packet_times_are_not_told() {
    for ptime in ["0", "4", "201", "65535", "65536", "x", "20.5"] {
        let mut t = Trace::new(Kind::TrunkToBrowser);
        let offer = format!("{}a=ptime:{ptime}\r\n", t.a.offer());
        t.invites(Some(&offer)).relay_ready();
        assert!(!t.b.last_sdp().contains("ptime"), "{}", t.b.last_sdp());
    }
}
