//! Holds: what a peer wants is kept apart from what it could answer (RFC 6337 §5.1, RFC 3261 §14.2). Each on either leg.

use relay_api::{Direction, LegSpec};
use sip_core::call::{CallTimer, LegId};
use sip_core::message::Method;
use sip_core::sdp::Profile;

use super::sdp::{browser, trunk};
use super::trace::{A, B, Kind, Trace, other};

/// A call that is up, one of whose ends will hold.
struct Holding {
    t: Trace,
    holder: LegId,
    other: LegId,
    version: u32,
}

impl Holding {
    /// Every kind of call, held by either leg.
    fn each() -> impl Iterator<Item = Self> {
        let kinds = [Kind::BrowserToTrunk, Kind::TrunkToBrowser, Kind::BrowserToBrowser];
        kinds.into_iter().flat_map(|kind| [A, B].map(|holder| Self::of(kind, holder)))
    }

    fn of(kind: Kind, holder: LegId) -> Self {
        Self { t: Trace::established(kind), holder, other: other(holder), version: 10 }
    }

    /// What a peer says, in an offer or an answer.
    fn sdp(&mut self, leg: LegId, direction: &str, setup: &str) -> String {
        self.version += 1;
        match self.t.peer(leg).profile {
            Profile::WebRtc => {
                let ufrag = if leg == A { "aaaa" } else { "bbbb" };
                browser(self.version, ufrag, "0 8 101", direction, setup)
            }
            Profile::PlainRtp => trunk(self.version, "192.0.2.9", "0 8 101", direction),
        }
    }

    /// The direction that a peer was told last.
    fn told(&self, leg: LegId) -> String {
        let sdp = self.t.peer(leg).last_sdp();
        let names = ["sendrecv", "sendonly", "recvonly", "inactive"];
        let mut lines = sdp.lines().filter_map(|line| line.strip_prefix("a="));
        lines.rfind(|line| names.contains(line)).expect("a direction").to_owned()
    }

    /// An offer that the other peer is asked about and answers.
    #[track_caller]
    fn offers(&mut self, leg: LegId, direction: &str, answer: &str) -> &mut Self {
        let (asker, asked) = (leg, other(leg));
        let offer = self.sdp(asker, direction, "actpass");
        self.t.sends(asker, Method::Invite, Some(&offer)).does(&format!("{asked:?} INVITE+sdp"));
        self.answered(asked, answer, &format!(", {asker:?} 200+sdp"));
        self.t.acks(asker, None).does("");
        self
    }

    #[track_caller]
    fn answered(&mut self, leg: LegId, direction: &str, then: &str) -> &mut Self {
        let answer = self.sdp(leg, direction, "active");
        self.t.answers(leg, 200, Some(&answer)).does(&format!("{leg:?} ACK, media{then}"));
        self
    }

    /// The holder asks for our offer and takes it (RFC 3261 §14.2).
    #[track_caller]
    fn resumes_without_offer(&mut self) -> &mut Self {
        let (holder, other) = (self.holder, self.other);
        self.t.sends(holder, Method::Invite, None).does(&format!("{holder:?} 200+sdp"));
        assert_eq!(self.told(holder), "sendrecv", "what the other user wants");
        let answer = self.sdp(holder, "sendrecv", "active");
        self.t.acks(holder, Some(&answer)).does(&format!("media, {other:?} INVITE+sdp"));
        assert_eq!(self.told(other), "sendrecv");
        self.answered(other, "sendrecv", "")
    }

    #[track_caller]
    fn flows_both_ways(&self) {
        for spec in [&self.t.spec.as_ref().unwrap().a, &self.t.spec.as_ref().unwrap().b] {
            let direction = match spec {
                LegSpec::WebRtc(leg) => leg.direction,
                LegSpec::Rtp(leg) => leg.direction,
                LegSpec::Service(_) => panic!("a service has no direction"),
            };
            assert_eq!(direction, Direction::SendRecv);
        }
    }
}

#[test] // RFC 6337 §5.1: a SIP server that holds and resumes without an offer
fn an_offerless_reinvite_ends_a_hold() {
    for (hold, answer) in [("sendonly", "recvonly"), ("inactive", "inactive"), ("recvonly", "sendonly")] {
        for mut h in Holding::each() {
            h.offers(h.holder, hold, answer);
            assert_eq!((h.told(h.other).as_str(), h.told(h.holder).as_str()), (hold, answer));
            h.resumes_without_offer().flows_both_ways();
        }
    }
}

#[test]
fn hold_and_resume_ten_times() {
    for mut h in Holding::each() {
        for round in 0..10 {
            h.offers(h.holder, "sendonly", "recvonly");
            match round % 2 {
                0 => h.resumes_without_offer(),
                _ => h.offers(h.holder, "sendrecv", "sendrecv"),
            };
            h.flows_both_ways();
        }
        assert!(h.t.timers.is_empty());
    }
}

#[test] // our offer says what the other user wants, and he wants the hold
fn an_offerless_reinvite_does_not_end_the_other_users_hold() {
    for mut h in Holding::each() {
        h.offers(h.holder, "sendonly", "recvonly");
        let (holder, other) = (h.holder, h.other);
        h.t.sends(other, Method::Invite, None).does(&format!("{other:?} 200+sdp"));
        assert_eq!(h.told(other), "sendonly");
        let answer = h.sdp(other, "recvonly", "active");
        h.t.acks(other, Some(&answer)).does("");
        h.offers(holder, "sendrecv", "sendrecv").flows_both_ways();
    }
}

#[test]
fn both_hold_and_each_resumes_on_its_own() {
    for mirrored in ["sendonly", "inactive"] {
        for mut h in Holding::each() {
            let (one, two) = (h.holder, h.other);
            h.offers(one, "sendonly", "recvonly").offers(two, mirrored, "inactive");
            // The first one resumes, and hears that the second one still holds.
            h.offers(one, "sendrecv", "sendonly");
            assert_eq!(h.told(one), "sendonly");
            h.offers(two, "sendrecv", "sendrecv").flows_both_ways();
        }
    }
}

#[test]
fn both_hold_and_the_first_resumes_without_offer() {
    for mut h in Holding::each() {
        let (one, two) = (h.holder, h.other);
        h.offers(one, "sendonly", "recvonly").offers(two, "sendonly", "inactive");
        h.t.sends(one, Method::Invite, None).does(&format!("{one:?} 200+sdp"));
        assert_eq!(h.told(one), "sendonly", "the other one holds");
        let answer = h.sdp(one, "recvonly", "active");
        h.t.acks(one, Some(&answer)).does(&format!("media, {two:?} INVITE+sdp"));
        h.answered(two, "sendonly", "");
        h.offers(two, "sendrecv", "sendrecv").flows_both_ways();
    }
}

#[test] // what a held phone leaves out of its own offers is no wish of its user
fn an_offer_of_the_held_one_does_not_turn_the_hold_into_two() {
    for mut h in Holding::each() {
        h.offers(h.holder, "sendonly", "recvonly");
        for said in ["recvonly", "sendrecv"] {
            let (other, offer) = (h.other, h.sdp(h.other, said, "actpass"));
            h.t.sends(other, Method::Invite, Some(&offer)).does(&format!("{other:?} 200+sdp"));
            assert_eq!(h.told(other), "sendonly");
            h.t.acks(other, None).does("");
        }
        h.resumes_without_offer().flows_both_ways();
    }
}

#[test] // a refresh of a held call concerns nobody else
fn a_repeated_hold_is_answered_at_once() {
    for mut h in Holding::each() {
        h.offers(h.holder, "sendonly", "recvonly");
        let (holder, offer) = (h.holder, h.sdp(h.holder, "sendonly", "actpass"));
        h.t.sends(holder, Method::Invite, Some(&offer)).does(&format!("{holder:?} 200+sdp"));
        assert_eq!(h.told(holder), "recvonly");
        h.t.acks(holder, None).does("");
        h.resumes_without_offer().flows_both_ways();
    }
}

#[test] // RFC 3311
fn a_hold_by_update_is_ended_by_an_offerless_reinvite() {
    for mut h in Holding::each() {
        let (holder, other) = (h.holder, h.other);
        let offer = h.sdp(holder, "sendonly", "actpass");
        h.t.sends(holder, Method::Update, Some(&offer)).does(&format!("{other:?} INVITE+sdp"));
        h.answered(other, "recvonly", &format!(", {holder:?} 200+sdp UPDATE"));
        h.resumes_without_offer().flows_both_ways();
        let offer = h.sdp(holder, "inactive", "actpass");
        h.t.sends(holder, Method::Update, Some(&offer)).does(&format!("{other:?} INVITE+sdp"));
        h.answered(other, "inactive", &format!(", {holder:?} 200+sdp UPDATE"));
        let offer = h.sdp(holder, "sendrecv", "actpass");
        h.t.sends(holder, Method::Update, Some(&offer)).does(&format!("{other:?} INVITE+sdp"));
        assert_eq!(h.told(other), "sendrecv");
        h.answered(other, "sendrecv", &format!(", {holder:?} 200+sdp UPDATE")).flows_both_ways();
    }
}

#[test] // RFC 3264 §8.4: the hold of RFC 2543
fn a_hold_by_a_null_address_is_ended_by_an_offerless_reinvite() {
    for (kind, holder) in [(Kind::BrowserToTrunk, B), (Kind::TrunkToBrowser, A)] {
        let mut h = Holding::of(kind, holder);
        let other = h.other;
        let held = trunk(2, "0.0.0.0", "0 8 101", "sendrecv");
        h.t.sends(holder, Method::Invite, Some(&held)).does(&format!("{other:?} INVITE+sdp"));
        assert_eq!(h.told(other), "sendonly");
        h.answered(other, "recvonly", &format!(", {holder:?} 200+sdp"));
        h.t.acks(holder, None).does("");
        h.resumes_without_offer().flows_both_ways();
    }
}

#[test] // a hold within the answer of an ACK, and within the answer of a 2xx
fn a_hold_in_an_answer_is_a_wish() {
    for mut h in Holding::each() {
        let (holder, other) = (h.holder, h.other);
        // The other one asks anew; the holder's answer is a hold.
        let offer = h.sdp(other, "sendonly", "actpass");
        h.t.sends(other, Method::Invite, Some(&offer)).does(&format!("{holder:?} INVITE+sdp"));
        h.answered(holder, "inactive", &format!(", {other:?} 200+sdp"));
        h.t.acks(other, None).does("");
        // It resumes, and hears of the hold: sendonly is all that was not asked for yet.
        h.offers(other, "sendrecv", "sendonly");
        assert_eq!(h.told(other), "sendonly");
        // An offer of ours to it says so as well.
        h.t.sends(other, Method::Invite, None).does(&format!("{other:?} 200+sdp"));
        assert_eq!(h.told(other), "sendonly");
        let answer = h.sdp(other, "recvonly", "active");
        h.t.acks(other, Some(&answer)).does("");
        h.resumes_without_offer().flows_both_ways();

        // A hold in the ACK.
        h.t.sends(holder, Method::Invite, None).does(&format!("{holder:?} 200+sdp"));
        let answer = h.sdp(holder, "sendonly", "active");
        h.t.acks(holder, Some(&answer)).does(&format!("media, {other:?} INVITE+sdp"));
        assert_eq!(h.told(other), "sendonly");
        h.answered(other, "recvonly", "");
        h.resumes_without_offer().flows_both_ways();
    }
}

#[test] // RFC 3261 §14.1: both press the button at once; one of them is heard first, the other one then
fn both_hold_at_once() {
    for mut h in Holding::each() {
        let (one, two) = (h.holder, h.other);
        let (first, second) = (h.sdp(one, "sendonly", "actpass"), h.sdp(two, "sendonly", "actpass"));
        h.t.sends(one, Method::Invite, Some(&first)).does(&format!("{two:?} INVITE+sdp"));
        h.t.sends(two, Method::Invite, Some(&second)).does(&format!("{two:?} 491"));
        h.t.answers(two, 491, None).does("");
        // Their own timers: the second one comes first, now that nothing of ours is open there.
        h.t.sends(two, Method::Invite, Some(&second)).does(&format!("{two:?} 491"));
        h.t.fires(CallTimer::Retry(two)).does(&format!("{two:?} INVITE+sdp"));
        h.answered(two, "recvonly", &format!(", {one:?} 200+sdp"));
        h.t.acks(one, None).does("");
        h.offers(two, "sendonly", "inactive");
        h.offers(one, "sendrecv", "sendonly").offers(two, "sendrecv", "sendrecv").flows_both_ways();
    }
}

#[test] // the user held meanwhile: who is told "sendrecv" answers what he wants, and the other one hears that
fn an_answer_to_our_own_offer_is_passed_on() {
    for mut h in Holding::each() {
        let (holder, other) = (h.holder, h.other);
        h.offers(holder, "sendonly", "recvonly");
        h.t.sends(holder, Method::Invite, None).and();
        let answer = h.sdp(holder, "sendrecv", "active");
        h.t.acks(holder, Some(&answer)).does(&format!("media, {other:?} INVITE+sdp"));
        let answer = h.sdp(other, "recvonly", "active");
        h.t.answers(other, 200, Some(&answer)).does(&format!("{other:?} ACK, {holder:?} INVITE+sdp"));
        assert_eq!(h.told(holder), "recvonly");
        let answer = h.sdp(holder, "sendonly", "active");
        h.t.answers(holder, 200, Some(&answer)).does(&format!("{holder:?} ACK, media"));
    }
}
