//! The two requests that are made from an INVITE and share its Via: ACK of a failure, CANCEL.

use crate::message::{Builder, Message, Method, Name};

/// The ACK of a 300–699 response (RFC 3261 §17.1.1.3). The ACK of a 2xx is the transaction user's.
pub(super) fn ack_for(invite: &Message, response: &Message) -> Message {
    on_the_same_hop(invite, Method::Ack, response)
}

/// The CANCEL of an INVITE of ours (RFC 3261 §9.1). It may be sent only after a provisional response.
pub fn cancel_for(invite: &Message) -> Message {
    on_the_same_hop(invite, Method::Cancel, invite)
}

/// Request-URI, topmost Via, Route, From, Call-ID and CSeq number are those of the INVITE.
fn on_the_same_hop(invite: &Message, method: Method, has_to: &Message) -> Message {
    let (number, _) = invite.cseq();
    Builder::request(&method, invite.uri().unwrap_or_default())
        .headers(Name::Via, invite.values(Name::Via).take(1))
        .headers(Name::Route, invite.headers(Name::Route))
        .header(Name::MaxForwards, MAX_FORWARDS)
        // Display names need not be UTF-8.
        .header_bytes(Name::From, invite.header_bytes(Name::From).unwrap_or_default())
        .header_bytes(Name::To, has_to.header_bytes(Name::To).unwrap_or_default())
        .header(Name::CallId, invite.call_id())
        .header(Name::CSeq, format_args!("{number} {method}"))
        .build()
        .expect("a valid INVITE has all that its ACK and its CANCEL repeat")
}

/// RFC 3261 §8.1.1.6.
const MAX_FORWARDS: u8 = 70;
