//! Requests that come in, and the responses of the transaction user to them.

use std::hash::Hash;

use super::super::machine::Machine;
use super::super::matching::{Fingerprint, Root, Style};
use super::super::server_invite::{AckOf, ServerInvite};
use super::super::server_non_invite::ServerNonInvite;
use super::super::{Attempt, NoTransaction, NotNew, Received, Reliability, ServerKey};
use super::{Entry, Names, New, Slot, Transactions};
use crate::message::{Message, Method, Status};
use crate::time::Instant;

/// A request on its way in.
struct Arrival<'a> {
    request: &'a Message,
    root: Root,
    now: Instant,
}

impl<D: Clone + Eq + Hash, U: Clone, P> Transactions<D, U, P> {
    /// A request came in: what is it? Nothing is kept of one that is new.
    pub fn receive_request(&mut self, request: &Message, now: Instant) -> Received {
        let arrival = Arrival { request, root: self.matcher.server(request), now };
        match request.method() {
            Method::Ack => self.receive_ack(&arrival),
            method => match self.index.get(&arrival.name(method)).copied() {
                Some(slot) => self.repeat_response(slot),
                None => self.receive_new(&arrival),
            },
        }
    }

    /// Makes the transaction of a request that [`Transactions::receive_request`] found to be new, or a copy of another. `from` is
    /// where the responses go. An INVITE is answered with 100 as [`Timing`](super::super::Timing) says.
    ///
    /// # Errors
    /// It has one by now, or is an ACK.
    pub fn admit(
        &mut self,
        request: &Message,
        from: D,
        reliability: Reliability,
        permit: P,
        now: Instant,
    ) -> Result<ServerKey, NotNew> {
        let arrival = Arrival { request, root: self.matcher.server(request), now };
        let own = arrival.name(request.method());
        if *request.method() == Method::Ack || self.index.contains_key(&own) {
            return Err(NotNew);
        }
        let (machine, trying) = self.machine_for(&arrival, reliability);
        let names = self.names_of(own, &arrival);
        let slot = self.insert(New { names, to: from, reliability, machine, permit });
        if let Some(trying) = trying {
            self.send(slot, trying, Attempt::First);
        }
        Ok(ServerKey(slot))
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

    fn receive_new(&self, arrival: &Arrival<'_>) -> Received {
        if *arrival.request.method() == Method::Cancel {
            // RFC 3261 §9.2: matched as if the CANCEL were the request it means.
            let invite = self.index.get(&arrival.name(&Method::Invite)).copied().map(ServerKey);
            return Received::Cancel { invite };
        }
        match self.first_copy_of(arrival.request) {
            Some((_, Some(_))) => Received::Merged,
            Some((_, None)) | None => Received::New,
        }
    }

    /// The machine, and the 100 that is sent at once.
    fn machine_for(&self, arrival: &Arrival<'_>, reliability: Reliability) -> (Machine<U>, Option<Message>) {
        let timers = self.timers.over(reliability);
        if *arrival.request.method() != Method::Invite {
            return (Machine::NonInviteServer(ServerNonInvite::new(timers, arrival.now)), None);
        }
        // RFC 3261 §17.2.1: by §8.2.6, but without a To tag.
        let trying = arrival.request.response(Status::TRYING).build();
        let trying = trying.expect("a valid request has all that its 100 repeats");
        let (machine, at_once) = ServerInvite::new(trying, self.trying, timers, arrival.now);
        (Machine::InviteServer(machine), at_once)
    }

    fn receive_ack(&mut self, arrival: &Arrival<'_>) -> Received {
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

    fn names_of(&self, own: Fingerprint, arrival: &Arrival<'_>) -> Names {
        let old = match arrival.root.style() {
            Style::Rfc3261 => None,
            Style::Rfc2543 => Some(arrival.root.of(arrival.request.method())),
        };
        let origin = match self.first_copy_of(arrival.request) {
            Some((origin, None)) => Some(origin),
            Some((_, Some(_))) | None => None,
        };
        Names { own, old, origin }
    }

    /// What all copies of a request have in common, and the first of them that is alive. RFC 3261 §8.2.2.2 looks at requests
    /// without a To tag; a CANCEL follows each copy.
    fn first_copy_of(&self, request: &Message) -> Option<(Fingerprint, Option<Slot>)> {
        let may_be_forked = request.to_tag().is_none() && *request.method() != Method::Cancel;
        let origin = may_be_forked.then(|| self.matcher.origin(request))?;
        Some((origin, self.index.get(&origin).copied()))
    }
}

impl Arrival<'_> {
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
