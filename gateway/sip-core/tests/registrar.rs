//! Registrations as a registrar sees them: RFC 3261 §10.3, RFC 5626 §6.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use sip_core::message::{Limits, Message, Status};
use sip_core::registrar::{Bindings, Policy, RegisterError, Registered, register};
use sip_core::routing::FlowId;
use sip_core::time::UnixMillis;

#[test] // RFC 3261 §10.3 step 8: the Contact comes back byte for byte, with the time it got
fn a_browser_registers_refreshes_and_leaves() {
    let mut alice = User::new();
    alice.sends("1 REGISTER", &[&contact("x7k2@f3.invalid", 1), "Expires: 600", "User-Agent: JsSIP 3.10"]).is_ok(&[
        "<sip:x7k2@f3.invalid;transport=ws>;+sip.instance=\"<urn:uuid:00000000-0000-0000-0000-000000000001>\"\
         ;reg-id=1;expires=600",
    ]);
    assert_eq!(alice.bindings.active(alice.now).next().unwrap().user_agent.as_deref(), Some("JsSIP 3.10"));
    alice.waits(300).sends("2 REGISTER", &[&contact("x7k2@f3.invalid", 1), "Expires: 600"]).expires(&[600]);
    alice.sends("3 REGISTER", &[&contact("x7k2@f3.invalid", 1), "Expires: 0"]).is_ok(&[]);
    assert_eq!(alice.bindings, Bindings::default());
}

#[test] // RFC 3261 §10.3 step 6: without Contact it is a question
fn a_query_lists_what_is_there() {
    let mut alice = User::new();
    alice.sends("1 REGISTER", &["Contact: <sip:a@192.0.2.1>;q=0.7, <sip:b@192.0.2.2>;q=1;expires=120"]);
    let before = alice.bindings.clone();
    alice
        .waits(10)
        .sends("1 REGISTER", &[])
        .is_ok(&["<sip:a@192.0.2.1>;q=0.7;expires=590", "<sip:b@192.0.2.2>;q=1;expires=110"]);
    assert_eq!(alice.bindings, before);
}

#[test] // RFC 3261 §10.2.1.1: the parameter before the header, the header before the policy
fn each_contact_has_its_own_time() {
    let mut alice = User::new();
    alice
        .sends("1 REGISTER", &["Contact: <sip:a@h>;expires=100", "Contact: <sip:b@h>", "Expires: 200"])
        .expires(&[100, 200]);
    alice.sends("2 REGISTER", &["Contact: <sip:c@h>"]).expires(&[100, 200, 600]);
    alice.sends("3 REGISTER", &["Contact: <sip:c@h>;expires=99999999999"]).expires(&[100, 200, 3600]);
    alice.sends("4 REGISTER", &["Contact: <sip:a@h>;expires=0, <sip:b@h>"]).expires(&[600, 3600]);
}

#[test] // RFC 3261 §10.3 step 7: 423 with Min-Expires, and nothing of the request is done
fn a_brief_registration_is_refused_as_a_whole() {
    let mut alice = User::new();
    let brief = alice.sends("1 REGISTER", &["Contact: <sip:a@h>;expires=600, <sip:b@h>;expires=59"]);
    assert_eq!(brief.0, Err(RegisterError::TooBrief { min_expires: 60 }));
    let error = brief.0.unwrap_err();
    assert_eq!((error.status(), error.min_expires()), (Status::INTERVAL_TOO_BRIEF, Some(60)));
    alice.sends("2 REGISTER", &[]).is_ok(&[]);
    alice.sends("3 REGISTER", &["Contact: <sip:a@h>;expires=60"]).expires(&[60]);
}

#[test]
fn a_policy_whose_minimum_is_above_its_maximum_still_lets_users_in() {
    let mut alice = User::new();
    alice.policy.max_expires = 30;
    alice.sends("1 REGISTER", &["Contact: <sip:a@h>;expires=600"]).expires(&[30]);
}

#[test] // RFC 3261 §10.2.2
fn a_star_removes_all_and_only_with_expires_0() {
    let mut alice = User::new();
    alice.sends("1 REGISTER", &["Contact: <sip:a@h>, <sip:b@h>"]).expires(&[600, 600]);
    for wrong in [&["Contact: *"][..], &["Contact: *", "Expires: 600"], &["Contact: *", "Expires: nonsense"]]
    {
        alice.sends("2 REGISTER", wrong).fails(RegisterError::BadCombination);
    }
    alice.sends("2 REGISTER", &["Contact: *, <sip:a@h>", "Expires: 0"]).fails(RegisterError::BadContact);
    alice.sends("1 REGISTER", &["Contact: *", "Expires: 0"]).fails(RegisterError::OutOfOrder);
    alice.sends("2 REGISTER", &["Contact: *", "Expires: 0"]).is_ok(&[]);
    alice.sends("3 REGISTER", &["Contact: *", "Expires: 0"]).is_ok(&[]);
}

#[test] // RFC 3261 §10.3 step 7
fn the_order_of_a_call_id_is_kept() {
    let mut alice = User::new();
    alice.sends("5 REGISTER", &["Contact: <sip:a@h>"]).expires(&[600]);
    for late in ["5 REGISTER", "4 REGISTER"] {
        alice.sends(late, &["Contact: <sip:a@h>;expires=0"]).fails(RegisterError::OutOfOrder);
        alice.sends(late, &["Contact: <sip:b@h>, <sip:a@h>"]).fails(RegisterError::OutOfOrder);
    }
    assert_eq!(RegisterError::OutOfOrder.status(), Status::SERVER_INTERNAL_ERROR);
    // Another contact is not concerned, and a phone that restarted has a new Call-ID.
    alice.sends("4 REGISTER", &["Contact: <sip:b@h>"]).expires(&[600, 600]);
    alice.restarts().sends("1 REGISTER", &["Contact: <sip:a@h>;expires=300"]).expires(&[300, 600]);
}

#[test]
fn a_contact_named_twice_in_one_request_is_one() {
    let mut alice = User::new();
    alice.sends("1 REGISTER", &["Contact: <sip:a@h>;expires=100, <sip:%61@H>;expires=200"]).expires(&[200]);
}

#[test] // RFC 3261 §19.1.4
fn contacts_are_compared_as_uris() {
    let mut alice = User::new();
    alice.sends("1 REGISTER", &["Contact: <sip:a@host.example>"]).expires(&[600]);
    alice
        .sends("2 REGISTER", &["Contact: <sip:a@HOST.example>;expires=300"])
        .is_ok(&["<sip:a@HOST.example>;expires=300"]);
    alice.sends("3 REGISTER", &["Contact: <sip:a@host.example;transport=tcp>"]).expires(&[300, 600]);
}

#[test] // RFC 5626 §6: instance and reg-id name the flow; the URI may change, as it does when a page is loaded again
fn a_reloaded_page_replaces_its_binding_and_names_the_old_flow() {
    let mut alice = User::new();
    alice.over(flow(1)).sends("1 REGISTER", &[&contact("old@f1.invalid", 1), OUTBOUND]).expires(&[600]);
    alice.over(flow(2)).restarts();
    let registered = alice.sends("1 REGISTER", &[&contact("new@f2.invalid", 1), OUTBOUND]).0.unwrap();
    assert_eq!(registered.replaced_flows, [flow(1)]);
    assert!(registered.outbound);
    let bindings: Vec<_> = alice.bindings.active(alice.now).collect();
    assert_eq!(bindings.len(), 1);
    assert_eq!(
        (bindings[0].contact.as_str(), bindings[0].flow),
        ("sip:new@f2.invalid;transport=ws", Some(flow(2)))
    );

    // Another device of the same user stays beside it, and a refresh replaces no flow.
    alice
        .over(flow(3))
        .restarts()
        .sends("1 REGISTER", &[&contact("x@f3.invalid", 2), OUTBOUND])
        .expires(&[600, 600]);
    let refreshed = alice.sends("2 REGISTER", &[&contact("x@f3.invalid", 2), OUTBOUND]).0.unwrap();
    assert!(refreshed.replaced_flows.is_empty());
    assert!(alice.bindings.remove_flow(flow(3)) && !alice.bindings.remove_flow(flow(3)));
}

#[test] // RFC 3261 §10.3 step 7: the Contact URI alone names the binding
fn a_contact_without_reg_id_that_comes_by_another_connection_names_the_old_flow() {
    let mut alice = User::new();
    let plain = "Contact: <sip:a@f1.invalid;transport=ws>";
    alice.over(flow(1)).sends("1 REGISTER", &[plain]).expires(&[600]);
    let refreshed = alice.sends("2 REGISTER", &[plain]).0.unwrap();
    assert_eq!(refreshed.replaced_flows, []);
    let moved = alice.over(flow(2)).sends("3 REGISTER", &[plain]).0.unwrap();
    assert_eq!(moved.replaced_flows, [flow(1)]);
    assert_eq!(
        alice.bindings.active(alice.now).map(|binding| binding.flow).collect::<Vec<_>>(),
        [Some(flow(2))]
    );
    let other =
        alice.over(flow(3)).sends("4 REGISTER", &["Contact: <sip:a@f3.invalid;transport=ws>"]).0.unwrap();
    assert_eq!(other.replaced_flows, [], "another contact replaces nobody's flow");
}

#[test] // RFC 5626 §6
fn reg_ids_need_an_instance_and_come_alone() {
    let mut alice = User::new();
    let two = "Contact: <sip:a@h>;+sip.instance=\"<urn:x:1>\";reg-id=1, <sip:b@h>;+sip.instance=\"<urn:x:1>\";reg-id=2";
    alice.sends("1 REGISTER", &[two, OUTBOUND]).fails(RegisterError::BadCombination);
    let registered = alice.sends("2 REGISTER", &["Contact: <sip:a@h>;reg-id=1", OUTBOUND]).0.unwrap();
    assert!(!registered.outbound);
    assert_eq!(registered.contacts, ["<sip:a@h>;expires=600"]);
    // A phone that does not say `outbound` does not expect it in Require.
    alice.restarts();
    assert!(!alice.sends("1 REGISTER", &[&contact("c@h", 1)]).0.unwrap().outbound);
}

#[test]
fn what_has_expired_is_gone_and_forgotten() {
    let mut alice = User::new();
    alice.sends("9 REGISTER", &["Contact: <sip:a@h>;expires=60, <sip:b@h>;expires=61"]);
    assert_eq!(alice.bindings.latest_expiry(), Some(alice.now.plus(Duration::from_secs(61))));
    alice.waits(60);
    assert_eq!(alice.bindings.active(alice.now).count(), 1);
    // Its Call-ID and CSeq are forgotten too.
    alice.sends("1 REGISTER", &["Contact: <sip:a@h>"]).expires(&[1, 600]);
}

#[test] // SECURITY: 10 bindings
fn there_is_room_for_so_many_contacts() {
    let mut alice = User::new();
    let many =
        |count: u32| (0..count).map(|number| format!("<sip:c{number}@h>")).collect::<Vec<_>>().join(", ");
    alice.sends("1 REGISTER", &[&format!("Contact: {}", many(11))]).fails(RegisterError::TooMany);
    alice.sends("2 REGISTER", &[&format!("Contact: {}", many(10))]).expires(&[600; 10]);
    alice.sends("3 REGISTER", &["Contact: <sip:one-more@h>"]).fails(RegisterError::TooMany);
    alice.sends("4 REGISTER", &["Contact: <sip:c0@h>;expires=0, <sip:one-more@h>"]).expires(&[600; 10]);
    assert_eq!(RegisterError::TooMany.status(), Status::SERVICE_UNAVAILABLE);
}

#[test]
fn contacts_that_cannot_be_called_are_refused() {
    let mut alice = User::new();
    for (value, error) in [
        ("<tel:+15551234>", RegisterError::Scheme),
        ("<mailto:a@h>", RegisterError::Scheme),
        ("<http://h/>", RegisterError::Scheme),
        ("<sip:a@h?Route=%3Csip:evil%3E>", RegisterError::BadContact),
        ("<sip:a@h", RegisterError::BadContact),
        ("<sip:@h>", RegisterError::BadContact),
        ("<sip:a@h>;+sip.instance=\"<urn:\\\"x>\"", RegisterError::BadContact),
    ] {
        alice.sends("1 REGISTER", &[&format!("Contact: <sip:good@h>, {value}")]).fails(error);
        assert!((400..500).contains(&error.status().code()));
    }
    let long = format!("Contact: <sip:{}@h>", "a".repeat(512));
    alice.sends("1 REGISTER", &[&long]).fails(RegisterError::BadContact);
    assert_eq!(alice.bindings, Bindings::default());
}

#[test]
fn bindings_survive_storage() {
    let mut alice = User::new();
    alice.over(flow(u64::MAX)).sends("1 REGISTER", &[&contact("a@h", 1), "User-Agent: x"]);
    alice.sends("2 REGISTER", &["Contact: <sip:b@h>;q=0.123"]);
    let text = serde_json::to_string(&alice.bindings).unwrap();
    assert_eq!(serde_json::from_str::<Bindings>(&text).unwrap(), alice.bindings);
}

const OUTBOUND: &str = "Supported: path, gruu, outbound";

fn contact(at: &str, instance: u8) -> String {
    format!(
        "Contact: <sip:{at};transport=ws>;+sip.instance=\"<urn:uuid:00000000-0000-0000-0000-00000000000{instance}>\"\
         ;reg-id=1"
    )
}

fn flow(connection: u64) -> FlowId {
    FlowId { node: 1, connection }
}

/// A user's phones and what the registrar has of them.
struct User {
    bindings: Bindings,
    policy: Policy,
    flow: Option<FlowId>,
    call_id: u32,
    now: UnixMillis,
}

impl User {
    fn new() -> Self {
        let now = UnixMillis(1_790_000_000_000);
        Self { bindings: Bindings::default(), policy: Policy::default(), flow: None, call_id: 1, now }
    }

    fn sends(&mut self, cseq: &str, lines: &[&str]) -> Answer {
        let text = format!(
            "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/WSS f3.invalid;branch=z9hG4bK1\r\n\
             From: <sip:alice@example.com>;tag=1\r\nTo: <sip:alice@example.com>\r\nCall-ID: {}\r\nCSeq: {cseq}\r\n\
             Max-Forwards: 70\r\n{}\r\n\r\n",
            self.call_id,
            lines.join("\r\n")
        );
        let text = text.replace("\r\n\r\n\r\n", "\r\n\r\n");
        let request = Message::parse(text.into(), &Limits::default()).unwrap();
        Answer(register(&mut self.bindings, &request, self.flow, &self.policy, self.now))
    }

    fn waits(&mut self, seconds: u64) -> &mut Self {
        self.now = self.now.plus(Duration::from_secs(seconds));
        self
    }

    fn over(&mut self, flow: FlowId) -> &mut Self {
        self.flow = Some(flow);
        self
    }

    fn restarts(&mut self) -> &mut Self {
        self.call_id += 1;
        self
    }
}

struct Answer(Result<Registered, RegisterError>);

impl Answer {
    fn is_ok(&self, contacts: &[&str]) {
        assert_eq!(self.0.as_ref().unwrap().contacts, contacts);
    }

    fn expires(&self, seconds: &[u32]) {
        let contacts = &self.0.as_ref().unwrap().contacts;
        let found: Vec<u32> =
            contacts.iter().map(|value| value.rsplit_once("expires=").unwrap().1.parse().unwrap()).collect();
        assert_eq!(found, seconds);
    }

    fn fails(&self, error: RegisterError) {
        assert_eq!(self.0.as_ref().err(), Some(&error));
    }
}
