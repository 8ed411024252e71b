//! Digest access authentication for SIP, both sides: RFC 7616 as RFC 8760 and RFC 3261 §22 use it.
//!
//! The server side keeps no state. A nonce is sealed with its own age in it, so that every node can judge every nonce;
//! that a nonce count never repeats is for the caller's store, to which [`Verdict::Accepted`](server::Verdict) names
//! the nonce and the count.

mod algorithm;
pub mod client;
mod nonce;
mod params;
mod secret;
pub mod server;

pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use nonce::{NonceId, NonceSealer};
pub use params::{BadDigest, username};
pub use secret::Secret;
pub use server::{Refusal, Verdict};
