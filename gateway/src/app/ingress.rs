//! What arrives: bytes become messages, messages find their transaction, requests find their use case.

use bytes::Bytes;
use sip_core::call::screen;
use sip_core::message::{Malformed, Message, Method, Status};
use sip_core::transaction::{Received, Replies, Response, cost};

use super::link::reliability;
use super::shares::{Holder, Urgency};
use super::transactions::ServerTransaction;
use super::{Node, Runtime};
use crate::ports::transport::{CloseReason, Destination, Edge, SendError, Source};

/// A request that is worked on.
pub(super) struct Request {
    pub message: Message,
    pub source: Source,
    pub standing: Standing,
}

/// What is kept of a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Standing {
    /// Nothing: it is answered without a transaction (RFC 3261 §8.2.7), and its repetition is judged anew.
    Outside,
    /// Who sent it is known.
    LetIn(ServerTransaction),
}

impl<R: Runtime> Node<R> {
    pub(super) async fn message(&self, source: &Source, raw: Bytes) {
        if source.edge == Edge::Trunk && !self.0.trunks.trusts(source) {
            return self.heard_outside(source, raw).await;
        }
        match Message::parse(raw, &self.0.settings.limits) {
            Err(malformed) => self.malformed(source, malformed),
            Ok(message) if message.is_request() => self.request(source, message).await,
            Ok(message) => self.response(source, message).await,
        }
    }

    pub(super) fn connection_opened(&self, source: &Source) {
        let Some(connection) = source.connection else { return };
        match source.edge {
            Edge::Browser => self.0.flows.opened(connection),
            Edge::Trunk => {}
        }
    }

    pub(super) fn connection_closed(&self, source: &Source, why: CloseReason) {
        let Some(connection) = source.connection else { return };
        tracing::debug!(%connection, why = why.as_str(), "connection closed");
        match source.edge {
            Edge::Browser => {
                self.note_lost_registration(source, connection, why);
                self.browser_left(connection);
            }
            Edge::Trunk => self.0.carriers.closed(connection),
        }
        let replies = match source.edge {
            Edge::Browser => Replies::Lost,
            Edge::Trunk => Replies::MayGoElsewhere,
        };
        let outputs = self.0.transactions.destination_failed(&Destination::Connection(connection), replies);
        self.send_outputs(outputs);
    }

    pub(super) fn destination_unreachable(&self, to: &Destination, why: SendError) {
        if let Destination::Udp { remote, .. } = to
            && self.0.trunks.trusting(remote.ip()).is_none()
        {
            // An answer to a stranger: nothing waits for him.
            return;
        }
        tracing::debug!(?to, %why, "can't be reached");
        let outputs = self.0.transactions.destination_failed(to, Replies::MayGoElsewhere);
        self.send_outputs(outputs);
    }

    async fn request(&self, source: &Source, message: Message) {
        self.0.metrics.received(message.method());
        let message = message.with_top_via_stamped(source.remote.ip(), source.remote.port());
        let (received, outputs) = self.0.transactions.receive_request(&message, self.0.runtime.now());
        self.send_outputs(outputs);
        let request = |message| Request { message, source: source.clone(), standing: Standing::Outside };
        match received {
            Received::New => self.dispatch(request(message)).await,
            Received::Merged => self.refuse(&request(message), Status::LOOP_DETECTED),
            Received::Ack => self.acknowledged(source, message).await,
            Received::Cancel { invite } => self.cancel(request(message), invite.is_some()).await,
            Received::Absorbed | Received::AckAbsorbed => {}
        }
    }

    /// Gives a request its transaction: from now on its repetitions are absorbed. `None` after it has been answered, or if a
    /// repetition of it was faster.
    pub(super) fn let_in(&self, request: Request, holder: &Holder) -> Option<Request> {
        let message = &request.message;
        let urgency = match message.to_tag().is_some() || message.method() == &Method::Cancel {
            true => Urgency::Follows,
            false => Urgency::New,
        };
        let Some(share) = self.0.transaction_memory.take(holder, cost(message), urgency) else {
            self.0.metrics.shares_refused.inc();
            self.refuse(&request, Status::SERVICE_UNAVAILABLE);
            return None;
        };
        let (reply_to, now) = (self.reply_to(&request.source, message), self.0.runtime.now());
        let reliability = reliability(request.source.protocol);
        let (admitted, outputs) = self.0.transactions.admit(message, reply_to, reliability, share, now);
        self.send_outputs(outputs);
        admitted.ok().map(|transaction| Request { standing: Standing::LetIn(transaction), ..request })
    }

    /// Whose share a request of this source takes; nobody's if it is a browser that has not shown who it is.
    pub(super) fn holder(&self, source: &Source) -> Option<Holder> {
        match (source.edge, source.connection) {
            (Edge::Browser, Some(connection)) => self.0.flows.user(connection).map(Holder::User),
            (Edge::Browser, None) => None,
            (Edge::Trunk, _) => {
                let trunk = self.0.trunks.trusting(source.remote.ip())?;
                Some(Holder::Trunk(std::sync::Arc::clone(&trunk.name)))
            }
        }
    }

    async fn dispatch(&self, request: Request) {
        if request.message.to_tag().is_some() && request.message.method() != &Method::Register {
            return self.in_dialog(request).await;
        }
        if let Err(response) = screen(&request.message, &self.0.identity.sealer) {
            return self.reply(&request, response);
        }
        match request.message.method() {
            Method::Register => self.register(request).await,
            Method::Invite => self.invite(request).await,
            Method::Options => self.options(&request),
            _ => self.refuse(&request, Status::METHOD_NOT_ALLOWED),
        }
    }

    async fn response(&self, source: &Source, message: Message) {
        let (response, outputs) = self.0.transactions.receive_response(&message, self.0.runtime.now());
        self.send_outputs(outputs);
        match response {
            Response::ForTu { user: asked, .. } => self.answered(source, asked, message).await,
            Response::Stray => {
                self.0.metrics.stray_responses.inc();
                self.clear_orphan(source, &message).await;
            }
            Response::Absorbed => {}
        }
    }

    fn malformed(&self, source: &Source, malformed: Malformed) {
        self.0.metrics.malformed.inc();
        tracing::debug!(?source, error = %malformed.error, "malformed message");
        let Some(reply) = malformed.reply else { return };
        self.send_statelessly(source, &reply);
    }

    /// From outside every trunk's networks. Whom we have asked may answer, and nothing else: where requests go and where they
    /// come from need not be one network.
    async fn heard_outside(&self, source: &Source, raw: Bytes) {
        match Message::parse(raw, &self.0.settings.limits) {
            Ok(message) if message.is_request() => self.refuse_stranger(source, message),
            Ok(message) if self.was_asked(source, &message) => self.response(source, message).await,
            Ok(_) | Err(_) => self.note_stranger(source),
        }
    }

    /// Does the response come from where its request went? Its port may be another one (RFC 3261 §18.2.2).
    fn was_asked(&self, source: &Source, response: &Message) -> bool {
        let from = source.remote.ip();
        self.0.transactions.asked(response).is_some_and(|asked| match asked {
            Destination::Udp { remote, .. } => remote.ip() == from,
            Destination::Connection(_) | Destination::Answer { .. } => asked == source.destination(),
        })
    }

    /// RFC 3261 §18.2.1 asks nothing of a server towards strangers; a request gets its 403 so that a misconfigured
    /// trunk is noticed at both ends, and nothing is kept of it.
    fn refuse_stranger(&self, source: &Source, request: Message) {
        self.note_stranger(source);
        self.refuse_unread(source, request, Status::FORBIDDEN);
    }

    fn note_stranger(&self, source: &Source) {
        self.0.metrics.strangers.inc();
        if let Some(more) = self.0.stranger_lines.allows(self.0.runtime.now()) {
            let (listener, remote) = (&*source.listener, source.remote);
            tracing::info!(listener, %remote, more, "a message from outside of every trunk's cidrs");
        }
    }
}
