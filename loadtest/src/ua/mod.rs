//! A user agent without sockets or clock: calls by script, and for phones a registration.
//!
//! A phone is an [`Agent`] whose messages go over one WebSocket (`D = ()`), the trunk is one whose messages go to UDP
//! addresses (`D = SocketAddr`).

mod call;
mod invite;
mod registration;

use crate::random::Tokens;
use crate::recorder::{Failure, Operation, Outcome};
use crate::sip::dialog::Identity;
use crate::sip::digest::{Algorithm, Credentials};
use crate::sip::read::Received;
use crate::sip::sdp::Flavour;
use crate::sip::write;
use call::Call;
use registration::Registration;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Who an agent is and how it behaves.
#[derive(Debug, Clone)]
pub struct Party {
    /// Its names on the wire.
    pub identity: Identity,
    /// Its address of record, `sip:user@domain`.
    pub aor: String,
    /// Which descriptions it makes.
    pub flavour: Flavour,
    /// Whether it must repeat what is lost.
    pub reliability: Reliability,
    /// Its side of every call.
    pub script: Script,
    /// Under which names its calls are timed.
    pub measures: Measures,
    /// Answers to challenges, and the algorithm it likes best.
    pub credentials: Option<(Credentials, Algorithm)>,
}

/// Whether the transport delivers what it takes (RFC 3261 §17.1.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reliability {
    /// WebSocket: nothing is sent twice.
    Reliable,
    /// UDP: timers A, E and G repeat.
    Unreliable,
}

/// How long each stage of a call takes.
#[derive(Debug, Clone, Copy)]
pub struct Script {
    /// A callee answers this long after it began to ring.
    pub ring: Duration,
    /// A caller hangs up this long after the answer.
    pub hold: Duration,
    /// A missing answer is a failure after this.
    pub timeout: Duration,
    /// What a REGISTER asks for, in seconds.
    pub expires: u32,
}

/// The names of a party's timings.
#[derive(Debug, Clone, Copy)]
pub struct Measures {
    /// As caller: INVITE to 18x.
    pub ringing: Operation,
    /// As caller: INVITE to 200.
    pub answered: Operation,
    /// As caller: BYE to 200.
    pub hang_up: Operation,
    /// As callee: 200 to ACK.
    pub acknowledged: Operation,
}

/// What an agent wants done.
#[derive(Debug, PartialEq, Eq)]
pub enum Output<D> {
    /// Send this message there.
    Send(D, String),
    /// Count this.
    Report(Outcome),
}

/// The right to make one phone busy; a phone is free again when it is dropped.
#[derive(Debug)]
pub struct Seized(Arc<AtomicBool>);

impl Seized {
    /// Takes the phone whose flag this is, unless it is taken.
    pub fn take(busy: &Arc<AtomicBool>) -> Option<Self> {
        let taken = busy.compare_exchange(false, true, Ordering::AcqRel, Ordering::Acquire);
        taken.is_ok().then(|| Self(Arc::clone(busy)))
    }
}

impl Drop for Seized {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Calls and a registration of one party.
#[derive(Debug)]
pub struct Agent<D> {
    voice: Voice<D>,
    registration: Registration<D>,
    calls: HashMap<String, Call<D>>,
    max_calls: usize,
}

impl<D: Copy> Agent<D> {
    /// An agent that refuses (486) more than `max_calls` calls at a time.
    pub fn new(party: Party, mut tokens: Tokens, max_calls: usize) -> Self {
        let registration = Registration::new(&mut tokens, party.script.expires);
        let voice = Voice { party, tokens, output: VecDeque::new() };
        Self { voice, registration, calls: HashMap::new(), max_calls }
    }

    /// Registers, or registers again.
    pub fn register(&mut self, registrar: D, now: Instant) {
        self.registration.start(&mut self.voice, registrar, now);
    }

    /// Calls `uri` through `peer`; `line` is held until the call is over.
    pub fn dial(&mut self, uri: &str, peer: D, line: Option<Seized>, now: Instant) {
        if self.calls.len() >= self.max_calls {
            return self.voice.failed(self.voice.party.measures.answered, Failure::NoFreePhone);
        }
        let call = Call::dial(&mut self.voice, uri, peer, line, now);
        self.calls.insert(call.id().to_owned(), call);
    }

    /// Whether a call has not ended.
    pub fn in_call(&self) -> bool {
        self.calls.values().any(|call| !call.is_over())
    }

    /// Hangs up what can be hung up now, so that a run may end early.
    pub fn hang_up_all(&mut self, now: Instant) {
        self.calls.values_mut().for_each(|call| call.hang_up(&mut self.voice, now));
    }

    /// Takes one received message.
    pub fn handle_input(&mut self, bytes: &[u8], from: D, now: Instant) {
        if bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
            return; // a keep-alive, RFC 5626 §4.4.1
        }
        let Ok(message) = Received::parse(bytes) else {
            return self.voice.note("received message that cannot be read");
        };
        if message.split_here {
            self.voice.note("received message that rsip cannot read");
        }
        match message.method() {
            None if message.cseq().1 == "REGISTER" => {
                self.registration.handle_response(&mut self.voice, &message, now)
            }
            None => self.response(&message, now),
            Some(_) => self.request(message, from, now),
        }
    }

    /// Acts on what is due, and forgets calls that are over.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.registration.handle_timeout(&mut self.voice, now);
        for call in self.calls.values_mut() {
            call.handle_timeout(&mut self.voice, now);
        }
        self.calls.retain(|_, call| !call.is_forgotten(now));
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output<D>> {
        self.voice.output.pop_front()
    }

    /// When [`Self::handle_timeout`] is next needed.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.calls.values().map(Call::poll_timeout).chain(self.registration.poll_timeout()).min()
    }

    /// The connection is gone: everything under way fails.
    pub fn connection_lost(&mut self) {
        self.registration.connection_lost(&mut self.voice);
        self.calls.values_mut().for_each(|call| call.connection_lost(&mut self.voice));
        self.calls.clear();
    }

    fn response(&mut self, message: &Received, now: Instant) {
        match self.calls.get_mut(message.call_id()) {
            Some(call) => call.handle_response(&mut self.voice, message, now),
            None => self.voice.note("stray response"),
        }
    }

    fn request(&mut self, message: Received, from: D, now: Instant) {
        if let Some(call) = self.calls.get_mut(message.call_id()) {
            return call.handle_request(&mut self.voice, message, from, now);
        }
        match message.method() {
            Some("ACK") => {}
            Some("INVITE") if message.to_tag().is_none() => self.invited(message, from, now),
            Some("OPTIONS") => self.voice.reply(&message, from, 200, None),
            _ => self.voice.reply(&message, from, 481, None),
        }
    }

    fn invited(&mut self, invite: Received, from: D, now: Instant) {
        if self.calls.len() >= self.max_calls {
            return self.voice.reply(&invite, from, 486, None);
        }
        let call = Call::ring(&mut self.voice, invite, from, now);
        self.calls.insert(call.id().to_owned(), call);
    }
}

/// What calls and registration of one agent share.
#[derive(Debug)]
struct Voice<D> {
    party: Party,
    tokens: Tokens,
    output: VecDeque<Output<D>>,
}

impl<D: Copy> Voice<D> {
    fn send(&mut self, to: D, message: String) {
        self.output.push_back(Output::Send(to, message));
    }

    /// A response without a body or Contact.
    fn reply(&mut self, request: &Received, to: D, status: u16, tag: Option<&str>) {
        let fresh = self.tokens.token();
        let message = write::response(request, status, Some(tag.unwrap_or(&fresh)), Vec::new(), None);
        self.send(to, message);
    }

    fn done(&mut self, operation: Operation, took: Duration) {
        self.output.push_back(Output::Report(Outcome::Done(operation, took)));
    }

    fn failed(&mut self, operation: Operation, failure: Failure) {
        self.output.push_back(Output::Report(Outcome::Failed(operation, failure)));
    }

    fn note(&mut self, text: &'static str) {
        self.output.push_back(Output::Report(Outcome::Note(text)));
    }
}

#[cfg(test)]
mod tests;
