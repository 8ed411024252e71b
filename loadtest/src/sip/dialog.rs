//! One side's view of a dialog (RFC 3261 §12): enough of it to send requests inside.

use crate::random::Tokens;
use crate::sip::read::{Received, uri_of};
use crate::sip::write;
use rsip::Header;

/// Who we are on the wire.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Transport in Via: `WS`, `WSS` or `UDP`.
    pub transport: &'static str,
    /// Host (and port) in Via; a browser has only an invented name (RFC 7118 §5.2).
    pub sent_by: String,
    /// Our Contact, angle brackets included.
    pub contact: String,
}

impl Identity {
    /// A fresh topmost Via.
    pub fn via(&self, branch: &str) -> Header {
        // RFC 3581 is for datagrams; a response on a WebSocket has only one way to go.
        let rport = if self.transport == "UDP" { ";rport" } else { "" };
        Header::Via(format!("SIP/2.0/{} {};branch={branch}{rport}", self.transport, self.sent_by).into())
    }
}

/// A dialog after its 2xx.
#[derive(Debug, Clone)]
pub struct Dialog {
    call_id: String,
    local: String,
    remote: String,
    target: String,
    routes: Vec<String>,
    cseq: u32,
}

impl Dialog {
    /// The caller's view, from the 2xx to its INVITE (RFC 3261 §12.1.2).
    pub fn of_caller(answer: &Received) -> Self {
        let mut routes = answer.record_route();
        routes.reverse();
        Self {
            call_id: answer.call_id().to_owned(),
            local: answer.from().to_owned(),
            remote: answer.to().to_owned(),
            target: answer.contact_uri().unwrap_or_else(|| uri_of(answer.to())).to_owned(),
            routes,
            cseq: answer.cseq().0,
        }
    }

    /// ACK of a 2xx (RFC 3261 §13.2.2.4): a transaction of its own with the INVITE's CSeq number.
    pub fn ack(&self, identity: &Identity, tokens: &mut Tokens) -> String {
        self.print("ACK", self.cseq, identity, tokens)
    }

    /// The next request of the dialog.
    pub fn request(&mut self, method: &str, identity: &Identity, tokens: &mut Tokens) -> String {
        self.cseq += 1;
        self.print(method, self.cseq, identity, tokens)
    }

    /// The CSeq number of the latest request.
    pub fn cseq(&self) -> u32 {
        self.cseq
    }

    fn print(&self, method: &str, cseq: u32, identity: &Identity, tokens: &mut Tokens) -> String {
        let mut headers = vec![identity.via(&tokens.branch())];
        headers.extend(self.routes.iter().map(|route| Header::Route(route.as_str().into())));
        headers.extend([
            Header::MaxForwards("70".into()),
            Header::From(self.local.as_str().into()),
            Header::To(self.remote.as_str().into()),
            Header::CallId(self.call_id.as_str().into()),
            Header::CSeq(format!("{cseq} {method}").into()),
        ]);
        write::request(method, &self.target, headers, None)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test] // RFC 3261 §12.1.2: the caller's route set is Record-Route reversed.
    fn a_bye_follows_the_route_set_to_the_contact() {
        let ok = "SIP/2.0 200 OK\r\nVia: SIP/2.0/WS c;branch=z9hG4bK1\r\nRecord-Route: <sip:p2;lr>,<sip:p1;lr>\r\n\
            From: <sip:a@x>;tag=f\r\nTo: <sip:b@x>;tag=t\r\nCall-ID: c1\r\nCSeq: 2 INVITE\r\nContact: <sip:b@h:5070>\r\n\r\n";
        let identity =
            Identity { transport: "WS", sent_by: "c.invalid".into(), contact: "<sip:a@c.invalid>".into() };
        let mut dialog = Dialog::of_caller(&Received::parse(ok.as_bytes()).unwrap());
        let mut tokens = Tokens::with_prefix("t");
        assert_eq!(
            dialog.request("BYE", &identity, &mut tokens),
            "BYE sip:b@h:5070 SIP/2.0\r\nVia: SIP/2.0/WS c.invalid;branch=z9hG4bKt-1\r\nRoute: <sip:p1;lr>\r\n\
             Route: <sip:p2;lr>\r\nMax-Forwards: 70\r\nFrom: <sip:a@x>;tag=f\r\nTo: <sip:b@x>;tag=t\r\nCall-ID: c1\r\n\
             CSeq: 3 BYE\r\nContent-Length: 0\r\n\r\n"
        );
    }
}
