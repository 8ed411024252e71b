//! Two tables, client and server, with a bad network between them: whatever is lost, doubled or overtaken, every
//! INVITE ends for both sides and nothing stays in the tables. A failing seed is printed and can be run alone.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use sip_core::message::{Message, Method, Status};
use sip_core::time::Instant;
use sip_core::transaction::{
    ClientKey, Gone, Output, Received, Reliability, Response, ServerKey, Timing, Transactions, Trying,
    cancel_for,
};

use crate::chance::Chance;
use crate::messages::{Request, response};
use crate::trace::{KEY, PATIENCE, T1, T2};

const SEEDS: u64 = 400;
const CALLS: u32 = 12;

#[test]
fn every_invite_ends_on_both_sides_however_bad_the_network() {
    for seed in 0..SEEDS {
        let result = std::panic::catch_unwind(|| World::new(seed).run());
        if let Err(cause) = result {
            eprintln!("seed {seed} fails");
            std::panic::resume_unwind(cause);
        }
    }
}

/// The network and both transaction users.
struct World {
    chance: Chance,
    reliability: Reliability,
    now: Instant,
    agenda: BinaryHeap<Reverse<(Instant, u64)>>,
    events: BTreeMap<u64, Event>,
    numbered: u64,
    client: Transactions<(), u32>,
    server: Transactions<(), u32>,
    asked: BTreeMap<u32, Asked>,
    answered: BTreeMap<Vec<u8>, Answered>,
}

enum Event {
    ToServer(Message),
    ToClient(Message),
    Ask(u32),
    NoAnswer(u32),
    Answer(Vec<u8>, u16),
    Repeat2xx(Vec<u8>, Duration),
}

/// What the transaction user on the client's side knows of one INVITE.
struct Asked {
    key: ClientKey,
    request: Message,
    finals: Vec<u16>,
    failed: u32,
    has_rung: bool,
}

/// What the one on the server's side knows.
struct Answered {
    key: ServerKey,
    request: Message,
    given: Option<u16>,
    first_2xx: Option<Instant>,
    is_acknowledged: bool,
    no_ack: u32,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut chance = Chance(seed);
        let trying =
            if chance.percent(50) { Trying::AtOnce } else { Trying::After(Duration::from_millis(200)) };
        let timing = Timing { trying, ..Timing::default() };
        let mut world = Self {
            reliability: if chance.percent(80) { Reliability::Unreliable } else { Reliability::Reliable },
            chance,
            now: Instant::START,
            agenda: BinaryHeap::new(),
            events: BTreeMap::new(),
            numbered: 0,
            client: Transactions::new(timing, KEY),
            server: Transactions::new(timing, KEY),
            asked: BTreeMap::new(),
            answered: BTreeMap::new(),
        };
        for number in 0..CALLS {
            let start = world.chance.up_to(5_000);
            world.plan(start, Event::Ask(number));
        }
        world
    }

    fn run(mut self) {
        while let Some(at) = self.next() {
            assert!(at >= self.now, "time runs backwards");
            self.now = at;
            self.client.handle_timeout(at);
            self.server.handle_timeout(at);
            self.drain();
            while let Some(Reverse((due, number))) = self.agenda.peek().copied()
                && due <= at
            {
                self.agenda.pop();
                let event = self.events.remove(&number).unwrap();
                self.happens(event);
                self.drain();
            }
        }
        self.check();
    }

    fn check(self) {
        assert_eq!((self.client.len(), self.server.len()), (0, 0), "transactions are left");
        assert_eq!(self.asked.len(), CALLS as usize);
        for (number, asked) in self.asked {
            let ends = u32::from(!asked.finals.is_empty()) + asked.failed;
            assert_eq!(ends, 1, "INVITE {number} ends {ends} times for its client");
            let Some(answered) = self.answered.get(asked.request.bytes().as_ref()) else { continue };
            let given = answered.given.expect("the server answers all that it gets");
            assert!(
                asked.finals.iter().all(|code| *code == given),
                "INVITE {number}: {:?} for {given}",
                asked.finals
            );
            if given >= 300 {
                assert!(asked.finals.len() <= 1, "INVITE {number}: a failure reaches the TU once");
            }
            assert!(answered.no_ack <= 1);
        }
    }

    fn next(&self) -> Option<Instant> {
        let planned = self.agenda.peek().map(|Reverse((at, _))| *at);
        [planned, self.client.poll_timeout(), self.server.poll_timeout()].into_iter().flatten().min()
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::ToServer(message) => self.server_receives(&message),
            Event::ToClient(message) => self.client_receives(&message),
            Event::Ask(number) => self.ask(number),
            Event::NoAnswer(number) => self.cancel(number),
            Event::Answer(request, code) => self.answer(&request, code),
            Event::Repeat2xx(request, interval) => self.repeat_2xx(request, interval),
        }
    }

    fn ask(&mut self, number: u32) {
        let request =
            Request { cseq: number, ..Request::new("INVITE") }.branch(format!("z9hG4bK{number}")).message();
        let key = self.client.request(request.clone(), (), self.reliability, number, (), self.now).unwrap();
        let asked = Asked { key, request, finals: Vec::new(), failed: 0, has_rung: false };
        self.asked.insert(number, asked);
        let patience = self.chance.up_to(90_000);
        self.plan(patience, Event::NoAnswer(number));
    }

    /// RFC 3261 §9.1: not before a provisional response, and so tried again later.
    fn cancel(&mut self, number: u32) {
        let asked = self.asked.get_mut(&number).unwrap();
        if !asked.finals.is_empty() || asked.failed > 0 {
            return;
        }
        let is_live = self.client.client_key(&asked.request) == Some(asked.key);
        assert!(is_live, "INVITE {number} is gone without an end");
        if !asked.has_rung {
            return self.plan(T1, Event::NoAnswer(number));
        }
        let cancel = cancel_for(&asked.request);
        self.client.request(cancel, (), self.reliability, CANCEL, (), self.now).unwrap();
    }

    fn client_receives(&mut self, message: &Message) {
        let Response::ForTu { user, .. } = self.client.receive_response(message, self.now) else { return };
        let status = message.status().unwrap();
        let Some(asked) = self.asked.get_mut(&user) else { return };
        if status.is_provisional() {
            asked.has_rung = true;
            return;
        }
        asked.finals.push(status.code());
        if status.is_success() {
            let request = Request { cseq: user, to_tag: Some("bob"), ..Request::new("ACK") };
            let ack = request.branch(format!("z9hG4bKack{user}")).message();
            self.transmit(ack, Event::ToServer);
        }
    }

    fn server_receives(&mut self, message: &Message) {
        match self.server.receive_request(message, self.now) {
            Received::New => {
                let key = self.let_in(message);
                self.invited(key, message);
            }
            Received::Cancel { invite } => {
                let cancel = self.let_in(message);
                let code = if invite.is_some() { 200 } else { 481 };
                self.server.respond(&cancel, response(message, code), self.now).unwrap();
                let meant = self.answered.iter().find(|(_, answered)| Some(answered.key) == invite);
                if let Some(request) = meant.map(|(request, _)| request.clone()) {
                    self.answer(&request, 487);
                }
            }
            Received::Ack => {
                let of_ack = message.cseq().0;
                for answered in self.answered.values_mut().filter(|it| it.request.cseq().0 == of_ack) {
                    answered.is_acknowledged = true;
                }
            }
            Received::Absorbed | Received::AckAbsorbed => {}
            Received::Merged => panic!("no INVITE comes by two ways"),
        }
    }

    fn let_in(&mut self, request: &Message) -> ServerKey {
        self.server.admit(request, (), self.reliability, (), self.now).unwrap()
    }

    fn invited(&mut self, key: ServerKey, request: &Message) {
        assert_eq!(*request.method(), Method::Invite);
        let name = request.bytes().to_vec();
        let new = Answered {
            key,
            request: request.clone(),
            given: None,
            first_2xx: None,
            is_acknowledged: false,
            no_ack: 0,
        };
        assert!(self.answered.insert(name.clone(), new).is_none(), "one INVITE is new twice");
        if self.chance.percent(70) {
            let ringing = self.chance.up_to(2_000);
            self.plan(ringing, Event::Answer(name.clone(), 180));
        }
        let code = if self.chance.percent(60) { 200 } else { 486 };
        let decided = self.chance.up_to(120_000);
        self.plan(decided, Event::Answer(name, code));
    }

    fn answer(&mut self, request: &[u8], code: u16) {
        let answered = self.answered.get_mut(request).unwrap();
        if answered.given.is_some() {
            return;
        }
        let status = Status::new(code).unwrap();
        let response = response(&answered.request, code);
        self.server.respond(&answered.key, response, self.now).expect("an INVITE without an answer is alive");
        if status.is_final() {
            answered.given = Some(code);
        }
        if status.is_success() {
            answered.first_2xx = Some(self.now);
            self.plan(T1, Event::Repeat2xx(request.to_vec(), T1));
        }
    }

    /// RFC 3261 §13.3.1.4.
    fn repeat_2xx(&mut self, request: Vec<u8>, interval: Duration) {
        let answered = self.answered.get(&request).unwrap();
        let since = self.now.saturating_since(answered.first_2xx.unwrap());
        if answered.is_acknowledged || since >= PATIENCE {
            return;
        }
        let response = response(&answered.request, 200);
        self.server
            .respond(&answered.key, response, self.now)
            .expect("Accepted lasts as long as the TU repeats");
        let next = (interval * 2).min(T2);
        self.plan(next, Event::Repeat2xx(request, next));
    }

    fn drain(&mut self) {
        while let Some(output) = self.client.poll_output() {
            match output {
                Output::Send { message, .. } => self.transmit(message, Event::ToServer),
                Output::Timeout { user: CANCEL, .. } => {}
                Output::Timeout { user, .. } => self.asked.get_mut(&user).unwrap().failed += 1,
                other => panic!("{other:?} of a client"),
            }
        }
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Send { message, .. } => self.transmit(message, Event::ToClient),
                Output::ServerGone { key, reason: Gone::NoAck } => {
                    self.answered.values_mut().find(|it| it.key == key).unwrap().no_ack += 1;
                }
                other => panic!("{other:?} of a server"),
            }
        }
    }

    /// Over UDP three in ten are lost, one in ten comes twice, and all may overtake each other; TCP only takes time.
    fn transmit(&mut self, message: Message, event: fn(Message) -> Event) {
        if self.reliability == Reliability::Reliable {
            return self.plan(Duration::from_millis(20), event(message));
        }
        if self.chance.percent(30) {
            return;
        }
        let copies = if self.chance.percent(10) { 2 } else { 1 };
        for _ in 0..copies {
            let delay = self.chance.up_to(1_500);
            self.plan(delay, event(message.clone()));
        }
    }

    fn plan(&mut self, after: Duration, event: Event) {
        self.numbered += 1;
        self.agenda.push(Reverse((self.now + after, self.numbered)));
        self.events.insert(self.numbered, event);
    }
}

/// The user value of a CANCEL.
const CANCEL: u32 = u32::MAX;
