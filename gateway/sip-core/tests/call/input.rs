//! Fuzz entry: octets, or a seed, lead a call through events of its peers, its relay, its timers and its flows; both legs must end and
//! nothing may be left. Used by the fuzz target `call`, by the replay of its corpus and by the random walks.

use std::collections::VecDeque;

use relay_api::{EventKind, RelayError, Service};
use sip_core::call::{Call, CallTimer, Event, Failure, LegId};
use sip_core::message::{Message, Method};

use super::sdp::{browser, trunk};
use super::trace::{A, B, Kind, Trace, describe};

/// Goes where the octets lead; the call passes through its stored form before and after each event.
pub fn run(input: &[u8]) {
    let mut walk = Walk::new(Choices::Octets(input.iter().copied().take(LONGEST).collect()));
    while walk.choices.are_left() {
        walk.step();
    }
    walk.end();
}

pub struct Walk {
    pub choices: Choices,
    pub t: Trace,
    version: u32,
    /// Requests of the peers, to be sent again.
    sent: Vec<(LegId, Message)>,
}

impl Walk {
    pub fn new(mut choices: Choices) -> Self {
        let kind = choices.one_of(&[
            Kind::BrowserToTrunk,
            Kind::TrunkToBrowser,
            Kind::BrowserToBrowser,
            Kind::BrowserTo(Service::Echo),
            Kind::BrowserTo(Service::Tone),
        ]);
        // Some walks begin where most of the interesting things happen.
        let t = match choices.below(3) {
            0 => Trace::established(kind),
            _ => {
                let mut t = Trace::new(kind);
                t.candidates = 1 + choices.below(3) as u8;
                let offer = t.a.offer();
                let offer = (choices.below(4) > 0).then_some(offer);
                t.invites(offer.as_deref());
                t
            }
        };
        Self { choices, t, version: 10, sent: Vec::new() }
    }

    pub fn step(&mut self) {
        let leg = self.choices.one_of(&[A, B]);
        match self.choices.below(20) {
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
    pub fn end(&mut self) {
        self.t.terminated();
        for _ in 0..40 {
            if self.t.summary.is_some() {
                break;
            }
            self.everything_fails();
            for timer in self.due() {
                if self.t.timers.contains_key(&timer) {
                    self.t.fires(timer);
                }
            }
        }
        assert!(self.t.summary.is_some(), "{:?}", self.t.call);
        assert!(self.t.call.as_ref().is_some_and(Call::is_ended));
        assert_eq!(self.t.released, u32::from(self.t.spec.is_some()), "released once");
        assert!(self.t.timers.is_empty(), "{:?}", self.t.timers);
    }

    fn request(&mut self, leg: LegId) {
        if self.t.peer(leg).gateway_tag.is_none() {
            return;
        }
        let method = self.choices.one_of(&METHODS);
        let has_sdp = matches!(method, Method::Invite | Method::Update) && self.choices.below(4) > 0;
        let sdp = has_sdp.then(|| self.description(leg));
        let stranger = self.choices.below(12) == 0;
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
            .choices
            .one_of(&[100, 180, 183, 200, 200, 200, 302, 401, 408, 430, 481, 486, 487, 488, 491, 503]);
        let has_sdp = *request.method() == Method::Invite && status < 300 && self.choices.below(5) > 0;
        let sdp = has_sdp.then(|| self.description(leg));
        let first = leg == B && request.to_tag().is_none();
        let fork = (first && self.choices.below(4) == 0).then_some("fork");
        self.t.answers_to(leg, &request, status, sdp.as_deref(), fork, &[]);
    }

    fn ack(&mut self, leg: LegId) {
        if !self.t.peer(leg).inbox.iter().any(|message| !message.is_request()) {
            return;
        }
        let sdp = (self.choices.below(2) == 0).then(|| self.description(leg));
        if self.has(leg) {
            self.t.acks(leg, sdp.as_deref());
        }
    }

    fn relay(&mut self, leg: LegId) {
        match self.choices.below(16) {
            0 => self.t.relay_says(leg, EventKind::MediaTimeout),
            1 => self.t.no_media(RelayError::Unavailable),
            2 => self.t.no_media(RelayError::Stale { revision: 1 }),
            3 => self.t.relay_says(leg, EventKind::MediaStarted),
            4 => {
                let peer = "2001:db8::8".parse().unwrap();
                self.t.no_media(RelayError::NoAddress { peer })
            }
            _ => {
                let spec = self.t.spec.clone().expect("media was declared with the INVITE");
                self.t.feed(Event::MediaReady(Box::new(describe(&spec))))
            }
        };
    }

    fn timer(&mut self) {
        let due = self.due();
        if !due.is_empty() {
            let timer = self.choices.one_of(&due);
            self.t.fires(timer);
        }
    }

    /// The timers that are set, always in the same order.
    #[expect(clippy::disallowed_methods, reason = "sorted at once")]
    fn due(&self) -> Vec<CallTimer> {
        let mut due: Vec<_> = self.t.timers.keys().copied().collect();
        due.sort_by_key(|timer| format!("{timer:?}"));
        due
    }

    fn failure(&mut self) {
        let Some((leg, request)) = self.any_request() else { return };
        let failure = self.choices.one_of(&[Failure::Timeout, Failure::Transport]);
        self.fail(leg, &request, failure);
    }

    fn repeat(&mut self) {
        if !self.sent.is_empty() {
            let at = self.choices.below(self.sent.len() as u64) as usize;
            let (leg, message) = self.sent[at].clone();
            if self.has(leg) {
                self.t.delivers(leg, message);
            }
        }
    }

    fn flow(&mut self, leg: LegId) {
        match self.choices.below(2) {
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

    fn fail(&mut self, leg: LegId, request: &Message, failure: Failure) {
        let (cseq, method) = request.cseq();
        self.t.feed(Event::ClientFailed { leg, cseq, method: method.clone(), failure });
    }

    fn any_request(&mut self) -> Option<(LegId, Message)> {
        let asked = |leg: LegId| {
            let inbox = self.t.peer(leg).inbox.iter();
            inbox.filter(|m| m.is_request() && *m.method() != Method::Ack).map(move |m| (leg, m.clone()))
        };
        let all: Vec<_> = asked(A).chain(asked(B)).collect();
        (!all.is_empty()).then(|| all[self.choices.below(all.len() as u64) as usize].clone())
    }

    fn has(&self, leg: LegId) -> bool {
        leg == A || !self.t.b.inbox.is_empty()
    }

    fn description(&mut self, leg: LegId) -> String {
        self.version += 1;
        let version = self.version;
        let direction = self.choices.one_of(&["sendrecv", "sendrecv", "sendonly", "recvonly", "inactive"]);
        let formats = self.choices.one_of(&["0 8 101", "0", "8", "8 0", "9", "111 0"]);
        match self.t.peer(leg).offer().contains("SAVPF") {
            true => {
                let setup = self.choices.one_of(&["actpass", "active", "passive"]);
                let ufrag = self.choices.one_of(&["aaaa", "aaaa", "aaaa", "rstrt"]);
                browser(version, ufrag, formats, direction, setup)
            }
            false => {
                let address = self.choices.one_of(&["192.0.2.9", "192.0.2.10", "0.0.0.0", "198.51.100.2"]);
                trunk(version, address, &formats.replace("111 ", ""), direction)
            }
        }
    }
}

/// Who says where a walk turns.
pub enum Choices {
    /// xorshift64*; the walk depends on its seed alone.
    Seed(u64),
    /// One octet for each choice, then always the first.
    Octets(VecDeque<u8>),
}

impl Choices {
    pub fn of_seed(seed: u64) -> Self {
        Self::Seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn are_left(&self) -> bool {
        match self {
            Self::Seed(_) => true,
            Self::Octets(octets) => !octets.is_empty(),
        }
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        match self {
            Self::Seed(state) => {
                *state ^= *state >> 12;
                *state ^= *state << 25;
                *state ^= *state >> 27;
                (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % limit
            }
            Self::Octets(octets) => u64::from(octets.pop_front().unwrap_or(0)) % limit,
        }
    }

    fn one_of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize].clone()
    }
}

/// Octets of an input that are looked at: some two hundred events.
const LONGEST: usize = 600;
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
