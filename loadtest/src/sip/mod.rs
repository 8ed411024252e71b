//! SIP as the swarm speaks it: read, write, authenticate, describe.
//!
//! Messages go through `rsip`, a parser that shares nothing with the gateway's own. What it is known to get wrong is
//! done here instead: start lines (it re-prints URIs and closes the set of methods), compact header names, folding,
//! and digest challenges with `SHA-256` or several qop values.

pub mod dialog;
pub mod digest;
pub mod read;
pub mod sdp;
pub mod write;
