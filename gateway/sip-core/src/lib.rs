//! The SIP core: messages, SDP, transactions, dialogs, registrar, digest and the two-leg call, without clock, sockets or randomness.
//!
//! Everything here is a value or a function of values: time comes in as an argument ([`time::Instant`],
//! [`time::UnixMillis`]), chance likewise, and what is to be sent or stored goes out as a return value.

#![forbid(unsafe_code)]
#![warn(clippy::iter_over_hash_type)]

pub mod auth;
pub mod call;
pub mod dialog;
pub mod message;
pub mod registrar;
pub mod routing;
pub mod sdp;
pub mod time;
pub mod transaction;
