//! Who is believed, and who is not: the rules of the edge, seen from the wire.

use std::time::Duration;

use bytes::Bytes;
use gateway::ports::transport::ConnectionId;
use sip_core::auth::Secret;
use sip_core::auth::client::{self, Credentials};
use sip_core::message::{Limits, Message, Name};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::agent::{Agent, Habits};
use crate::network::{Faults, Place};
use crate::{TRUNK, World, pbx, servers};

const HABITS: Habits = Habits { refuses: 0, never_answers: 100, gives_up: 0, holds: 0, hangs_up: 0 };
const HABITS_OF_AN_SBC: Habits = Habits { refuses: 0, never_answers: 0, gives_up: 0, holds: 0, hangs_up: 0 };
/// In no network of the trunk.
const SBC: &str = "198.51.100.9:5060";
const STRANGER: &str = "127.0.0.77:5060";

/// Somebody who writes his messages by hand.
struct Probe<'w> {
    world: &'w World,
    place: Place,
    inbox: UnboundedReceiver<Bytes>,
    sent: u32,
}

impl<'w> Probe<'w> {
    fn browser(world: &'w World) -> Self {
        Self::at(world, Place::Connection(ConnectionId(99)))
    }

    fn at(world: &'w World, place: Place) -> Self {
        Self { world, place, inbox: world.network.join(place), sent: 0 }
    }

    /// Sends a request and takes what comes back.
    fn asks(&mut self, method: &str, uri: &str, user: &str, more: &str) -> Vec<Message> {
        self.sent += 1;
        let n = self.sent;
        let text = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {STRANGER};branch=z9hG4bKprobe{n};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{user}@localhost>;tag=probe\r\nTo: <sip:{user}@localhost>\r\n\
             Call-ID: probe{n}\r\nCSeq: {n} {method}\r\nContact: <sip:{user}@probe.invalid>\r\n{more}\
             Content-Length: 0\r\n\r\n"
        );
        self.says(text)
    }

    fn says(&mut self, text: String) -> Vec<Message> {
        self.world.network.to_node(self.place, Bytes::from(text));
        self.world.machine.run_for(Duration::from_millis(100));
        std::iter::from_fn(|| self.inbox.try_recv().ok())
            .map(|bytes| Message::parse(bytes, &Limits::default()).unwrap())
            .collect()
    }

    fn registers(&mut self, user: &str, password: &str, to: &str) -> u16 {
        let challenge = self.asks("REGISTER", "sip:localhost", to, "");
        let more = authorization(&challenge[0], user, password, 1);
        code(&self.asks("REGISTER", "sip:localhost", to, &more))
    }
}

fn world() -> World {
    World::new(1, Faults { lost: 0, doubled: 0, delay: 1 }, HABITS)
}

fn authorization(challenge: &Message, user: &str, password: &str, nc: u32) -> String {
    let secret = Secret::password(password);
    let credentials = Credentials { username: user, realm: "localhost", secret: &secret };
    let challenges = challenge.headers(Name::WwwAuthenticate);
    let value =
        client::answer(challenges, &credentials, ("REGISTER", "sip:localhost"), nc, "c0ffee").unwrap();
    format!("Authorization: {value}\r\n")
}

/// The final status among the answers.
fn code(answers: &[Message]) -> u16 {
    let status = answers.iter().filter_map(Message::status).find(|status| status.is_final());
    status.expect("every request is answered").code()
}

#[test]
fn without_credentials_a_browser_gets_nothing_whatever_it_asks() {
    let world = world();
    let mut probe = Probe::browser(&world);
    let methods = [
        "INVITE",
        "REGISTER",
        "OPTIONS",
        "MESSAGE",
        "SUBSCRIBE",
        "NOTIFY",
        "REFER",
        "PUBLISH",
        "BYE",
        "INFO",
    ];
    for method in methods {
        for target in ["sip:browser0@localhost", "sip:+4930123456@localhost"] {
            let status = code(&probe.asks(method, target, "browser1", ""));
            assert!([401, 403, 405, 407, 481].contains(&status), "{method} {target}: {status}");
        }
    }
    assert_eq!(world.trunk.complaints(), Vec::<String>::new(), "the trunk saw nothing of it");
}

#[test]
fn the_address_of_a_trunk_is_worth_nothing_at_the_browsers_edge() {
    let world = world();
    let mut probe = Probe::browser(&world);
    let forged = format!("P-Asserted-Identity: <sip:browser1@{TRUNK}>\r\nX-Forwarded-For: 203.0.113.5\r\n");
    assert_eq!(code(&probe.asks("INVITE", "sip:browser0@localhost", "browser1", &forged)), 401);
}

#[test]
fn a_stranger_at_the_trunks_edge_rings_no_phone() {
    let world = world();
    let mut probe = Probe::at(&world, Place::Udp(STRANGER.parse().unwrap()));
    for method in ["INVITE", "OPTIONS", "REGISTER", "BYE"] {
        assert_eq!(code(&probe.asks(method, "sip:browser0@localhost", "1", "")), 403, "{method}");
    }
    assert!(world.browsers[0].complaints().is_empty(), "nothing rings: {:?}", world.browsers[0].complaints());
}

#[test] // RFC 3261 §8.2.2.1, §16.5
fn a_user_of_another_domain_is_not_ours_of_the_same_name() {
    let world = world();
    let mut probe = Probe::browser(&world);
    assert_eq!(probe.registers("browser1", "secret", "browser1"), 200);
    for host in ["elsewhere.example", "localhost.elsewhere.example", "127.0.0.1", "192.0.2.1:5060"] {
        for user in ["browser0", "+4930123456"] {
            assert_eq!(
                code(&probe.asks("INVITE", &format!("sip:{user}@{host}"), "browser1", "")),
                404,
                "{host}"
            );
        }
    }
    assert!(world.browsers[0].complaints().is_empty(), "nothing rings: {:?}", world.browsers[0].complaints());
    for ours in ["LocalHost", "localhost.", "localhost:5060"] {
        let answers = probe.asks("INVITE", &format!("sip:browser0@{ours}"), "browser1", "");
        assert!(
            answers.iter().filter_map(Message::status).all(|status| !status.is_final()),
            "{ours} is called"
        );
    }
    let mut trunk = Probe::at(&world, Place::Udp("203.0.113.9:5060".parse().unwrap()));
    let answers = trunk.asks("INVITE", "sip:browser0@whatever.it.knows.us.by", "1", "");
    assert!(answers.iter().filter_map(Message::status).all(|status| !status.is_final()), "by a trunk, too");
}

#[test] // RFC 3261 §18.1.2: a response comes from where the request went
fn who_was_asked_may_answer_from_outside_of_the_trunk_s_networks_and_nobody_else() {
    let mut world = World::new(1, Faults { lost: 0, doubled: 0, delay: 1 }, HABITS_OF_AN_SBC);
    let sbc = Agent::new(world.machine.clone(), world.network.clone(), pbx(SBC, HABITS_OF_AN_SBC));
    world.others.push(sbc);
    world.node.trunk_resolved("pbx", 0, &servers(&[SBC]));
    world.browsers[0].call("+4930123456");
    let answered = || world.answered() == 2;
    assert!(world.machine.run_until(Duration::from_secs(20), answered), "both sides");
    let mut probe = Probe::at(&world, Place::Udp(SBC.parse().unwrap()));
    assert_eq!(code(&probe.asks("INVITE", "sip:browser1@localhost", "1", "")), 403, "but it may not ask");
    assert_eq!(world.browsers[1].rang(), 0);
}

#[test]
fn a_trunk_is_never_challenged_and_registers_nobody() {
    let world = world();
    let mut probe = Probe::at(&world, Place::Udp("203.0.113.9:5060".parse().unwrap()));
    assert_eq!(code(&probe.asks("OPTIONS", "sip:anything@gw", "1", "")), 200);
    assert_eq!(code(&probe.asks("REGISTER", "sip:localhost", "browser0", "")), 405);
    world.node.drain();
    assert_eq!(code(&probe.asks("OPTIONS", "sip:anything@gw", "1", "")), 503);
    assert_eq!(code(&probe.asks("INVITE", "sip:browser0@localhost", "1", "")), 503);
}

#[test] // RFC 3261 §19.1.6, RFC 4694: number portability writes parameters into the user part
fn a_number_with_parameters_finds_its_user() {
    let world = world();
    let mut probe = Probe::at(&world, Place::Udp("203.0.113.9:5060".parse().unwrap()));
    let mut statuses = |target: &str| {
        let answers = probe.asks("INVITE", target, "1", "");
        answers.iter().filter_map(Message::status).map(|status| status.code()).collect::<Vec<_>>()
    };
    let found = statuses("sip:browser0;npdi;rn=+4989@gw;user=phone");
    assert!(!found.is_empty() && !found.contains(&404), "{found:?}");
    assert!(statuses("sip:nobody;npdi;rn=+4989@gw;user=phone").contains(&404));
}

#[test]
fn a_user_registers_himself_alone() {
    let world = world();
    let mut probe = Probe::browser(&world);
    assert_eq!(probe.registers("browser1", "secret", "browser2"), 403);
    assert_eq!(probe.registers("browser1", "secret", "browser1"), 200);
}

#[test]
fn wrong_passwords_and_unknown_users_look_alike() {
    let world = world();
    let mut probe = Probe::browser(&world);
    let shape = |answers: Vec<Message>| {
        let names: Vec<String> =
            answers[0].all_headers().map(|(name, _)| name.as_str().to_string()).collect();
        (answers[0].status(), names)
    };
    let challenge = probe.asks("REGISTER", "sip:localhost", "browser1", "");
    let known = authorization(&challenge[0], "browser1", "wrong", 1);
    let unknown = authorization(&challenge[0], "nobody", "wrong", 1);
    let known = shape(probe.asks("REGISTER", "sip:localhost", "browser1", &known));
    let unknown = shape(probe.asks("REGISTER", "sip:localhost", "nobody", &unknown));
    assert_eq!(known, unknown);
    assert_eq!(known.0.unwrap().code(), 401);
}

#[test] // RFC 7616 §3.4: nc
fn a_replayed_proof_is_stale() {
    let world = world();
    let mut probe = Probe::browser(&world);
    let challenge = probe.asks("REGISTER", "sip:localhost", "browser1", "");
    let proof = authorization(&challenge[0], "browser1", "secret", 1);
    assert_eq!(code(&probe.asks("REGISTER", "sip:localhost", "browser1", &proof)), 200);
    let again = probe.asks("REGISTER", "sip:localhost", "browser1", &proof);
    assert_eq!(code(&again), 401);
    assert!(again[0].header(Name::WwwAuthenticate).unwrap().contains("stale=true"));
}

#[test] // RFC 7616 §3.4: a nonce is good on its own connection alone
fn a_proof_from_another_connection_is_stale_however_fresh() {
    let world = world();
    let mut overheard = Probe::browser(&world);
    let challenge = overheard.asks("REGISTER", "sip:localhost", "browser1", "");
    let proof = authorization(&challenge[0], "browser1", "secret", 1);
    let mut thief = Probe::at(&world, Place::Connection(ConnectionId(98)));
    let answer = thief.asks("REGISTER", "sip:localhost", "browser1", &proof);
    assert_eq!(code(&answer), 401);
    assert!(answer[0].header(Name::WwwAuthenticate).unwrap().contains("stale=true"));
    assert_eq!(code(&overheard.asks("REGISTER", "sip:localhost", "browser1", &proof)), 200);
}

#[test]
fn any_number_of_logins_of_one_user_costs_nobody_anything() {
    let world = world();
    let mut probe = Probe::browser(&world);
    for _ in 0..500 {
        assert_eq!(probe.registers("browser1", "secret", "browser1"), 200);
    }
    let mut other = Probe::at(&world, Place::Connection(ConnectionId(98)));
    assert_eq!(other.registers("browser2", "secret", "browser2"), 200);
}

#[test] // RFC 3261 §8.2.7
fn nothing_is_kept_of_a_stranger_and_his_repetitions_are_answered_alike() {
    let world = world();
    let places = [Place::Connection(ConnectionId(98)), Place::Udp(STRANGER.parse().unwrap())];
    for place in places {
        let mut probe = Probe::at(&world, place);
        for method in ["INVITE", "REGISTER", "OPTIONS", "BYE", "CANCEL", "SUBSCRIBE", "NONSENSE"] {
            let first = probe.asks(method, "sip:browser0@localhost", "browser1", "");
            probe.sent -= 1;
            let again = probe.asks(method, "sip:browser0@localhost", "browser1", "");
            assert_eq!((first.len(), again.len()), (1, 1), "{method}: one final answer each, and no 100");
            assert_eq!(first[0].to_tag(), again[0].to_tag(), "{method}");
            assert_eq!(world.left().transactions, 0, "{method}");
        }
    }
}

#[test]
fn guessing_passwords_is_slow_and_nobody_is_locked_out() {
    let world = world();
    let mut probe = Probe::browser(&world);
    let statuses: Vec<u16> = (0..25).map(|_| probe.registers("browser1", "guess", "browser1")).collect();
    assert!(statuses.iter().filter(|status| **status == 401).count() <= 20, "{statuses:?}");
    assert_eq!(statuses.last(), Some(&503));
    assert_eq!(probe.registers("browser2", "secret", "browser2"), 200, "who shares the address");
    world.machine.run_for(Duration::from_secs(60));
    assert_eq!(probe.registers("browser1", "secret", "browser1"), 200);
}

#[test]
fn who_is_refused_unjudged_is_told_when_to_come_back_and_a_page_that_is_signed_in_stays() {
    let world = world();
    let mut probe = Probe::browser(&world);
    let challenge = probe.asks("REGISTER", "sip:localhost", "browser1", "");
    let wrong = authorization(&challenge[0], "browser1", "guess", 1);
    let last = (0..21).map(|_| probe.asks("REGISTER", "sip:localhost", "browser1", &wrong)).last().unwrap();
    assert_eq!(code(&last), 503);
    let wait: u64 = last[0].header(Name::RetryAfter).unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    let mut page = Probe::at(&world, Place::Connection(ConnectionId(1)));
    assert_eq!(page.registers("browser0", "secret", "browser0"), 200);
    for _ in 0..25 {
        page.registers("browser0", "guess", "browser0");
    }
    assert_eq!(page.registers("browser0", "secret", "browser0"), 200, "on a connection of his own");
    world.machine.run_for(Duration::from_secs(wait));
    assert_eq!(probe.registers("browser1", "secret", "browser1"), 200);
}

#[test]
fn a_response_that_matches_nothing_goes_nowhere() {
    let world = world();
    let mut probe = Probe::at(&world, Place::Udp("203.0.113.9:5060".parse().unwrap()));
    let text = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKnone\r\n\
                Via: SIP/2.0/UDP 203.0.113.5:5060;branch=z9hG4bKvictim\r\nFrom: <sip:a@b>;tag=1\r\n\
                To: <sip:c@d>;tag=2\r\nCall-ID: stray\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n";
    assert!(probe.says(text.into()).is_empty());
    assert_eq!(world.trunk.complaints(), Vec::<String>::new());
}

#[test]
fn bytes_that_are_no_message_harm_nobody() {
    let world = world();
    let mut probe = Probe::browser(&world);
    for text in ["", "\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "INVITE sip:a SIP/2.0\r\n\r\n", "\0\0\0\0"] {
        for answer in probe.says(text.into()) {
            assert_eq!(answer.status().unwrap().code() / 100, 4);
        }
    }
    assert_eq!(probe.registers("browser1", "secret", "browser1"), 200, "the connection lives on");
}
