//! SDP as peers write it and as we do: offer/answer of RFC 3264 and RFC 8829 as far as audio needs them.
#![expect(clippy::unwrap_used, reason = "tests")]

mod codec;
mod corpus;
mod input;
mod negotiation;
mod parse;
mod support;
