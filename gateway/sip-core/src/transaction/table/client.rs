//! Requests of the transaction user, and the responses that come in to them.

use std::hash::Hash;

use super::super::client_invite::ClientInvite;
use super::super::client_non_invite::ClientNonInvite;
use super::super::machine::Machine;
use super::super::matching::Root;
use super::super::{
    Attempt, ClientKey, Output, Reliability, RequestError, Response, client_invite, client_non_invite,
};
use super::{Names, New, Slot, Transactions};
use crate::message::{Message, Method, Status};
use crate::time::Instant;

impl<D: Clone + Eq + Hash, U: Clone, P> Transactions<D, U, P> {
    /// The transaction user asks. The branch of the topmost Via must be its own and new.
    ///
    /// A CANCEL gives its INVITE 64·T1 to end, and [`Output::Timeout`] after that (RFC 3261 §9.1).
    ///
    /// # Errors
    /// Nothing is sent then.
    pub fn request(
        &mut self,
        request: Message,
        to: D,
        reliability: Reliability,
        user: U,
        permit: P,
        now: Instant,
    ) -> Result<ClientKey, RequestError> {
        if !request.is_request() || *request.method() == Method::Ack {
            return Err(RequestError::NoTransaction);
        }
        let root = self.matcher.client(&request);
        let own = root.of(request.method());
        if self.index.contains_key(&own) {
            return Err(RequestError::BranchInUse);
        }
        if *request.method() == Method::Cancel {
            self.note_cancel(&root, now);
        }
        let timers = self.timers.over(reliability);
        let machine = match request.method() {
            Method::Invite => Machine::InviteClient(ClientInvite::new(request.clone(), timers, now), user),
            _ => Machine::NonInviteClient(ClientNonInvite::new(request.clone(), timers, now), user),
        };
        let names = Names { own, old: None, origin: None };
        let slot = self.insert(New { names, to, reliability, machine, permit });
        self.send(slot, request, Attempt::First);
        Ok(ClientKey(slot))
    }

    /// A response came in.
    pub fn receive_response(&mut self, response: &Message, now: Instant) -> Response<U> {
        let Some(status) = response.status() else { return Response::Stray };
        let name = self.matcher.client(response).of(response.method());
        let Some(slot) = self.index.get(&name).copied() else { return Response::Stray };
        let verdict = self.advance(slot, response, status, now);
        self.settle(slot);
        verdict
    }

    /// The transaction user has lost all interest: nothing more is sent or told.
    pub fn abandon(&mut self, key: &ClientKey) {
        self.remove(key.0);
    }

    /// The request is not to be repeated any more, but its responses are still wanted: another destination is tried.
    pub fn stop_resending(&mut self, key: &ClientKey) {
        if let Some(entry) = self.entries.get_mut(key.0) {
            entry.machine.stop_resending();
        }
    }

    /// Where the messages of a live client transaction go.
    pub fn destination(&self, key: &ClientKey) -> Option<&D> {
        self.entries.get(key.0).map(|entry| &entry.to)
    }

    /// The live client transaction that a request (but ACK) or a response belongs to.
    pub fn client_key(&self, message: &Message) -> Option<ClientKey> {
        let name = self.matcher.client(message).of(message.method());
        self.index.get(&name).copied().map(ClientKey)
    }

    /// Where the request was sent that this response is to.
    pub fn asked(&self, response: &Message) -> Option<&D> {
        let ClientKey(slot) = self.client_key(response)?;
        self.entries.get(slot).map(|entry| &entry.to)
    }

    fn advance(&mut self, slot: Slot, response: &Message, status: Status, now: Instant) -> Response<U> {
        let Some(entry) = self.entries.get_mut(slot) else { return Response::Stray };
        let timers = self.timers.over(entry.reliability);
        match &mut entry.machine {
            Machine::InviteClient(machine, user) => {
                let answer = machine.handle_response(response, status, timers, now);
                let user = user.clone();
                self.invite_answered(slot, answer, user)
            }
            Machine::NonInviteClient(machine, user) => match machine.handle_response(status, timers, now) {
                client_non_invite::Answer::ForTu => {
                    Response::ForTu { key: ClientKey(slot), user: user.clone() }
                }
                client_non_invite::Answer::Nothing => Response::Absorbed,
            },
            Machine::InviteServer(_) | Machine::NonInviteServer(_) => Response::Stray,
        }
    }

    fn invite_answered(&mut self, slot: Slot, answer: client_invite::Answer, user: U) -> Response<U> {
        let key = ClientKey(slot);
        match answer {
            client_invite::Answer::ForTu => Response::ForTu { key, user },
            client_invite::Answer::ForTuWithAck(ack) => {
                self.send(slot, ack, Attempt::First);
                Response::ForTu { key, user }
            }
            client_invite::Answer::AckAgain(ack) => {
                self.send(slot, ack, Attempt::Repeat);
                Response::Absorbed
            }
            client_invite::Answer::Nothing => Response::Absorbed,
        }
    }

    /// `fail` says whether the transaction user is to know.
    pub(super) fn fail_client(&mut self, slot: Slot, fail: impl FnOnce(&mut Machine<U>) -> bool) {
        let Some(entry) = self.entries.get_mut(slot) else { return };
        if fail(&mut entry.machine)
            && let Some(user) = entry.machine.user().cloned()
        {
            self.outputs.push_back(Output::TransportError { key: ClientKey(slot), user });
        }
        self.settle(slot);
    }

    /// RFC 3261 §9.1: an INVITE that was cancelled is not waited for any longer than 64·T1.
    fn note_cancel(&mut self, root: &Root, now: Instant) {
        let Some(slot) = self.index.get(&root.of(&Method::Invite)).copied() else { return };
        let Some(entry) = self.entries.get_mut(slot) else { return };
        if let Machine::InviteClient(machine, _) = &mut entry.machine {
            machine.handle_cancelled(self.timers.over(entry.reliability), now);
        }
        self.settle(slot);
    }
}
