//! A user agent whose every choice is drawn from the seed: it registers, calls, answers, refuses, holds, gives up, hangs up.
//!
//! It notes whatever the gateway must never do.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use gateway::ports::runtime::Runtime;
use gateway::runtime::sim::Simulated;
use sip_core::auth::client::Credentials;
use sip_core::auth::{Secret, client};
use sip_core::message::{Builder, Limits, Message, Method, Name, Status, Uri};
use sip_core::transaction::{
    Output, Received, Reliability, Response, ServerKey, Timing, Transactions, cancel_for,
};

use crate::network::{Network, Place};

/// What an agent is.
#[derive(Clone, Debug)]
pub struct Persona {
    pub name: String,
    pub place: Place,
    /// For the digest; a trunk has none.
    pub password: Option<String>,
    /// Percent of what callers and callees may do.
    pub habits: Habits,
}

/// How often, in percent, an agent does what makes life hard.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    pub refuses: u64,
    pub never_answers: u64,
    pub gives_up: u64,
    pub holds: u64,
    pub hangs_up: u64,
}

/// An agent on the network. Clones are the same agent.
#[derive(Clone)]
pub struct Agent(Arc<Inner>);

struct Inner {
    machine: Simulated,
    network: Network,
    persona: Persona,
    state: Mutex<State>,
}

struct State {
    transactions: Transactions<(), ()>,
    dialogs: HashMap<String, Dialog>,
    registered: bool,
    made: u64,
    rang: u64,
    answered: u64,
    wrong: Vec<String>,
}

/// One dialog as its agent sees it.
#[derive(Clone)]
struct Dialog {
    call_id: String,
    local: String,
    remote: String,
    target: String,
    local_cseq: u32,
    remote_cseq: u32,
    phase: Phase,
    /// The INVITE that we sent or were sent.
    invite: Message,
    /// The transaction of an INVITE that waits for our answer.
    waiting: Option<ServerKey>,
    /// The 2xx that we repeat until it is acknowledged.
    unacknowledged: Option<Message>,
    /// The gateway has hung up and we agreed: nothing more may come.
    closed_by_gateway: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Calling,
    Ringing,
    Talking,
    Over,
}

impl Agent {
    pub fn new(machine: Simulated, network: Network, persona: Persona) -> Self {
        let mut key = [0; 16];
        machine.random(&mut key);
        let state = State {
            transactions: Transactions::new(Timing::default(), 1_000, key),
            dialogs: HashMap::new(),
            registered: false,
            made: 0,
            rang: 0,
            answered: 0,
            wrong: Vec::new(),
        };
        let inbox = network.join(persona.place);
        let agent =
            Self(Arc::new(Inner { machine: machine.clone(), network, persona, state: Mutex::new(state) }));
        machine.spawn(agent.clone().read(inbox));
        machine.spawn(agent.clone().keep_time());
        agent
    }

    pub fn register(&self) {
        self.send_register(1, None);
    }

    pub fn is_registered(&self) -> bool {
        self.state().registered
    }

    /// Calls a number, and does with the call what the seed says.
    pub fn call(&self, number: &str) {
        let made = {
            let mut state = self.state();
            state.made += 1;
            state.made
        };
        let call_id = format!("{}-{made}@{}", self.0.persona.name, self.random_word());
        let local = format!("<sip:{}@localhost>;tag={}", self.0.persona.name, self.random_word());
        let remote = format!("<sip:{number}@localhost>");
        let uri = format!("sip:{number}@localhost");
        let invite = self
            .request(&Method::Invite, &uri, &local, &remote, &call_id, 1)
            .body("application/sdp", self.sdp("offer"))
            .build()
            .unwrap();
        let dialog = Dialog {
            call_id: call_id.clone(),
            local,
            remote,
            target: uri,
            local_cseq: 1,
            remote_cseq: 0,
            phase: Phase::Calling,
            invite: invite.clone(),
            waiting: None,
            unacknowledged: None,
            closed_by_gateway: false,
        };
        self.state().dialogs.insert(call_id.clone(), dialog);
        self.start(invite);
        if self.chance(self.0.persona.habits.gives_up) {
            self.later(6_000, move |agent| agent.give_up(&call_id));
        }
    }

    /// What the gateway did and must not do, and what is still open.
    pub fn complaints(&self) -> Vec<String> {
        let state = self.state();
        let open = state.dialogs.values().filter(|dialog| dialog.phase != Phase::Over);
        let open = open.map(|dialog| format!("{} is still {:?}", dialog.call_id, dialog.phase));
        let name = &self.0.persona.name;
        state.wrong.iter().cloned().chain(open).map(|what| format!("{name}: {what}")).collect()
    }

    /// Calls that came in.
    pub fn rang(&self) -> u64 {
        self.state().rang
    }

    /// Calls that were answered, on either side.
    pub fn answered(&self) -> u64 {
        self.state().answered
    }

    async fn read(self, mut inbox: tokio::sync::mpsc::UnboundedReceiver<Bytes>) {
        while let Some(bytes) = inbox.recv().await {
            match Message::parse(bytes, &Limits::default()) {
                Ok(message) if message.is_request() => self.receive_request(message),
                Ok(message) => self.receive_response(&message),
                Err(malformed) => self.complain(format!("malformed: {}", malformed.error)),
            }
        }
    }

    async fn keep_time(self) {
        loop {
            let next = self.0.machine.now() + Duration::from_millis(250);
            self.0.machine.sleep_until(next).await;
            self.state().transactions.handle_timeout(next);
            self.flush();
        }
    }

    fn receive_request(&self, message: Message) {
        if let Place::Udp(_) = self.0.persona.place {
            self.inspect_for_trunk(&message);
        }
        let reliability = self.reliability();
        let now = self.0.machine.now();
        let received = self.state().transactions.receive_request(&message, (), reliability, now);
        self.flush();
        match received {
            Received::New(key) => self.serve(key, &message),
            Received::Cancel { cancel, invite } => self.serve_cancel(cancel, invite, &message),
            Received::Ack => self.acknowledged(&message),
            Received::Merged(_) => self.complain("a merged request".into()),
            Received::Absorbed | Received::AckAbsorbed | Received::Full => {}
        }
    }

    fn serve(&self, key: ServerKey, message: &Message) {
        let known = self.state().dialogs.get(message.call_id()).cloned();
        match (message.method(), known) {
            (Method::Invite, None) if message.to_tag().is_none() => self.ring(key, message),
            (_, None) => self.reply(key, message, Status::CALL_DOES_NOT_EXIST, false),
            (_, Some(dialog)) => self.serve_in_dialog(key, message, &dialog),
        }
    }

    fn serve_in_dialog(&self, key: ServerKey, message: &Message, dialog: &Dialog) {
        let (cseq, method) = message.cseq();
        // What it sent before may come after its BYE.
        if dialog.closed_by_gateway && cseq >= dialog.remote_cseq {
            self.complain(format!("{method} in a dialog that the gateway has ended"));
        }
        // RFC 3261 §12.2.2: requests that overtake each other are told apart by CSeq; the same number twice is a fault.
        if cseq == dialog.remote_cseq {
            self.complain(format!("CSeq {cseq} of {method} twice in {}", dialog.call_id));
        }
        if cseq < dialog.remote_cseq {
            return self.reply(key, message, Status::SERVER_INTERNAL_ERROR, false);
        }
        self.change(&dialog.call_id, |dialog| dialog.remote_cseq = cseq);
        match method {
            Method::Bye => {
                self.change(&dialog.call_id, |dialog| {
                    dialog.phase = Phase::Over;
                    dialog.closed_by_gateway = true;
                    dialog.unacknowledged = None;
                });
                self.reply(key, message, Status::OK, false);
                if let Some(waiting) = dialog.waiting {
                    self.reply(waiting, &dialog.invite, Status::REQUEST_TERMINATED, false);
                }
            }
            Method::Invite if dialog.phase == Phase::Over => {
                self.reply(key, message, Status::CALL_DOES_NOT_EXIST, false);
            }
            Method::Invite => self.reply_until_acknowledged(key, message, &dialog.call_id),
            Method::Update => self.reply(key, message, Status::OK, true),
            _ => self.reply(key, message, Status::OK, false),
        }
    }

    /// A call comes in.
    fn ring(&self, key: ServerKey, invite: &Message) {
        let call_id = invite.call_id().to_string();
        let tag = self.random_word();
        let dialog = Dialog {
            call_id: call_id.clone(),
            local: format!("{};tag={tag}", invite.header(Name::To).unwrap()),
            remote: invite.header(Name::From).unwrap().to_string(),
            target: contact_uri(invite),
            local_cseq: 100,
            remote_cseq: invite.cseq().0,
            phase: Phase::Ringing,
            invite: invite.clone(),
            waiting: Some(key),
            unacknowledged: None,
            closed_by_gateway: false,
        };
        let mut state = self.state();
        state.rang += 1;
        state.dialogs.insert(call_id.clone(), dialog);
        drop(state);
        let habits = self.0.persona.habits;
        if self.chance(habits.refuses) {
            return self.later(3_000, move |agent| agent.refuse(&call_id));
        }
        self.reply(key, invite, Status::RINGING, false);
        if !self.chance(habits.never_answers) {
            self.later(8_000, move |agent| agent.answer(&call_id));
        }
    }

    fn refuse(&self, call_id: &str) {
        let Some((key, dialog)) = self.take_waiting(call_id) else { return };
        self.change(call_id, |dialog| dialog.phase = Phase::Over);
        self.reply(key, &dialog.invite, Status::BUSY_HERE, false);
    }

    fn answer(&self, call_id: &str) {
        let Some((key, dialog)) = self.take_waiting(call_id) else { return };
        self.change(call_id, |dialog| dialog.phase = Phase::Talking);
        self.reply_until_acknowledged(key, &dialog.invite, call_id);
        self.talk(call_id);
    }

    fn take_waiting(&self, call_id: &str) -> Option<(ServerKey, Dialog)> {
        let mut state = self.state();
        let dialog = state.dialogs.get_mut(call_id)?;
        let key = dialog.waiting.take()?;
        Some((key, dialog.clone()))
    }

    fn serve_cancel(&self, cancel: ServerKey, invite: Option<ServerKey>, message: &Message) {
        if invite.is_none() {
            return self.reply(cancel, message, Status::CALL_DOES_NOT_EXIST, false);
        }
        self.reply(cancel, message, Status::OK, false);
        if let Some((key, dialog)) = self.take_waiting(message.call_id()) {
            self.change(&dialog.call_id, |dialog| {
                dialog.phase = Phase::Over;
                dialog.closed_by_gateway = true;
            });
            self.reply(key, &dialog.invite, Status::REQUEST_TERMINATED, false);
        }
    }

    fn acknowledged(&self, ack: &Message) {
        self.change(ack.call_id(), |dialog| {
            let repeated = dialog.unacknowledged.as_ref().map(|ok| ok.cseq().0);
            if repeated == Some(ack.cseq().0) {
                dialog.unacknowledged = None;
            }
        });
    }

    fn receive_response(&self, message: &Message) {
        let now = self.0.machine.now();
        let response = self.state().transactions.receive_response(message, now);
        self.flush();
        if let Response::ForTu { .. } = response {
            match message.method() {
                Method::Register => self.registered(message),
                Method::Invite => self.invited(message),
                Method::Bye => self.change(message.call_id(), |dialog| dialog.phase = Phase::Over),
                _ => {}
            }
        }
    }

    fn registered(&self, response: &Message) {
        match response.status() {
            Some(Status::OK) => self.state().registered = true,
            Some(Status::UNAUTHORIZED) => {
                let challenges: Vec<&str> = response.headers(Name::WwwAuthenticate).collect();
                let credentials = Credentials {
                    username: &self.0.persona.name,
                    secret: &Secret::password(self.0.persona.password.as_deref().unwrap()),
                    realm: "localhost",
                };
                let authorization =
                    client::answer(challenges, &credentials, ("REGISTER", "sip:localhost"), 1, "c0ffee")
                        .unwrap();
                self.send_register(response.cseq().0 + 1, Some(&authorization));
            }
            status => self.complain(format!("REGISTER was answered with {status:?}")),
        }
    }

    fn invited(&self, response: &Message) {
        let status = response.status().unwrap();
        let call_id = response.call_id();
        let Some(dialog) = self.state().dialogs.get(call_id).cloned() else { return };
        if status.is_provisional() {
            return;
        }
        if !status.is_success() {
            let initial = response.cseq().0 == 1 && dialog.phase == Phase::Calling;
            if initial || status == Status::CALL_DOES_NOT_EXIST {
                self.change(call_id, |dialog| dialog.phase = Phase::Over);
            }
            return;
        }
        let first = dialog.phase == Phase::Calling;
        self.change(call_id, |dialog| {
            dialog.remote = response.header(Name::To).unwrap().to_string();
            dialog.target = contact_uri(response);
            if first {
                dialog.phase = Phase::Talking;
            }
        });
        let dialog = self.state().dialogs[call_id].clone();
        let ack = self.within(&dialog, &Method::Ack, response.cseq().0).build().unwrap();
        self.0.network.to_node(self.0.persona.place, ack.bytes().clone());
        if first {
            self.talk(call_id);
        }
    }

    /// The call is up: hold it, take it back, hang up or wait for the other side to.
    fn talk(&self, call_id: &str) {
        self.state().answered += 1;
        let habits = self.0.persona.habits;
        if self.chance(habits.holds) {
            let id = call_id.to_string();
            self.later(4_000, move |agent| agent.reinvite(&id));
        }
        if self.chance(habits.hangs_up) {
            let id = call_id.to_string();
            self.later(9_000, move |agent| agent.hang_up(&id));
        } else {
            // Nobody talks for ever.
            let id = call_id.to_string();
            self.later(60_000, move |agent| agent.hang_up(&id));
        }
    }

    fn reinvite(&self, call_id: &str) {
        let Some(dialog) = self.next_request(call_id) else { return };
        let invite = self
            .within(&dialog, &Method::Invite, dialog.local_cseq)
            .body("application/sdp", self.sdp("hold"))
            .build()
            .unwrap();
        self.start(invite);
    }

    fn hang_up(&self, call_id: &str) {
        let Some(dialog) = self.next_request(call_id) else { return };
        self.change(call_id, |dialog| {
            dialog.phase = Phase::Over;
            dialog.unacknowledged = None;
        });
        let bye = self.within(&dialog, &Method::Bye, dialog.local_cseq).build().unwrap();
        self.start(bye);
    }

    fn next_request(&self, call_id: &str) -> Option<Dialog> {
        let mut state = self.state();
        let dialog = state.dialogs.get_mut(call_id).filter(|dialog| dialog.phase == Phase::Talking)?;
        dialog.local_cseq += 1;
        Some(dialog.clone())
    }

    fn give_up(&self, call_id: &str) {
        let Some(dialog) = self.state().dialogs.get(call_id).cloned() else { return };
        if dialog.phase == Phase::Calling {
            self.start(cancel_for(&dialog.invite));
        }
    }

    fn reply(&self, key: ServerKey, request: &Message, status: Status, with_sdp: bool) {
        let response = self.response(request, status, with_sdp);
        let now = self.0.machine.now();
        // The transaction may be over: a caller that gave up does not wait.
        let _ = self.state().transactions.respond(&key, response, now);
        self.flush();
    }

    /// RFC 3261 §13.3.1.4: the transaction user repeats a 2xx until the ACK comes.
    fn reply_until_acknowledged(&self, key: ServerKey, request: &Message, call_id: &str) {
        let response = self.response(request, Status::OK, true);
        self.change(call_id, |dialog| dialog.unacknowledged = Some(response.clone()));
        let now = self.0.machine.now();
        let _ = self.state().transactions.respond(&key, response.clone(), now);
        self.flush();
        self.repeat(call_id.to_string(), response, Duration::from_millis(500), Duration::ZERO);
    }

    fn repeat(&self, call_id: String, response: Message, interval: Duration, waited: Duration) {
        let (agent, at) = (self.clone(), self.0.machine.now() + interval);
        self.0.machine.spawn(async move {
            agent.0.machine.sleep_until(at).await;
            let waiting = agent.state().dialogs[&call_id].unacknowledged.as_ref().map(|m| m.cseq().0);
            if waiting != Some(response.cseq().0) {
                return;
            }
            let waited = waited + interval;
            if waited >= Duration::from_secs(32) {
                agent.change(&call_id, |dialog| dialog.unacknowledged = None);
                return agent.hang_up(&call_id);
            }
            agent.0.network.to_node(agent.0.persona.place, response.bytes().clone());
            agent.repeat(call_id, response, (interval * 2).min(Duration::from_secs(4)), waited);
        });
    }

    fn response(&self, request: &Message, status: Status, with_sdp: bool) -> Message {
        let mut builder = request.response(status);
        if request.to_tag().is_none()
            && let Some(dialog) = self.state().dialogs.get(request.call_id())
            && let Some((_, tag)) = dialog.local.rsplit_once(";tag=")
        {
            builder = builder.to_tag(tag);
        }
        builder = builder.header(Name::Contact, self.contact());
        if with_sdp {
            builder = builder.body("application/sdp", self.sdp("answer"));
        }
        builder.build().unwrap()
    }

    fn start(&self, request: Message) {
        let (reliability, now) = (self.reliability(), self.0.machine.now());
        self.state().transactions.request(request, (), reliability, (), now).unwrap();
        self.flush();
    }

    fn flush(&self) {
        loop {
            let output = self.state().transactions.poll_output();
            match output {
                Some(Output::Send { message, .. }) => {
                    self.0.network.to_node(self.0.persona.place, message.bytes().clone());
                }
                Some(_) => {}
                None => return,
            }
        }
    }

    fn send_register(&self, cseq: u32, authorization: Option<&str>) {
        let local = format!("<sip:{}@localhost>;tag=registering", self.0.persona.name);
        let remote = format!("<sip:{}@localhost>", self.0.persona.name);
        let call_id = format!("register-{}", self.0.persona.name);
        let mut builder = self
            .request(&Method::Register, "sip:localhost", &local, &remote, &call_id, cseq)
            .header(Name::Expires, "600");
        if let Some(authorization) = authorization {
            builder = builder.header(Name::Authorization, authorization);
        }
        self.start(builder.build().unwrap());
    }

    fn within(&self, dialog: &Dialog, method: &Method, cseq: u32) -> Builder {
        self.request(method, &dialog.target, &dialog.local, &dialog.remote, &dialog.call_id, cseq)
    }

    fn request(&self, method: &Method, uri: &str, from: &str, to: &str, call_id: &str, cseq: u32) -> Builder {
        let sent_by = match self.0.persona.place {
            Place::Udp(address) => format!("SIP/2.0/UDP {address}"),
            Place::Connection(_) => "SIP/2.0/WSS df7jal23ls0d.invalid".into(),
        };
        Builder::request(method, uri)
            .header(Name::Via, format!("{sent_by};branch=z9hG4bK{}", self.random_word()))
            .header(Name::MaxForwards, 70)
            .header(Name::From, from)
            .header(Name::To, to)
            .header(Name::CallId, call_id)
            .header(Name::CSeq, format!("{cseq} {method}"))
            .header(Name::Contact, self.contact())
    }

    fn contact(&self) -> String {
        match self.0.persona.place {
            Place::Udp(address) => format!("<sip:{}@{address}>", self.0.persona.name),
            Place::Connection(_) => {
                format!("<sip:{}@df7jal23ls0d.invalid;transport=ws>", self.0.persona.name)
            }
        }
    }

    fn sdp(&self, kind: &str) -> String {
        let direction = if kind == "hold" && self.chance(50) { "sendonly" } else { "sendrecv" };
        match self.0.persona.place {
            Place::Udp(address) => format!(
                "v=0\r\no=- 1 {} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
                 m=audio 6000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\na={direction}\r\n",
                self.0.machine.below(1 << 30),
                ip = address.ip()
            ),
            Place::Connection(_) => {
                let setup = if kind == "answer" { "active" } else { "actpass" };
                let fingerprint = ["CD"; 32].join(":");
                format!(
                    "v=0\r\no=- 1 {} IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
                     m=audio 9 UDP/TLS/RTP/SAVPF 0 101\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\n\
                     a=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=fingerprint:sha-256 {fingerprint}\r\n\
                     a=setup:{setup}\r\na=mid:0\r\na={direction}\r\na=rtcp-mux\r\n\
                     a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n",
                    self.0.machine.below(1 << 30)
                )
            }
        }
    }

    /// Topology is hidden, and no SDP of a browser reaches a trunk.
    fn inspect_for_trunk(&self, message: &Message) {
        let text = String::from_utf8_lossy(message.bytes());
        for word in ["SAVPF", "fingerprint", "candidate", "ice-ufrag", ".invalid", "198.51.100.9"] {
            if text.contains(word) {
                self.complain(format!("{word:?} reached the trunk in {}", message.method()));
            }
        }
    }

    fn later(&self, most_ms: u64, act: impl FnOnce(Agent) + Send + 'static) {
        let agent = self.clone();
        let at = self.0.machine.now() + Duration::from_millis(self.0.machine.below(most_ms));
        self.0.machine.spawn(async move {
            agent.0.machine.sleep_until(at).await;
            act(agent);
        });
    }

    fn change(&self, call_id: &str, change: impl FnOnce(&mut Dialog)) {
        if let Some(dialog) = self.state().dialogs.get_mut(call_id) {
            change(dialog);
        }
    }

    fn complain(&self, what: String) {
        self.state().wrong.push(what);
    }

    fn chance(&self, percent: u64) -> bool {
        self.0.machine.below(100) < percent
    }

    fn random_word(&self) -> String {
        format!("{:012x}", self.0.machine.below(1 << 48))
    }

    fn reliability(&self) -> Reliability {
        match self.0.persona.place {
            Place::Udp(_) => Reliability::Unreliable,
            Place::Connection(_) => Reliability::Reliable,
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }
}

fn contact_uri(message: &Message) -> String {
    let contacts = message.contacts().unwrap();
    let uri = contacts.first().expect("the gateway always names its Contact").uri;
    assert!(Uri::parse(uri).is_ok());
    uri.to_string()
}
