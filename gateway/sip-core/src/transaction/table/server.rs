//! Requests that come in, and the responses of the transaction user to them.

use super::super::machine::Machine;
use super::super::matching::{Fingerprint, Root, Style};
use super::super::server_invite::{AckOf, ServerInvite};
use super::super::server_non_invite::ServerNonInvite;
use super::super::{Attempt, NoTransaction, Received, Reliability, ServerKey};
use super::{Entry, Names, Slot, Transactions};
use crate::message::{Message, Method, Status};
use crate::time::Instant;

/// A request on its way in.
struct Arrival<'a, D> {
    request: &'a Message,
    root: Root,
    from: D,
    reliability: Reliability,
    now: Instant,
}

impl<D: Clone, U: Clone> Transactions<D, U> {
    /// A request came in. `from` is where the responses go.
    pub fn receive_request(
        &mut self,
        request: &Message,
        from: D,
        reliability: Reliability,
        now: Instant,
    ) -> Received {
        let arrival = Arrival { request, root: self.matcher.server(request), from, reliability, now };
        match request.method() {
            Method::Ack => self.receive_ack(&arrival),
            Method::Cancel => self.receive_cancel(arrival),
            Method::Invite => self.receive_invite(arrival),
            _ => self.receive_other(arrival),
        }
    }

    /// The transaction user answers. What a transaction may not send any more is discarded, as RFC 3261 §17.2 says.
    ///
    /// # Errors
    /// The transaction is over, or this is no response.
    pub fn respond(&mut self, key: &ServerKey, response: Message, now: Instant) -> Result<(), NoTransaction> {
        let status = response.status().ok_or(NoTransaction)?;
        let entry = self.entries.get_mut(key.0).ok_or(NoTransaction)?;
        let timers = self.timers.over(entry.reliability);
        if let Some(message) = entry.machine.respond(response, status, timers, now) {
            self.send(key.0, message, Attempt::First);
        }
        self.settle(key.0);
        Ok(())
    }

    /// The live server transaction that a request or a response belongs to; for an ACK, that of its INVITE.
    pub fn server_key(&self, message: &Message) -> Option<ServerKey> {
        let root = self.matcher.server(message);
        let method = match message.method() {
            Method::Ack => &Method::Invite,
            method => method,
        };
        let name = match message.uri() {
            Some(uri) => request_name(&root, method, uri),
            None => root.of(method),
        };
        self.index.get(&name).copied().map(ServerKey)
    }

    /// Where the responses of a live server transaction go: to be compared with where a CANCEL came from.
    pub fn peer(&self, key: &ServerKey) -> Option<&D> {
        self.entries.get(key.0).map(|entry| &entry.to)
    }

    fn receive_invite(&mut self, arrival: Arrival<'_, D>) -> Received {
        let own = arrival.name(&Method::Invite);
        if let Some(slot) = self.index.get(&own).copied() {
            return self.repeat_response(slot);
        }
        if !self.has_room_for(arrival.request) {
            return Received::Full;
        }
        // RFC 3261 §17.2.1: by §8.2.6, but without a To tag.
        let trying = arrival.request.response(Status::TRYING).build();
        let trying = trying.expect("a valid request has all that its 100 repeats");
        let timers = self.timers.over(arrival.reliability);
        let (machine, at_once) = ServerInvite::new(trying, self.trying, timers, arrival.now);
        let (slot, received) = self.insert_server(own, arrival, Machine::InviteServer(machine));
        if let Some(trying) = at_once {
            self.send(slot, trying, Attempt::First);
        }
        received
    }

    fn receive_other(&mut self, arrival: Arrival<'_, D>) -> Received {
        let own = arrival.name(arrival.request.method());
        if let Some(slot) = self.index.get(&own).copied() {
            return self.repeat_response(slot);
        }
        if !self.has_room_for(arrival.request) {
            return Received::Full;
        }
        let machine = ServerNonInvite::new(self.timers.over(arrival.reliability), arrival.now);
        let (_, received) = self.insert_server(own, arrival, Machine::NonInviteServer(machine));
        received
    }

    fn receive_cancel(&mut self, arrival: Arrival<'_, D>) -> Received {
        // RFC 3261 §9.2: matched as if the CANCEL were the request it means.
        let invite = self.index.get(&arrival.name(&Method::Invite)).copied().map(ServerKey);
        match self.receive_other(arrival) {
            Received::New(cancel) => Received::Cancel { cancel, invite },
            otherwise => otherwise,
        }
    }

    fn receive_ack(&mut self, arrival: &Arrival<'_, D>) -> Received {
        let Some(slot) = self.index.get(&arrival.name(&Method::Invite)).copied() else {
            return Received::Ack;
        };
        let Some(Entry { machine: Machine::InviteServer(machine), reliability, .. }) =
            self.entries.get_mut(slot)
        else {
            return Received::Ack;
        };
        if arrival.root.style() == Style::Rfc2543 && !machine.has_answered_with(arrival.request.to_tag()) {
            return Received::Ack;
        }
        let whose = machine.handle_ack(self.timers.over(*reliability), arrival.now);
        self.settle(slot);
        match whose {
            AckOf::Success => Received::Ack,
            AckOf::Failure => Received::AckAbsorbed,
        }
    }

    /// The answer goes to where the first copy came from: who repeats a branch must not learn it by that.
    fn repeat_response(&mut self, slot: Slot) -> Received {
        if let Some(again) = self.entries.get(slot).and_then(|entry| entry.machine.handle_retransmission()) {
            self.send(slot, again, Attempt::Repeat);
        }
        Received::Absorbed
    }

    fn insert_server(
        &mut self,
        own: Fingerprint,
        arrival: Arrival<'_, D>,
        machine: Machine<U>,
    ) -> (Slot, Received) {
        let request = arrival.request;
        let old = match arrival.root.style() {
            Style::Rfc3261 => None,
            Style::Rfc2543 => Some(arrival.root.of(request.method())),
        };
        // RFC 3261 §8.2.2.2 looks at requests without a To tag; a CANCEL follows each copy.
        let may_be_forked = request.to_tag().is_none() && *request.method() != Method::Cancel;
        let origin = may_be_forked.then(|| self.matcher.origin(request));
        let is_merged = origin.is_some_and(|origin| self.index.contains_key(&origin));
        let names = Names { own, old, origin: origin.filter(|_| !is_merged) };
        let slot = self.insert(names, arrival.from, arrival.reliability, machine);
        let key = ServerKey(slot);
        (slot, if is_merged { Received::Merged(key) } else { Received::New(key) })
    }
}

impl<D> Arrival<'_, D> {
    /// The name of the transaction of this request, taken for one of `method`.
    fn name(&self, method: &Method) -> Fingerprint {
        request_name(&self.root, method, self.request.uri().unwrap_or_default())
    }
}

/// RFC 3261 §17.2.3: only without a magic cookie does the Request-URI belong to it.
fn request_name(root: &Root, method: &Method, uri: &str) -> Fingerprint {
    match root.style() {
        Style::Rfc3261 => root.of(method),
        Style::Rfc2543 => root.of_uri(method, uri),
    }
}
