//! Answers that need no decision, and how any answer leaves.

use sip_core::call::ALLOW;
use sip_core::message::{Builder, Message, Method, Name, Status};

use super::ingress::{Request, Standing};
use super::{Node, Runtime};
use crate::ports::transport::Source;

impl<R: Runtime> Node<R> {
    pub(super) fn refuse(&self, request: &Request, status: Status) {
        let response = self.answer(&request.message, status);
        self.reply_with(request, with_advice(response, status));
    }

    /// For a request that was not looked at any further; an ACK has no answer.
    pub(super) fn refuse_unread(&self, source: &Source, message: Message, status: Status) {
        if message.method() != &Method::Ack {
            self.refuse(&Request { message, source: source.clone(), standing: Standing::Outside }, status);
        }
    }

    /// Start of a response to a request that belongs to no call.
    pub(super) fn answer(&self, request: &Message, status: Status) -> Builder {
        let builder = request.response(status);
        match request.to_tag() {
            Some(_) => builder,
            // RFC 3261 §8.2.7: a stateless server gives the same tag to every repetition.
            None => builder.to_tag(&self.0.identity.sealer.call_id(request).to_string()),
        }
    }

    pub(super) fn reply_with(&self, request: &Request, response: Builder) {
        match response.build() {
            Ok(response) => self.reply(request, response),
            Err(error) => tracing::error!(%error, "a response could not be built"),
        }
    }

    pub(super) fn reply(&self, request: &Request, response: Message) {
        self.0.metrics.responded(&response);
        match request.standing {
            Standing::Outside => self.send_statelessly(&request.source, &response),
            Standing::LetIn(transaction) => {
                let outputs = self.0.transactions.respond(transaction, response, self.0.runtime.now());
                self.send_outputs(outputs);
            }
        }
    }

    pub(super) fn send_statelessly(&self, source: &Source, response: &Message) {
        let to = self.reply_to(source, response);
        // Nobody waits for it: what can't leave is dropped.
        let _ = self.0.ports.transport.send(&to, response.bytes().clone());
    }
}

fn with_advice(response: Builder, status: Status) -> Builder {
    match status {
        // RFC 3261 §20.33.
        Status::SERVICE_UNAVAILABLE => response.header(Name::RetryAfter, RETRY_AFTER_S),
        // RFC 3261 §21.4.6.
        Status::METHOD_NOT_ALLOWED => response.header(Name::Allow, ALLOW),
        _ => response,
    }
}

/// Seconds; short, because what is full here empties within a call's length.
const RETRY_AFTER_S: &str = "5";
