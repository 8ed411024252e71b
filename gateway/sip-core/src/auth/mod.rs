//! Digest access authentication for SIP, both sides: RFC 7616 as RFC 8760 and RFC 3261 §22 use it.
//!
//! The server side keeps no state for a challenge. A nonce is sealed with its own age in it and bound to what its uses are counted by,
//! a connection: [`NonceUses`] sees to it that no use comes twice.

mod algorithm;
pub mod client;
mod nonce;
mod params;
mod secret;
pub mod server;

pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use nonce::{NonceId, NonceSealer, NonceUses, Salt};
pub use params::{BadDigest, username};
pub use secret::Secret;
pub use server::{Refusal, Verdict};
