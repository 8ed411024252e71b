//! Requests within a dialog: our own tag in To names the call.

use sip_core::call::Event;
use sip_core::message::{Message, Method, Status};
use sip_core::routing::{Named, Purpose};

use super::calls::Outcome;
use super::ingress::Request;
use super::{Node, Runtime};
use crate::ports::transport::{Edge, Source};

impl<R: Runtime> Node<R> {
    pub(super) async fn in_dialog(&self, request: Request) {
        if self.is_unknown_browser(&request.source) {
            return self.challenge(&request, false);
        }
        let (Some(named), Some(holder)) = (self.named_by(&request.message), self.holder(&request.source))
        else {
            return self.refuse(&request, Status::CALL_DOES_NOT_EXIST);
        };
        let Some(request) = self.let_in(request, &holder) else { return };
        let event = Event::Request {
            leg: named.leg,
            message: request.message.clone(),
            from: self.origin(&request.source, &request.message),
        };
        self.comes_by(&request.source, named.call);
        match self.drive(named.call, event).await {
            Outcome::Done => {}
            Outcome::NoSuchCall => {
                self.carries_no_more(named.call);
                self.refuse(&request, Status::CALL_DOES_NOT_EXIST);
            }
            Outcome::Unavailable => self.refuse(&request, Status::SERVICE_UNAVAILABLE),
        }
    }

    /// The ACK of a 2xx; there is nobody to tell if it belongs to nothing.
    pub(super) async fn acknowledged(&self, source: &Source, message: Message) {
        if self.is_unknown_browser(source) {
            return;
        }
        if let Some(named) = self.named_by(&message) {
            let from = self.origin(source, &message);
            self.drive(named.call, Event::Request { leg: named.leg, message, from }).await;
        }
    }

    /// A CANCEL within a dialog means a re-INVITE; its call is named by the tag like that of any other request.
    pub(super) fn named_by(&self, message: &Message) -> Option<Named> {
        let named = self.0.identity.sealer.open(message.to_tag()?)?;
        let known = named.purpose == Purpose::Tag && message.method() != &Method::Register;
        known.then_some(named)
    }

    pub(super) fn is_unknown_browser(&self, source: &Source) -> bool {
        source.edge == Edge::Browser && source.connection.is_none_or(|c| self.0.flows.user(c).is_none())
    }
}
