//! A user agent whose every choice is drawn from the seed: it registers, calls, answers, refuses, holds, gives up, hangs up.
//!
//! It notes whatever the gateway must never do.

mod behaviour;
mod dialog;
mod messages;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use gateway::ports::runtime::Runtime;
use gateway::runtime::sim::Simulated;
use sip_core::auth::client::Credentials;
use sip_core::auth::{Secret, client};
use sip_core::message::{Limits, Message, Method, Name, Status};
use sip_core::transaction::{Output, Received, Reliability, Response, ServerKey, Timing, Transactions};

use self::dialog::{Dialog, Phase};
use self::messages::contact_uri;
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

impl Agent {
    pub fn new(machine: Simulated, network: Network, persona: Persona) -> Self {
        let mut key = [0; 16];
        machine.random(&mut key);
        let state = State {
            transactions: Transactions::new(Timing::default(), key),
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
        let received = self.state().transactions.receive_request(&message, now);
        let let_in = || self.state().transactions.admit(&message, (), reliability, (), now).unwrap();
        match received {
            Received::New => self.serve(let_in(), &message),
            Received::Cancel { invite } => self.serve_cancel(let_in(), invite, &message),
            Received::Ack => self.acknowledged(&message),
            Received::Merged => self.complain("a merged request".into()),
            Received::Absorbed | Received::AckAbsorbed => {}
        }
        self.flush();
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

    fn start(&self, request: Message) {
        let (reliability, now) = (self.reliability(), self.0.machine.now());
        self.state().transactions.request(request, (), reliability, (), (), now).unwrap();
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

    /// Topology is hidden, and no SDP of a browser reaches a trunk.
    fn inspect_for_trunk(&self, message: &Message) {
        let text = String::from_utf8_lossy(message.bytes());
        for word in ["SAVPF", "fingerprint", "candidate", "ice-ufrag", ".invalid", "198.51.100.9"] {
            if text.contains(word) {
                self.complain(format!("{word:?} reached the trunk in {}", message.method()));
            }
        }
    }

    fn change(&self, call_id: &str, change: impl FnOnce(&mut Dialog)) {
        if let Some(dialog) = self.state().dialogs.get_mut(call_id) {
            change(dialog);
        }
    }

    fn complain(&self, what: String) {
        self.state().wrong.push(what);
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
