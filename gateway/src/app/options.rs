//! OPTIONS outside a dialog: is somebody there (RFC 3261 §11.2)?

use std::sync::atomic::Ordering;

use sip_core::call::ALLOW;
use sip_core::message::{Name, Status};

use super::ingress::Request;
use super::{Node, Runtime};
use crate::ports::transport::Edge;

impl<R: Runtime> Node<R> {
    /// A trunk's ping gets 200 for any user, 503 while this node drains; a browser shows first who it is.
    pub(super) fn options(&self, request: &Request) {
        let known = request.source.connection.is_some_and(|c| self.0.flows.user(c).is_some());
        match request.source.edge {
            Edge::Browser if !known => self.challenge(request, false),
            _ if self.0.draining.load(Ordering::Acquire) => self.refuse(request, Status::SERVICE_UNAVAILABLE),
            Edge::Browser | Edge::Trunk => {
                let response = self
                    .answer(&request.message, Status::OK)
                    .header(Name::Allow, ALLOW)
                    .header(Name::Accept, "application/sdp");
                self.reply_with(request, response);
            }
        }
    }
}
