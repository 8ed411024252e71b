//! CANCEL: the caller gives up (RFC 3261 §9.2).

use sip_core::call::Event;
use sip_core::message::Status;
use sip_core::routing::LegId;

use super::calls::Outcome;
use super::ingress::Request;
use super::{Node, Runtime};

impl<R: Runtime> Node<R> {
    /// A CANCEL is never challenged (RFC 3261 §22.1): it can only end the INVITE whose branch it knows. Of one from nobody that is
    /// known nothing is kept.
    pub(super) async fn cancel(&self, request: Request, invite_is_here: bool) {
        let request = match self.holder(&request.source) {
            Some(holder) => match self.let_in(request, &holder) {
                Some(request) => request,
                None => return,
            },
            None => request,
        };
        let (call, leg) = match request.message.to_tag() {
            None => (self.0.identity.sealer.call_id(&request.message), LegId::A),
            Some(_) => match self.named_by(&request.message) {
                Some(named) => (named.call, named.leg),
                None => return self.refuse(&request, Status::CALL_DOES_NOT_EXIST),
            },
        };
        let event = Event::Cancel {
            leg,
            message: request.message.clone(),
            from: self.origin(&request.source, &request.message),
        };
        match self.drive(call, event).await {
            Outcome::Done => {}
            // The INVITE was refused before it became a call: its final response is on the way.
            Outcome::NoSuchCall if invite_is_here => self.refuse(&request, Status::OK),
            Outcome::NoSuchCall => self.refuse(&request, Status::CALL_DOES_NOT_EXIST),
            Outcome::Unavailable => self.refuse(&request, Status::SERVICE_UNAVAILABLE),
        }
    }
}
