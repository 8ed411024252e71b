//! The media core: demultiplexing, ICE-lite, DTLS-SRTP and the RTP bridge as one deterministic engine.
