//! What an agent does with a call: every choice is drawn from the seed.

use std::time::Duration;

use gateway::ports::runtime::Runtime;
use sip_core::message::{Message, Method, Name, Status};
use sip_core::transaction::{ServerKey, cancel_for};

use super::Agent;
use super::dialog::{Dialog, Phase};
use super::messages::contact_uri;

impl Agent {
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

    /// A call comes in.
    pub(super) fn ring(&self, key: ServerKey, invite: &Message) {
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
        // RFC 3261 §13.3.1.
        if let Some(expires) = invite.header(Name::Expires) {
            let (id, after) = (call_id.clone(), Duration::from_secs(expires.parse().unwrap()));
            self.after(after, move |agent| agent.expire(&id));
        }
        if !self.chance(habits.never_answers) {
            self.later(8_000, move |agent| agent.answer(&call_id));
        }
    }

    pub(super) fn refuse(&self, call_id: &str) {
        let Some((key, dialog)) = self.take_waiting(call_id) else { return };
        self.change(call_id, |dialog| dialog.phase = Phase::Over);
        self.reply(key, &dialog.invite, Status::BUSY_HERE, false);
    }

    fn expire(&self, call_id: &str) {
        let Some((key, dialog)) = self.take_waiting(call_id) else { return };
        self.change(call_id, |dialog| dialog.phase = Phase::Over);
        self.reply(key, &dialog.invite, Status::REQUEST_TERMINATED, false);
    }

    pub(super) fn answer(&self, call_id: &str) {
        let Some((key, dialog)) = self.take_waiting(call_id) else { return };
        self.change(call_id, |dialog| dialog.phase = Phase::Talking);
        self.reply_until_acknowledged(key, &dialog.invite, call_id);
        self.talk(call_id);
    }

    pub(super) fn take_waiting(&self, call_id: &str) -> Option<(ServerKey, Dialog)> {
        let mut state = self.state();
        let dialog = state.dialogs.get_mut(call_id)?;
        let key = dialog.waiting.take()?;
        Some((key, dialog.clone()))
    }

    /// The call is up: hold it, take it back, hang up or wait for the other side to.
    pub(super) fn talk(&self, call_id: &str) {
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

    pub(super) fn reinvite(&self, call_id: &str) {
        let Some(dialog) = self.next_request(call_id) else { return };
        let invite = self
            .within(&dialog, &Method::Invite, dialog.local_cseq)
            .body("application/sdp", self.sdp("hold"))
            .build()
            .unwrap();
        self.start(invite);
    }

    pub(super) fn hang_up(&self, call_id: &str) {
        let Some(dialog) = self.next_request(call_id) else { return };
        self.change(call_id, |dialog| {
            dialog.phase = Phase::Over;
            dialog.unacknowledged = None;
        });
        let bye = self.within(&dialog, &Method::Bye, dialog.local_cseq).build().unwrap();
        self.start(bye);
    }

    pub(super) fn next_request(&self, call_id: &str) -> Option<Dialog> {
        let mut state = self.state();
        let dialog = state.dialogs.get_mut(call_id).filter(|dialog| dialog.phase == Phase::Talking)?;
        dialog.local_cseq += 1;
        Some(dialog.clone())
    }

    pub(super) fn give_up(&self, call_id: &str) {
        let Some(dialog) = self.state().dialogs.get(call_id).cloned() else { return };
        if dialog.phase == Phase::Calling {
            self.start(cancel_for(&dialog.invite));
        }
    }

    pub(super) fn reply(&self, key: ServerKey, request: &Message, status: Status, with_sdp: bool) {
        let response = self.response(request, status, with_sdp);
        let now = self.0.machine.now();
        // The transaction may be over: a caller that gave up does not wait.
        let _ = self.state().transactions.respond(&key, response, now);
        self.flush();
    }

    /// RFC 3261 §13.3.1.4: the transaction user repeats a 2xx until the ACK comes.
    pub(super) fn reply_until_acknowledged(&self, key: ServerKey, request: &Message, call_id: &str) {
        let response = self.response(request, Status::OK, true);
        self.change(call_id, |dialog| dialog.unacknowledged = Some(response.clone()));
        let now = self.0.machine.now();
        let _ = self.state().transactions.respond(&key, response.clone(), now);
        self.flush();
        self.repeat(call_id.to_string(), response, Duration::from_millis(500), Duration::ZERO);
    }

    pub(super) fn repeat(&self, call_id: String, response: Message, interval: Duration, waited: Duration) {
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

    pub(super) fn later(&self, most_ms: u64, act: impl FnOnce(Agent) + Send + 'static) {
        let after = Duration::from_millis(self.0.machine.below(most_ms));
        self.after(after, act);
    }

    fn after(&self, after: Duration, act: impl FnOnce(Agent) + Send + 'static) {
        let agent = self.clone();
        let at = self.0.machine.now() + after;
        self.0.machine.spawn(async move {
            agent.0.machine.sleep_until(at).await;
            act(agent);
        });
    }

    pub(super) fn chance(&self, percent: u64) -> bool {
        self.0.machine.below(100) < percent
    }
}
