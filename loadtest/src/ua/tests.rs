#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use Operation::{OutAcknowledged, OutAnswered, OutHangUp, OutRinging, Register};

const MS: Duration = Duration::from_millis(1);
const SCRIPT: Script = Script {
    ring: MS.saturating_mul(100),
    hold: MS.saturating_mul(1_000),
    timeout: MS.saturating_mul(5_000),
    expires: 600,
};

fn party(name: &str, reliability: Reliability) -> Party {
    Party {
        identity: Identity {
            transport: "WS",
            sent_by: format!("{name}.invalid"),
            contact: format!("<sip:{name}@{name}.invalid;transport=ws>"),
        },
        aor: format!("sip:{name}@example.com"),
        flavour: if name == "trunk" { Flavour::Trunk } else { Flavour::Browser },
        reliability,
        script: SCRIPT,
        measures: Measures {
            ringing: OutRinging,
            answered: OutAnswered,
            hang_up: OutHangUp,
            acknowledged: OutAcknowledged,
        },
        credentials: Some((Credentials { user: name.into(), password: "secret".into() }, Algorithm::Md5)),
    }
}

/// Two agents on one wire, with a clock that jumps to whatever is due.
struct Pair {
    now: Instant,
    phone: Agent<()>,
    trunk: Agent<()>,
    outcomes: Vec<Outcome>,
    wire: Vec<String>,
    /// Drops messages that start so, once each.
    lose: Vec<&'static str>,
}

impl Pair {
    fn new(reliability: Reliability) -> Self {
        Self {
            now: Instant::now(),
            phone: Agent::new(party("phone", reliability), Tokens::with_prefix("p"), 4),
            trunk: Agent::new(party("trunk", reliability), Tokens::with_prefix("t"), 4),
            outcomes: Vec::new(),
            wire: Vec::new(),
            lose: Vec::new(),
        }
    }

    /// Delivers everything; then lets time pass, until `end` from now.
    fn run(&mut self, end: Duration) {
        let end = self.now + end;
        loop {
            self.deliver();
            let due = self.phone.poll_timeout().into_iter().chain(self.trunk.poll_timeout()).min();
            match due.filter(|due| *due <= end) {
                Some(due) => self.now = due.max(self.now),
                None => break,
            }
            self.phone.handle_timeout(self.now);
            self.trunk.handle_timeout(self.now);
        }
        self.now = end;
    }

    fn deliver(&mut self) {
        loop {
            let (output, to_trunk) = match self.phone.poll_output() {
                Some(output) => (output, true),
                None => match self.trunk.poll_output() {
                    Some(output) => (output, false),
                    None => return,
                },
            };
            match output {
                Output::Report(outcome) => self.outcomes.push(outcome),
                Output::Send((), message) => {
                    self.wire.push(message.split(['\r', ':']).next().unwrap().to_owned());
                    if let Some(index) = self.lose.iter().position(|start| message.starts_with(start)) {
                        self.lose.remove(index);
                        continue;
                    }
                    let to = if to_trunk { &mut self.trunk } else { &mut self.phone };
                    to.handle_input(message.as_bytes(), (), self.now);
                }
            }
        }
    }

    fn done(&self, operation: Operation) -> Vec<Duration> {
        self.outcomes
            .iter()
            .filter_map(|outcome| match outcome {
                Outcome::Done(done, took) if *done == operation => Some(*took),
                _ => None,
            })
            .collect()
    }
}

#[test]
fn a_call_rings_is_answered_and_hung_up_by_the_script() {
    let mut pair = Pair::new(Reliability::Reliable);
    let busy = Arc::new(AtomicBool::new(false));
    pair.phone.dial("sip:100@example.com", (), Seized::take(&busy), pair.now);
    assert!(Seized::take(&busy).is_none());
    pair.run(MS * 1_500);
    assert_eq!(
        pair.wire,
        [
            "INVITE sip",
            "SIP/2.0 100 Trying",
            "SIP/2.0 180 Ringing",
            "SIP/2.0 200 OK",
            "ACK sip",
            "BYE sip",
            "SIP/2.0 200 OK"
        ]
    );
    assert_eq!(pair.done(OutRinging), [Duration::ZERO]);
    assert_eq!(pair.done(OutAnswered), [SCRIPT.ring]);
    assert_eq!((pair.done(OutAcknowledged).len(), pair.done(OutHangUp).len()), (1, 1));
    assert!(!busy.load(Ordering::Acquire), "the phone is free again");
    pair.run(MS * 60_000);
    assert!(pair.phone.calls.is_empty() && pair.trunk.calls.is_empty());
}

#[test] // RFC 3261 §17.1.1.2 timer A, §13.3.1.4, §17.1.2.2 timer E
fn over_udp_every_lost_message_is_repeated() {
    let mut pair = Pair::new(Reliability::Unreliable);
    pair.lose = vec!["INVITE", "SIP/2.0 200", "ACK", "BYE"];
    pair.phone.dial("sip:100@example.com", (), None, pair.now);
    pair.run(MS * 60_000);
    assert_eq!(pair.done(OutHangUp).len(), 1);
    assert!(
        !pair.outcomes.iter().any(|outcome| matches!(outcome, Outcome::Failed(..))),
        "{:?}",
        pair.outcomes
    );
    assert!(pair.phone.calls.is_empty() && pair.trunk.calls.is_empty());
}

#[test]
fn an_unanswered_call_is_cancelled_and_counted() {
    let mut pair = Pair::new(Reliability::Reliable);
    pair.trunk.voice.party.script.ring = SCRIPT.timeout * 2;
    pair.phone.dial("sip:100@example.com", (), None, pair.now);
    pair.run(MS * 60_000);
    assert_eq!(pair.wire[3..], ["CANCEL sip", "SIP/2.0 200 OK", "SIP/2.0 487 RequestTerminated", "ACK sip"]);
    assert!(pair.outcomes.contains(&Outcome::Failed(OutAnswered, Failure::Timeout)));
    assert!(pair.phone.calls.is_empty() && pair.trunk.calls.is_empty());
}

#[test]
fn a_lost_connection_fails_what_is_under_way_and_frees_the_phone() {
    let mut pair = Pair::new(Reliability::Reliable);
    let busy = Arc::new(AtomicBool::new(false));
    pair.phone.dial("sip:100@example.com", (), Seized::take(&busy), pair.now);
    pair.phone.register((), pair.now);
    pair.phone.connection_lost();
    pair.deliver();
    assert!(pair.outcomes.contains(&Outcome::Failed(OutAnswered, Failure::ConnectionLost)));
    assert!(pair.outcomes.contains(&Outcome::Failed(Register, Failure::ConnectionLost)));
    assert!(!busy.load(Ordering::Acquire));
}

#[test]
fn ending_a_run_hangs_up_and_cancels() {
    let mut pair = Pair::new(Reliability::Reliable);
    pair.phone.dial("sip:100@example.com", (), None, pair.now);
    pair.run(SCRIPT.ring * 2);
    pair.phone.dial("sip:101@example.com", (), None, pair.now);
    pair.run(SCRIPT.ring / 2);
    pair.phone.hang_up_all(pair.now);
    pair.run(SCRIPT.ring);
    assert!(!pair.phone.in_call() && !pair.trunk.in_call());
    assert!(
        pair.wire.iter().any(|line| line == "CANCEL sip") && pair.wire.iter().any(|line| line == "BYE sip")
    );
}

#[test]
fn a_busy_agent_answers_486_and_a_stray_bye_481() {
    let mut pair = Pair::new(Reliability::Reliable);
    pair.trunk.max_calls = 0;
    pair.phone.dial("sip:100@example.com", (), None, pair.now);
    pair.run(MS);
    assert!(pair.outcomes.contains(&Outcome::Failed(OutAnswered, Failure::Status(486))));
    let bye = "BYE sip:x SIP/2.0\r\nVia: SIP/2.0/WS v\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:b@x>;tag=2\r\nCall-ID: no\r\nCSeq: 1 BYE\r\n\r\n";
    pair.phone.handle_input(bye.as_bytes(), (), pair.now);
    let Some(Output::Send((), answer)) = pair.phone.poll_output() else { panic!("no answer") };
    assert!(answer.starts_with("SIP/2.0 481 "), "{answer}");
}

/// Answers the request the agent sent last.
fn reply(phone: &mut Agent<()>, now: Instant, status: u16, headers: &str) {
    let Some(Output::Send((), request)) =
        std::iter::from_fn(|| phone.poll_output()).filter(|output| matches!(output, Output::Send(..))).last()
    else {
        panic!("nothing was sent")
    };
    let request = Received::parse(request.as_bytes()).unwrap();
    let answer = write::response(&request, status, Some("r"), Vec::new(), None)
        .replace("Content-Length", &format!("{headers}Content-Length"));
    phone.handle_input(answer.as_bytes(), (), now);
}

#[test] // RFC 3261 §10.3 (423), §22.2; RFC 7616 §3.3 stale
fn a_phone_registers_through_challenge_and_longer_interval() {
    let now = Instant::now();
    let mut phone = Agent::<()>::new(party("phone", Reliability::Reliable), Tokens::with_prefix("p"), 1);
    phone.register((), now);
    reply(&mut phone, now, 401, "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\r\n");
    reply(&mut phone, now, 423, "Min-Expires: 1800\r\n");
    let Some(Output::Send((), request)) = phone.poll_output() else { panic!("no third REGISTER") };
    assert!(request.contains(";expires=1800\r\n") && request.contains("CSeq: 3 REGISTER"), "{request}");
    let request = Received::parse(request.as_bytes()).unwrap();
    phone.handle_input(write::response(&request, 200, Some("r"), Vec::new(), None).as_bytes(), (), now + MS);
    assert_eq!(phone.poll_output(), Some(Output::Report(Outcome::Done(Register, MS))));
}

#[test]
fn a_refused_registration_ends_after_three_tries() {
    let now = Instant::now();
    let mut phone = Agent::<()>::new(party("phone", Reliability::Reliable), Tokens::with_prefix("p"), 1);
    phone.register((), now);
    for _ in 0..3 {
        reply(&mut phone, now, 401, "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\r\n");
    }
    assert_eq!(phone.poll_output(), Some(Output::Report(Outcome::Failed(Register, Failure::Status(401)))));
    assert_eq!(phone.poll_timeout(), None);
}
