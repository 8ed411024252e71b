//! Random walks: whatever the peers, the relay and the timers do, in whatever order, both legs end and nothing is left.

use relay_api::{EventKind, LegName, RelayError, Service};
use sip_core::call::{Call, Event, Failure};
use sip_core::message::{Message, Method};

use super::sdp::{browser, trunk};
use super::trace::{A, B, Kind, Trace, describe};

#[test]
fn every_walk_ends_with_both_legs_over() {
    for seed in 1..=SEEDS {
        let mut walk = Walk::new(seed);
        for _ in 0..walk.chance.below(60) {
            walk.step();
        }
        walk.end();
    }
}

#[test]
fn the_same_walk_takes_the_same_way() {
    for seed in 1..=20 {
        let walked = |seed| {
            let mut walk = Walk::new(seed);
            for _ in 0..40 {
                walk.step();
            }
            (walk.t.call.clone(), walk.t.a.inbox.clone(), walk.t.b.inbox.clone())
        };
        assert_eq!(walked(seed), walked(seed), "seed {seed}");
    }
}

struct Walk {
    seed: u64,
    chance: Chance,
    t: Trace,
    version: u32,
    /// Requests of the peers, to be sent again.
    sent: Vec<(LegName, Message)>,
}

impl Walk {
    fn new(seed: u64) -> Self {
        println!("seed {seed}");
        let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let kind = chance.one_of(&[
            Kind::BrowserToTrunk,
            Kind::TrunkToBrowser,
            Kind::BrowserToBrowser,
            Kind::BrowserTo(Service::Echo),
            Kind::BrowserTo(Service::Tone),
        ]);
        // Some walks begin where most of the interesting things happen.
        let mut t = match chance.below(3) {
            0 => Trace::established(kind),
            _ => {
                let mut t = Trace::new(kind);
                t.candidates = 1 + chance.below(3) as u8;
                let offer = t.a.offer();
                let offer = (chance.below(4) > 0).then_some(offer);
                t.invites(offer.as_deref());
                t
            }
        };
        t.stores = seed.is_multiple_of(16);
        Self { seed, chance, t, version: 10, sent: Vec::new() }
    }

    fn step(&mut self) {
        let leg = self.chance.one_of(&[A, B]);
        match self.chance.below(20) {
            0..=4 => self.request(leg),
            5..=10 => self.response(),
            11 => self.ack(leg),
            12 | 13 => self.relay(leg),
            14 | 15 => self.timer(),
            16 => self.failure(),
            17 => self.repeat(),
            18 => self.flow(leg),
            _ => self.cancel(),
        }
    }

    /// Ends the call, answers nothing any more and lets every timer pass.
    fn end(&mut self) {
        self.t.terminated();
        for _ in 0..40 {
            if self.t.summary.is_some() {
                break;
            }
            self.everything_fails();
            let due: Vec<_> = self.t.timers.keys().copied().collect();
            for timer in due {
                if self.t.timers.contains_key(&timer) {
                    self.t.fires(timer);
                }
            }
        }
        let seed = self.seed;
        assert!(self.t.summary.is_some(), "seed {seed}: {:?}", self.t.call);
        assert!(self.t.call.as_ref().is_some_and(Call::is_ended), "seed {seed}");
        assert_eq!(self.t.released, u32::from(self.t.spec.is_some()), "seed {seed}: released once");
        assert!(self.t.timers.is_empty(), "seed {seed}: {:?}", self.t.timers);
    }

    fn request(&mut self, leg: LegName) {
        if self.t.peer(leg).gateway_tag.is_none() {
            return;
        }
        let method = self.chance.one_of(&METHODS);
        let has_sdp = matches!(method, Method::Invite | Method::Update) && self.chance.below(4) > 0;
        let sdp = has_sdp.then(|| self.description(leg));
        let stranger = self.chance.below(12) == 0;
        let tag = self.t.peer(leg).tag.clone();
        if stranger {
            self.t.peer_mut(leg).tag = "stranger".into();
        }
        let message = self.t.peer_mut(leg).request(&method, sdp.as_deref(), &[]);
        self.t.peer_mut(leg).tag = tag;
        if !stranger {
            self.sent.push((leg, message.clone()));
        }
        if self.has(leg) {
            self.t.delivers(leg, message);
        }
    }

    /// To any request of ours, old ones included.
    fn response(&mut self) {
        let Some((leg, request)) = self.any_request() else { return };
        let status = self
            .chance
            .one_of(&[100, 180, 183, 200, 200, 200, 302, 401, 408, 430, 481, 486, 487, 488, 491, 503]);
        let has_sdp = *request.method() == Method::Invite && status < 300 && self.chance.below(5) > 0;
        let sdp = has_sdp.then(|| self.description(leg));
        let first = leg == B && request.to_tag().is_none();
        let fork = (first && self.chance.below(4) == 0).then_some("fork");
        self.t.answers_to(leg, &request, status, sdp.as_deref(), fork, &[]);
    }

    fn ack(&mut self, leg: LegName) {
        if !self.t.peer(leg).inbox.iter().any(|message| !message.is_request()) {
            return;
        }
        let sdp = (self.chance.below(2) == 0).then(|| self.description(leg));
        if self.has(leg) {
            self.t.acks(leg, sdp.as_deref());
        }
    }

    fn relay(&mut self, leg: LegName) {
        match self.chance.below(16) {
            0 => self.t.relay_says(leg, EventKind::MediaTimeout),
            1 => self.t.feed(Event::MediaFailed(RelayError::Unavailable)),
            2 => self.t.feed(Event::MediaFailed(RelayError::Stale { revision: 1 })),
            3 => self.t.relay_says(leg, EventKind::MediaStarted),
            4 => {
                let peer = "2001:db8::8".parse().unwrap();
                self.t.feed(Event::MediaFailed(RelayError::NoAddress { peer }))
            }
            _ => {
                let spec = self.t.spec.clone().expect("media was declared with the INVITE");
                self.t.feed(Event::MediaReady(Box::new(describe(&spec))))
            }
        };
    }

    fn timer(&mut self) {
        let mut due: Vec<_> = self.t.timers.keys().copied().collect();
        due.sort_by_key(|timer| format!("{timer:?}"));
        if !due.is_empty() {
            let timer = self.chance.one_of(&due);
            self.t.fires(timer);
        }
    }

    fn failure(&mut self) {
        let Some((leg, request)) = self.any_request() else { return };
        let failure = self.chance.one_of(&[Failure::Timeout, Failure::Transport]);
        self.fail(leg, &request, failure);
    }

    fn repeat(&mut self) {
        if !self.sent.is_empty() {
            let at = self.chance.below(self.sent.len() as u64) as usize;
            let (leg, message) = self.sent[at].clone();
            if self.has(leg) {
                self.t.delivers(leg, message);
            }
        }
    }

    fn flow(&mut self, leg: LegName) {
        match self.chance.below(2) {
            0 => self.t.flow_lost(leg),
            _ => self.t.flow_restored(leg),
        };
    }

    fn cancel(&mut self) {
        self.t.cancels(A, &[]);
    }

    fn everything_fails(&mut self) {
        for leg in [A, B] {
            for request in self.t.peer(leg).inbox.clone() {
                if request.is_request() && *request.method() != Method::Ack {
                    self.fail(leg, &request, Failure::Timeout);
                }
            }
        }
    }

    fn fail(&mut self, leg: LegName, request: &Message, failure: Failure) {
        let (cseq, method) = request.cseq();
        self.t.feed(Event::ClientFailed { leg, cseq, method: method.clone(), failure });
    }

    fn any_request(&mut self) -> Option<(LegName, Message)> {
        let asked = |leg: LegName| {
            let inbox = self.t.peer(leg).inbox.iter();
            inbox.filter(|m| m.is_request() && *m.method() != Method::Ack).map(move |m| (leg, m.clone()))
        };
        let all: Vec<_> = asked(A).chain(asked(B)).collect();
        (!all.is_empty()).then(|| all[self.chance.below(all.len() as u64) as usize].clone())
    }

    fn has(&self, leg: LegName) -> bool {
        leg == A || !self.t.b.inbox.is_empty()
    }

    fn description(&mut self, leg: LegName) -> String {
        self.version += 1;
        let version = self.version;
        let direction = self.chance.one_of(&["sendrecv", "sendrecv", "sendonly", "recvonly", "inactive"]);
        let formats = self.chance.one_of(&["0 8 101", "0", "8", "8 0", "9", "111 0"]);
        match self.t.peer(leg).offer().contains("SAVPF") {
            true => {
                let setup = self.chance.one_of(&["actpass", "active", "passive"]);
                let ufrag = self.chance.one_of(&["aaaa", "aaaa", "aaaa", "rstrt"]);
                browser(version, ufrag, formats, direction, setup)
            }
            false => {
                let address = self.chance.one_of(&["192.0.2.9", "192.0.2.10", "0.0.0.0", "198.51.100.2"]);
                trunk(version, address, &formats.replace("111 ", ""), direction)
            }
        }
    }
}

/// xorshift64*; a walk depends on its seed alone.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % limit
    }

    fn one_of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize].clone()
    }
}

const METHODS: [Method; 10] = [
    Method::Invite,
    Method::Invite,
    Method::Invite,
    Method::Update,
    Method::Bye,
    Method::Info,
    Method::Options,
    Method::Notify,
    Method::Refer,
    Method::Register,
];
const SEEDS: u64 = 2_000;
