//! A 2xx whose call nobody knows any more.

use crate::dialog::Dialog;
use crate::message::{Builder, Message, Method, Name};
use crate::routing::{Destination, Named, Purpose, Sealer};

use super::Effect;
use super::leg::HOPS;

/// Gets rid of a dialog that a late 2xx to an INVITE of ours made: ACK, then BYE (RFC 3261 §13.2.2.4). Gives nothing if
/// the response is not to such an INVITE. Its peer would ring off only after 32 s otherwise.
pub fn orphan(response: &Message, from: &Destination, sealer: &Sealer) -> Vec<Effect> {
    let named = response.via().branch.and_then(|branch| sealer.open(branch));
    let Some(Named { purpose: Purpose::Branch, call, leg, .. }) = named else { return Vec::new() };
    let success = response.status().is_some_and(|status| status.is_success());
    if !success || *response.method() != Method::Invite {
        return Vec::new();
    }
    let (cseq, _) = response.cseq();
    let request = |method: &Method, cseq: u32, number: u32| {
        let branch = sealer.branch(call, leg, number);
        within(response, method, cseq, &branch)
    };
    // The branches that the call would have used: what it sent already is the same request again.
    let ack = request(&Method::Ack, cseq, cseq << 4 | 1);
    let bye = request(&Method::Bye, cseq.saturating_add(1), cseq.saturating_add(1) << 4);
    let ack = ack.map(|message| Effect::SendAck { leg, message, to: from.clone() });
    let bye = bye.map(|message| Effect::Send { leg, message, to: from.clone() });
    ack.into_iter().chain(bye).collect()
}

/// A request in the dialog that the response made.
fn within(response: &Message, method: &Method, cseq: u32, branch: &str) -> Option<Message> {
    let own = response.from();
    let mut dialog = Dialog::calling(
        response.call_id().to_owned(),
        own.tag()?.to_owned(),
        format!("<{}>", own.uri),
        response.to().uri,
        response.to().uri.to_owned(),
    );
    dialog.answered(response);
    let via = response.via();
    let via = format!("SIP/2.0/{} {};branch={branch}", via.transport, via.sent_by);
    let builder: Builder = dialog.request(method, cseq, &via, HOPS);
    builder.header(Name::Reason, "SIP;cause=481").build().ok()
}
