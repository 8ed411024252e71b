//! The two-leg call as SIP traces: both peers and the relay are scripted, time is an argument.
#![expect(clippy::unwrap_used, reason = "tests")]

mod agreement;
mod cancel;
mod dialog;
mod failover;
mod families;
mod flow;
mod genesys;
mod hang_up;
mod hold;
mod media;
mod peer;
mod renegotiate;
mod sdp;
mod session_timer;
mod setup;
mod trace;
mod walk;
mod way;
