//! A swarm of SIP phones on WebSockets with the trunk behind the server, and what it measures.
//!
//! `sip` and `ua` are pure (no sockets, no clock), `transport` carries them, `swarm` paces them, `process` weighs the server,
//! `compare` puts two servers side by side. `media` does the same with relays, under voice. Nothing here shares code with the
//! gateway or the relay.

pub mod cli;
pub mod compare;
pub mod idle;
pub mod measure;
pub mod media;
pub mod process;
pub mod random;
pub mod recorder;
pub mod report;
pub mod sip;
pub mod stats;
pub mod swarm;
pub mod sys;
pub mod target;
pub mod transport;
pub mod ua;
pub mod users;
