//! What peers, relay, timers and flows do to a call.
#![no_main]
#![expect(dead_code, reason = "the tests of the crate use more of the peers than a walk does")]

#[path = "../../gateway/sip-core/tests/call/input.rs"]
mod input;
#[path = "../../gateway/sip-core/tests/call/peer.rs"]
mod peer;
#[path = "../../gateway/sip-core/tests/call/sdp.rs"]
mod sdp;
#[path = "../../gateway/sip-core/tests/call/trace.rs"]
mod trace;

libfuzzer_sys::fuzz_target!(|data: &[u8]| input::run(data));
