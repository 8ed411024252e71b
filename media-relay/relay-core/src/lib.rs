//! The media core: demultiplexing, ICE-lite, DTLS-SRTP and the RTP bridge as one deterministic engine.

pub mod demux;
pub mod rtp;
pub mod srtp;
pub mod stun;
