//! The two requests that are made from an INVITE and share its Via: ACK of a failure, CANCEL.

use std::fmt;

use crate::message::{Builder, Message, Method, Name, Via};

/// The ACK of a 300–699 response (RFC 3261 §17.1.1.3). The ACK of a 2xx is the transaction user's.
pub fn ack_for(invite: &Message, response: &Message) -> Message {
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
        .header(Name::Via, TopVia(invite.via()))
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

/// The topmost Via by itself; others may stand in the same line.
struct TopVia<'a>(Via<'a>);

impl fmt::Display for TopVia<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/2.0/{} {}", self.0.transport, self.0.sent_by)?;
        self.0.params.iter().try_for_each(|(name, value)| match value {
            Some(value) => write!(f, ";{name}={value}"),
            None => write!(f, ";{name}"),
        })
    }
}

/// RFC 3261 §8.1.1.6.
const MAX_FORWARDS: u8 = 70;
