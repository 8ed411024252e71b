//! What a leg has in each of its states: a peer, the way there, and our dialog with it.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::dialog::{Dialog, Order};
use crate::message::{Builder, Message, Method, Name, Scheme, Status, Uri};
use crate::routing::{Destination, FlowId, LegId, Transport, TrunkAddress};

use super::super::refusal::Refusal;
use super::super::screen::{ALLOW, SDP, extensions, not_allowed, sdp_of};
use super::super::session_timer;
use super::super::shared::Shared;
use super::super::step::Step;
use super::super::{Effect, Link};

/// One leg's peer and our dialog with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Line {
    pub(in super::super) id: LegId,
    pub(in super::super) link: Shared<Link>,
    pub(in super::super) dialog: Dialog,
    pub(in super::super) peer: Peer,
}

/// What the peer said about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Peer {
    pub(in super::super) timer: bool,
    pub(in super::super) info: Serves,
}

/// Does a peer serve a method? RFC 3261 §20.5: one that lists none has said nothing about any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in super::super) enum Serves {
    #[default]
    Unsaid,
    Yes,
    No,
}

/// What a request within a dialog wants that depends on the leg's state.
pub(in super::super) enum Wants {
    /// BYE.
    ToLeave,
    /// A re-INVITE, or an UPDATE with an offer.
    AnExchange,
    /// An UPDATE without an offer.
    ARefresh,
    /// An INFO.
    ADigit,
}

/// Whether a request comes for the first time.
pub(in super::super) enum Comes {
    New,
    Again,
}

impl Line {
    pub(in super::super) fn new(id: LegId, link: Link, dialog: Dialog) -> Self {
        Self { id, link: Shared::new(link), dialog, peer: Peer::default() }
    }

    /// Notes what the peer can do.
    pub(in super::super) fn note_peer(&mut self, message: &Message) {
        self.peer.timer = session_timer::supports(message, "timer");
        if message.header(Name::Allow).is_some() {
            let is_listed = message.values(Name::Allow).any(|method| method == Method::Info.as_str());
            self.peer.info = if is_listed { Serves::Yes } else { Serves::No };
        }
    }

    /// Answers what every state answers alike; gives what is left.
    pub(in super::super) fn sort(
        &self,
        request: &Message,
        from: &Destination,
        step: &mut Step<'_>,
    ) -> Option<Wants> {
        match request.method() {
            Method::Bye => return Some(Wants::ToLeave),
            Method::Invite => return Some(Wants::AnExchange),
            Method::Update if sdp_of(request).is_some() => return Some(Wants::AnExchange),
            Method::Update => return Some(Wants::ARefresh),
            Method::Info => return Some(Wants::ADigit),
            Method::Options => {
                let response = self.presented(self.response(request, Status::OK));
                step.respond(self.id, response.header(Name::Accept, SDP), from);
            }
            Method::Notify => self.refuse(request, &Status::BAD_EVENT.into(), from, step),
            Method::Ack | Method::Cancel => {}
            Method::Register
            | Method::Prack
            | Method::Subscribe
            | Method::Refer
            | Method::Message
            | Method::Publish => self.refuse(request, &not_allowed(), from, step),
            Method::Other(_) => self.refuse(request, &Status::NOT_IMPLEMENTED.into(), from, step),
        }
        None
    }

    /// A request within the dialog, complete but for what the method itself needs. `part` tells apart requests that
    /// share a CSeq number.
    pub(in super::super) fn request(
        &self,
        method: &Method,
        cseq: u32,
        part: BranchPart,
        hops: u8,
        step: &Step<'_>,
    ) -> Builder {
        self.request_in(&self.dialog, method, cseq, part, hops, step)
    }

    /// The same within another dialog of this leg: a fork that was not taken.
    pub(in super::super) fn request_in(
        &self,
        dialog: &Dialog,
        method: &Method,
        cseq: u32,
        part: BranchPart,
        hops: u8,
        step: &Step<'_>,
    ) -> Builder {
        let via = self.via(&self.destination_in(dialog), cseq << 4 | part.number(), step);
        dialog.request(method, cseq, &via, hops)
    }

    /// The same to a place of its own.
    pub(super) fn request_to(
        &self,
        to: &Destination,
        method: &Method,
        cseq: u32,
        step: &Step<'_>,
    ) -> Builder {
        let via = self.via(to, cseq << 4 | BranchPart::Own.number(), step);
        self.dialog.request(method, cseq, &via, HOPS)
    }

    /// Adds who we are and what we can do: for INVITE, UPDATE and their answers.
    pub(in super::super) fn presented(&self, builder: Builder) -> Builder {
        builder
            .header(Name::Contact, self.contact())
            .header(Name::Allow, ALLOW)
            .header(Name::Supported, "timer")
    }

    /// A response of ours to a request of the peer's.
    pub(in super::super) fn response(&self, request: &Message, status: Status) -> Builder {
        request.response(status).to_tag(&self.dialog.local_tag)
    }

    /// Answers with a status and nothing else.
    pub(in super::super) fn reply(
        &self,
        request: &Message,
        status: Status,
        to: &Destination,
        step: &mut Step<'_>,
    ) {
        step.respond(self.id, self.response(request, status), to);
    }

    /// Answers with a refusal.
    pub(in super::super) fn refuse(
        &self,
        request: &Message,
        refusal: &Refusal,
        to: &Destination,
        step: &mut Step<'_>,
    ) {
        let response = refusal.response(request).to_tag(&self.dialog.local_tag);
        step.respond(self.id, response, to);
    }

    /// Acknowledges a 2xx (RFC 3261 §13.2.2.4).
    pub(in super::super) fn send_ack(&self, cseq: u32, step: &mut Step<'_>) {
        let ack = self.request(&Method::Ack, cseq, BranchPart::Ack, HOPS, step);
        if let Ok(message) = ack.build() {
            step.push(Effect::SendAck { leg: self.id, message, to: self.destination() });
        }
    }

    /// Does the peer's request belong to our dialog?
    pub(in super::super) fn is_from_peer(&self, request: &Message) -> bool {
        request.call_id() == self.dialog.call_id
            && request.to_tag().is_some_and(|tag| tag.eq_ignore_ascii_case(&self.dialog.local_tag))
            && request.from_tag() == self.dialog.remote_tag.as_deref()
    }

    /// A browser's dialog is no business of a trunk, nor one trunk's of another. A browser itself may have moved to another
    /// connection before it registered there.
    pub(in super::super) fn may_come_from(&self, from: &Destination) -> bool {
        match (&self.link.destination, from) {
            (Destination::Flow(_), Destination::Flow(_)) => true,
            (Destination::Trunk(own), Destination::Trunk(other)) => own.trunk == other.trunk,
            (Destination::Flow(_), Destination::Trunk(_)) | (Destination::Trunk(_), Destination::Flow(_)) => {
                false
            }
        }
    }

    /// Lets a request in that belongs to our dialog, demands nothing that we don't have and is not out of order
    /// (RFC 3261 §12.2.2); any other is refused here.
    pub(in super::super) fn admit(
        &mut self,
        request: &Message,
        from: &Destination,
        step: &mut Step<'_>,
    ) -> Option<Comes> {
        if !self.is_from_peer(request) {
            self.reply(request, Status::CALL_DOES_NOT_EXIST, from, step);
            return None;
        }
        self.admit_to(request, from, step)?;
        let order = self.dialog.judge_cseq(request.cseq().0);
        self.in_order(order, request, from, step)
    }

    /// Does it come from where the peer is, and demands it nothing that we don't have?
    pub(super) fn admit_to(&self, request: &Message, from: &Destination, step: &mut Step<'_>) -> Option<()> {
        let admitted = match self.may_come_from(from) {
            true => extensions(request),
            false => Err(Status::CALL_DOES_NOT_EXIST.into()),
        };
        admitted.map_err(|refusal| self.refuse(request, &refusal, from, step)).ok()
    }

    pub(super) fn in_order(
        &self,
        order: Order,
        request: &Message,
        from: &Destination,
        step: &mut Step<'_>,
    ) -> Option<Comes> {
        match order {
            Order::New => Some(Comes::New),
            Order::Repeated => Some(Comes::Again),
            Order::Old => {
                self.reply(request, Status::SERVER_INTERNAL_ERROR, from, step);
                None
            }
        }
    }

    /// A repetition that the transaction layer of this node could not absorb.
    pub(in super::super) fn answer_again(&self, request: &Message, from: &Destination, step: &mut Step<'_>) {
        match request.method() {
            Method::Bye | Method::Info | Method::Options => self.reply(request, Status::OK, from, step),
            Method::Invite
            | Method::Ack
            | Method::Cancel
            | Method::Update
            | Method::Register
            | Method::Prack
            | Method::Notify
            | Method::Subscribe
            | Method::Refer
            | Method::Message
            | Method::Publish
            | Method::Other(_) => {}
        }
    }

    /// Is this the connection by which the peer is reached?
    pub(in super::super) fn uses(&self, flow: FlowId) -> bool {
        self.link.destination.flow() == Some(flow)
    }

    /// Where a request within the dialog goes.
    pub(in super::super) fn destination(&self) -> Destination {
        self.destination_in(&self.dialog)
    }

    /// The same within another dialog of this leg. Before the 2xx the next hop is our own Request-URI, which is the same for
    /// every candidate.
    pub(in super::super) fn destination_in(&self, dialog: &Dialog) -> Destination {
        match &self.link.destination {
            Destination::Flow(flow) => Destination::Flow(*flow),
            Destination::Trunk(trunk) if dialog.remote_tag.is_none() => Destination::Trunk(trunk.clone()),
            Destination::Trunk(trunk) => {
                Destination::Trunk(self.followed(dialog, trunk).unwrap_or_else(|| trunk.clone()))
            }
        }
    }

    /// The address of the next hop (RFC 3261 §12.2.1.1) by the transport that its URI asks for. A name, a stranger's address
    /// or a transport that is not ours is never followed.
    fn followed(&self, dialog: &Dialog, came_by: &TrunkAddress) -> Option<TrunkAddress> {
        let uri = Uri::parse(dialog.next_hop()).ok()?;
        let ip = uri.host_ip().filter(|ip| self.link.networks.iter().any(|known| known.contains(*ip)))?;
        let transport = self.transport_of(&uri, came_by.transport)?;
        self.local(transport, ip)?;
        let address = SocketAddr::new(ip, uri.port.unwrap_or(transport.default_port()));
        let is_elsewhere = transport == came_by.transport && address != came_by.address;
        let otherwise = Some(came_by.address).filter(|_| is_elsewhere && transport.is_reliable());
        Some(TrunkAddress { trunk: came_by.trunk.clone(), transport, address, otherwise })
    }

    /// RFC 3263 §4.1: what the URI says, else UDP – but a trunk of TCP that calls by TCP means TCP, and whoever uses TLS is
    /// not led away from it (RFC 3261 §26.2.2 has TLS over `transport=tcp`).
    fn transport_of(&self, uri: &Uri<'_>, came_by: Transport) -> Option<Transport> {
        let named = uri.param("transport");
        match named.map(Transport::of_parameter) {
            _ if came_by == Transport::Tls || uri.scheme == Scheme::Sips => Some(Transport::Tls),
            Some(transport) => transport,
            None if self.link.transport == Transport::Udp => Some(Transport::Udp),
            None => Some(came_by),
        }
    }

    /// Ourselves in a Via towards this address; none if it can't be reached like that.
    fn local(&self, transport: Transport, peer: IpAddr) -> Option<String> {
        let fits =
            |way: &&super::super::Way| way.transport == transport && way.local.is_ipv4() == peer.is_ipv4();
        self.link.ways.iter().find(fits).map(|way| way.local.to_string())
    }

    /// The Via of a request to there, of the transport that it leaves by (RFC 3261 §18.1.1).
    fn via(&self, to: &Destination, number: u32, step: &Step<'_>) -> String {
        let (transport, local) = match to {
            Destination::Flow(_) => (self.link.transport, None),
            Destination::Trunk(trunk) => (trunk.transport, self.local(trunk.transport, trunk.address.ip())),
        };
        let local = local.as_deref().unwrap_or(&self.link.local);
        // RFC 3581: over UDP we ask for answers to the port we sent from.
        let rport = if transport.is_reliable() { "" } else { ";rport" };
        let branch = step.sealer.branch(step.call, self.id, number);
        format!("SIP/2.0/{transport} {local};branch={branch}{rport}")
    }

    /// Our Contact: the configured user, or else a token that names this leg.
    fn contact(&self) -> String {
        let user = self.link.contact_user.as_deref().unwrap_or(&self.dialog.local_tag);
        let (parameter, transport) = match self.link.transport.uri_parameter() {
            Some(transport) => (";transport=", transport),
            None => ("", ""),
        };
        format!("<sip:{user}@{}{parameter}{transport}>", self.link.local)
    }
}

/// Tells requests with one CSeq number apart in their branches.
#[derive(Clone, Copy)]
pub(in super::super) enum BranchPart {
    /// The request itself.
    Own,
    /// The ACK of its 2xx, a transaction of its own (RFC 3261 §17.1.1.3).
    Ack,
    /// What a fork gets that was not taken.
    Stray(u8),
}

impl BranchPart {
    fn number(self) -> u32 {
        match self {
            Self::Own => 0,
            Self::Ack => 1,
            Self::Stray(at) => 2 + u32::from(at.min(13)),
        }
    }
}

/// RFC 3326.
pub(in super::super) fn with_reason(builder: Builder, reason: Option<&str>) -> Builder {
    match reason {
        Some(reason) => builder.header(Name::Reason, reason),
        None => builder,
    }
}

/// Max-Forwards of requests within a dialog (RFC 3261 §20.22).
pub(in super::super) const HOPS: u8 = 70;
