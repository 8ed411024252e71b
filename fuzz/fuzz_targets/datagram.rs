//! Any octets as a datagram of STUN, DTLS, RTP or RTCP, or as a message to the TURN server.
#![no_main]

#[path = "../../media-relay/relay-core/tests/datagram/input.rs"]
mod input;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| input::run(octets));
