//! A caller's INVITE: what has to be kept to repeat, authenticate, cancel and acknowledge it.

use super::Voice;
use crate::sip::dialog::Identity;
use crate::sip::read::Received;
use crate::sip::write;
use rsip::Header;

#[derive(Debug)]
pub(super) struct Invite {
    pub(super) call_id: String,
    pub(super) cseq: u32,
    uri: String,
    from: String,
    branch: String,
    offer: String,
}

impl Invite {
    pub(super) fn new<D: Copy>(voice: &mut Voice<D>, uri: &str) -> Self {
        let (call_id, tag, branch) = (voice.tokens.token(), voice.tokens.token(), voice.tokens.branch());
        let from = format!("<{}>;tag={tag}", voice.party.aor);
        Self { call_id, cseq: 1, uri: uri.to_owned(), from, branch, offer: voice.party.flavour.offer() }
    }

    /// The Request-URI, which is also what a digest covers.
    pub(super) fn uri(&self) -> &str {
        &self.uri
    }

    pub(super) fn print(&self, identity: &Identity, authorization: Option<Header>) -> String {
        let mut headers = self.headers(identity, "INVITE", format!("<{}>", self.uri));
        headers.extend([
            Header::Contact(identity.contact.as_str().into()),
            Header::Allow("INVITE,ACK,CANCEL,BYE,UPDATE,MESSAGE,OPTIONS,REFER,INFO,NOTIFY".into()),
            Header::Supported("gruu,outbound".into()),
            Header::UserAgent("loadtest".into()),
        ]);
        headers.extend(authorization);
        write::request("INVITE", &self.uri, headers, Some(&self.offer))
    }

    /// A new transaction with the next CSeq number (RFC 3261 §22.2).
    pub(super) fn again(&mut self, branch: String) {
        self.cseq += 1;
        self.branch = branch;
    }

    /// RFC 3261 §9.1: the INVITE's own branch and CSeq number.
    pub(super) fn cancel(&self, identity: &Identity) -> String {
        write::request("CANCEL", &self.uri, self.headers(identity, "CANCEL", format!("<{}>", self.uri)), None)
    }

    /// RFC 3261 §17.1.1.3: ACK of a final status other than 2xx, inside the INVITE's transaction.
    pub(super) fn ack_of_refusal(&self, identity: &Identity, refusal: &Received) -> String {
        write::request("ACK", &self.uri, self.headers(identity, "ACK", refusal.to().to_owned()), None)
    }

    fn headers(&self, identity: &Identity, method: &str, to: String) -> Vec<Header> {
        vec![
            identity.via(&self.branch),
            Header::MaxForwards("70".into()),
            Header::From(self.from.as_str().into()),
            Header::To(to.into()),
            Header::CallId(self.call_id.as_str().into()),
            Header::CSeq(format!("{} {method}", self.cseq).into()),
        ]
    }
}
