//! The two-leg call as SIP traces: both peers and the relay are scripted, time is an argument.
#![expect(clippy::unwrap_used, reason = "tests")]

mod agreement;
mod cancel;
#[expect(dead_code, reason = "shared with the transactions' tests, which use more of it")]
#[path = "../support/chance.rs"]
mod chance;
mod corpus;
mod dialog;
mod failover;
mod families;
mod flow;
mod genesys;
mod hang_up;
mod hold;
mod input;
mod media;
mod peer;
mod renegotiate;
#[path = "../support/replay.rs"]
mod replay;
mod sdp;
mod session_timer;
mod setup;
mod together;
mod trace;
mod walk;
mod way;
