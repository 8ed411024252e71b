//! The media core: demultiplexing, ICE-lite, DTLS-SRTP and the RTP bridge as one deterministic [`Engine`].
//!
//! No sockets, no clock, no global randomness: datagrams and the time come in as arguments, what is to be sent goes out
//! through [`Io`], chance comes from a seed. The way of a packet:
//!
//! ```text
//! browser ── mux socket ── demux ─┬─ STUN ── ice ─────── answer
//!                                 ├─ DTLS ── dtls ────── keys
//!                                 └─ SRTP ── srtp ── session ── bridge ── RTP port ── trunk
//! ```
//!
//! Every table is bounded. State for a stranger is never made: a browser's packets count from the address that an
//! authentic ICE check came from, a trunk's from the address that was signalled.

#![warn(clippy::iter_over_hash_type)]
#![cfg_attr(
    test,
    expect(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        reason = "tests begin at a time of the machine, and share by locks"
    )
)]

mod bridge;
pub mod demux;
pub mod dtls;
pub mod engine;
mod failure;
mod ice;
mod leg;
mod quality;
mod random;
pub mod rtcp;
pub mod rtp;
mod service;
mod session;
pub mod srtp;
pub mod stun;
pub mod turn;

pub use engine::{Engine, EngineConfig, Interface, Io, PortPair, SocketId, Totals};
pub use failure::{Failure, TransportFailures};
