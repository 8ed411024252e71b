//! One leg: a dialog with one peer, its sound, and what either side still owes the other.

use std::net::{IpAddr, SocketAddr};

use relay_api::LegName;
use serde::{Deserialize, Serialize};

use crate::dialog::Dialog;
use crate::message::{Builder, Message, Method, Name, Scheme, Status, Uri};
use crate::routing::{CallId, Destination, Transport, TrunkAddress};
use crate::sdp::Format;

use super::failover::Abandoned;
use super::media::{LegMedia, Wish};
use super::screen::ALLOW;
use super::session_timer::SessionTimer;
use super::shared::Shared;
use super::step::Step;
use super::stored::Stored;
use super::{CallTimer, Candidate, Effect, Link, Way};

/// One leg of a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Leg {
    pub(super) name: LegName,
    pub(super) link: Shared<Link>,
    pub(super) dialog: Dialog,
    pub(super) state: State,
    pub(super) media: Shared<LegMedia>,
    /// The peer's request that waits for our final response: the first INVITE, or an offer that the other leg must see.
    /// There is never a second one, a further offer is refused (RFC 3261 §14.2).
    pub(super) asked: Option<Asked>,
    /// Our INVITE without a final response.
    pub(super) asking: Option<Asking>,
    /// A re-INVITE that met a 491 and is tried again later.
    pub(super) retry: Option<Offer>,
    /// Our 2xx to an INVITE, repeated until its ACK.
    pub(super) unacked: Option<Unacked>,
    /// CSeq number of our INVITE that was answered last: its 2xx may come again.
    pub(super) acked: Option<u32>,
    /// Early dialogs of our INVITE (leg B), at most [`MAX_FORKS`].
    pub(super) forks: Vec<Fork>,
    /// Where leg B is tried next, fewer than [`super::MAX_CANDIDATES`].
    pub(super) further: Vec<Candidate>,
    /// CSeq number of the INVITE that called leg B.
    pub(super) called: Option<u32>,
    /// Former attempts to reach leg B, as many at most.
    pub(super) abandoned: Vec<Abandoned>,
    pub(super) peer: Peer,
    pub(super) session: Option<SessionTimer>,
    /// The browser's connection broke and it is not back yet.
    pub(super) lost: bool,
}

/// Where the leg's dialog stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// Leg B before its INVITE.
    Waiting,
    /// The first INVITE has no final response yet.
    Early,
    /// We gave our INVITE up and wait for its final response.
    Cancelled { sent: bool, reason: Option<String> },
    /// A 2xx was sent or received.
    Confirmed,
    /// To be ended as soon as the caller acknowledged our 2xx, before which there must be no BYE (RFC 3261 §15).
    Closing { reason: Option<String> },
    /// Our BYE has no final response yet; so many before it were not delivered.
    Leaving { cseq: u32, failed: u8, reason: Option<String> },
    /// Over.
    Ended,
}

/// A request of the peer that we did not answer yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) request: Stored,
    pub(super) from: Destination,
    /// The last provisional response, to be repeated for a repeated INVITE.
    pub(super) told: Option<Status>,
}

/// An INVITE of ours that has no final response yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Asking {
    pub(super) cseq: u32,
    /// Its Via, which its CANCEL must have as well.
    pub(super) via: String,
    /// A CANCEL must wait for a provisional response (RFC 3261 §9.1).
    pub(super) provisional: bool,
    /// What is offered; none in a call's first INVITE.
    pub(super) offer: Option<Offer>,
}

/// A re-INVITE of ours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Offer {
    pub(super) why: Why,
    pub(super) formats: Vec<Format>,
    pub(super) wish: Wish,
    /// How often it met a 491.
    pub(super) refused: u8,
}

/// Why we send a re-INVITE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Why {
    /// The other leg's peer made an offer and waits for what this peer answers.
    Forward,
    /// The other leg changed by an answer, which can't be refused any more.
    Follow,
    /// The session timer (RFC 4028).
    Refresh,
}

/// A 2xx of ours without ACK.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Unacked {
    pub(super) cseq: u32,
    pub(super) response: Stored,
    pub(super) to: Destination,
    /// Milliseconds until the next repetition.
    pub(super) interval: u64,
    /// Unix milliseconds.
    pub(super) give_up: u64,
    /// The 2xx holds our offer, so the ACK must bring the answer.
    pub(super) awaits_answer: bool,
    /// It answered the call's first INVITE.
    pub(super) first: bool,
}

/// One early dialog of a forked INVITE.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Fork {
    pub(super) tag: String,
    pub(super) cseq: Option<u32>,
    /// Confirmed although another fork was taken; ACK and BYE were sent.
    pub(super) stray: bool,
}

/// What the peer said about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Peer {
    pub(super) timer: bool,
    pub(super) info: Serves,
}

/// Does a peer serve a method? RFC 3261 §20.5: one that lists none has said nothing about any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Serves {
    #[default]
    Unsaid,
    Yes,
    No,
}

impl Leg {
    pub(super) fn new(name: LegName, link: Link, dialog: Dialog, state: State, step: &Step<'_>) -> Self {
        Self {
            name,
            media: Shared::new(LegMedia::new(link.profile, session_id(step.call, name))),
            link: Shared::new(link),
            dialog,
            state,
            asked: None,
            asking: None,
            retry: None,
            unacked: None,
            acked: None,
            forks: Vec::new(),
            further: Vec::new(),
            called: None,
            abandoned: Vec::new(),
            peer: Peer::default(),
            session: None,
            lost: false,
        }
    }

    pub(super) fn is_confirmed(&self) -> bool {
        self.state == State::Confirmed
    }

    pub(super) fn is_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// No offer of either side is open, and every 2xx was acknowledged: a re-INVITE may go out.
    pub(super) fn is_settled(&self) -> bool {
        self.is_confirmed()
            && self.asked.is_none()
            && self.asking.is_none()
            && self.retry.is_none()
            && self.unacked.is_none()
    }

    /// Notes what the peer can do.
    pub(super) fn note_peer(&mut self, message: &Message) {
        self.peer.timer = super::session_timer::supports(message, "timer");
        if message.header(Name::Allow).is_some() {
            let is_listed = message.values(Name::Allow).any(|method| method == Method::Info.as_str());
            self.peer.info = if is_listed { Serves::Yes } else { Serves::No };
        }
    }

    /// A request within the dialog, complete but for what the method itself needs. `part` tells apart requests that
    /// share a CSeq number.
    pub(super) fn request(
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
    pub(super) fn request_in(
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

    /// Adds who we are and what we can do: for INVITE, UPDATE and their answers.
    pub(super) fn presented(&self, builder: Builder) -> Builder {
        builder
            .header(Name::Contact, self.contact())
            .header(Name::Allow, ALLOW)
            .header(Name::Supported, "timer")
    }

    /// A response of ours to a request of the peer's.
    pub(super) fn response(&self, request: &Message, status: Status) -> Builder {
        request.response(status).to_tag(&self.dialog.local_tag)
    }

    /// Answers with a status and nothing else.
    pub(super) fn reply(&self, request: &Message, status: Status, to: &Destination, step: &mut Step<'_>) {
        step.respond(self.name, self.response(request, status), to);
    }

    /// Where a request within the dialog goes.
    pub(super) fn destination(&self) -> Destination {
        self.destination_in(&self.dialog)
    }

    /// The same within another dialog of this leg. Before the 2xx the next hop is our own Request-URI, which is the same for
    /// every candidate.
    pub(super) fn destination_in(&self, dialog: &Dialog) -> Destination {
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
        let fits = |way: &&Way| way.transport == transport && way.local.is_ipv4() == peer.is_ipv4();
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
        let branch = step.sealer.branch(step.call, self.name, number);
        format!("SIP/2.0/{transport} {local};branch={branch}{rport}")
    }

    /// Sends BYE, or ends at once where nobody can hear it.
    pub(super) fn send_bye(&mut self, reason: Option<&str>, step: &mut Step<'_>) {
        self.forget_timers(step);
        if self.lost {
            self.state = State::Ended;
            return;
        }
        self.try_bye(reason.map(str::to_owned), 0, step);
    }

    /// Sends a BYE after so many that were not delivered.
    pub(super) fn try_bye(&mut self, reason: Option<String>, failed: u8, step: &mut Step<'_>) {
        let cseq = self.dialog.next_cseq();
        let to = self.destination_of_try(failed);
        let via = self.via(&to, cseq << 4 | BranchPart::Own.number(), step);
        let bye = self.dialog.request(&Method::Bye, cseq, &via, HOPS);
        let sent = step.send(self.name, with_reason(bye, reason.as_deref()), to);
        self.state = if sent.is_some() { State::Leaving { cseq, failed, reason } } else { State::Ended };
    }

    /// Over UDP each second try goes where the dialog came from, for nobody may listen at the Contact. Of connections the
    /// transport itself finds another one ([`TrunkAddress::otherwise`]).
    fn destination_of_try(&self, failed: u8) -> Destination {
        match &self.link.destination {
            came_by if failed % 2 == 1 && !came_by.is_reliable() => came_by.clone(),
            Destination::Flow(_) | Destination::Trunk(_) => self.destination(),
        }
    }

    /// Is this the BYE that waits for its final response?
    pub(super) fn is_leaving_by(&self, cseq: u32) -> bool {
        matches!(self.state, State::Leaving { cseq: own, .. } if own == cseq)
    }

    /// Acknowledges a 2xx (RFC 3261 §13.2.2.4).
    pub(super) fn send_ack(&self, cseq: u32, step: &mut Step<'_>) {
        let ack = self.request(&Method::Ack, cseq, BranchPart::Ack, HOPS, step);
        if let Ok(message) = ack.build() {
            step.push(Effect::SendAck { leg: self.name, message, to: self.destination() });
        }
    }

    /// The 2xx to an INVITE left: it is repeated until the ACK comes (RFC 3261 §13.3.1.4).
    pub(super) fn await_ack(
        &mut self,
        response: Message,
        to: Destination,
        kind: AckKind,
        step: &mut Step<'_>,
    ) {
        step.start(CallTimer::Resend2xx(self.name), step.policy.t1);
        let patience = step.policy.t1.saturating_mul(64);
        self.unacked = Some(Unacked {
            cseq: response.cseq().0,
            response: Stored(response),
            to,
            interval: u64::try_from(step.policy.t1.as_millis()).unwrap_or(u64::MAX),
            give_up: step.now.plus(patience).0,
            awaits_answer: kind.awaits_answer,
            first: kind.first,
        });
    }

    /// Starts the session timer anew, after each refresh.
    pub(super) fn restart_session(&self, step: &mut Step<'_>) {
        if let Some(session) = self.session {
            step.start(CallTimer::Session(self.name), session.wait());
        }
    }

    /// Nothing is repeated, retried or refreshed any more.
    pub(super) fn forget_timers(&mut self, step: &mut Step<'_>) {
        if self.unacked.take().is_some() {
            step.stop(CallTimer::Resend2xx(self.name));
        }
        if self.retry.take().is_some() {
            step.stop(CallTimer::Retry(self.name));
        }
        if self.session.take().is_some() {
            step.stop(CallTimer::Session(self.name));
        }
        if matches!(self.state, State::Leaving { failed: 1.., .. }) {
            step.stop(CallTimer::Bye(self.name));
        }
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

/// A number for the `o=` line: differs from call to call and leg to leg, and fits 63 bits.
pub(super) fn session_id(call: CallId, leg: LegName) -> u64 {
    let first = call.0.first_chunk().expect("a call id has twelve bytes");
    (u64::from_be_bytes(*first) >> 2) << 1 | u64::from(leg == LegName::B)
}

/// What kind of 2xx waits for its ACK.
#[derive(Clone, Copy)]
pub(super) struct AckKind {
    pub(super) awaits_answer: bool,
    pub(super) first: bool,
}

/// Tells requests with one CSeq number apart in their branches.
#[derive(Clone, Copy)]
pub(super) enum BranchPart {
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
pub(super) fn with_reason(builder: Builder, reason: Option<&str>) -> Builder {
    match reason {
        Some(reason) => builder.header(Name::Reason, reason),
        None => builder,
    }
}

/// Most early dialogs of one INVITE; further ones are not remembered.
pub(super) const MAX_FORKS: usize = 8;
/// Max-Forwards of requests within a dialog (RFC 3261 §20.22).
pub(super) const HOPS: u8 = 70;
