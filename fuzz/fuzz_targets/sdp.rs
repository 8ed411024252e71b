//! Descriptions as offer and as answer of both kinds of leg.
#![no_main]

#[path = "../../gateway/sip-core/tests/sdp/input.rs"]
mod input;

libfuzzer_sys::fuzz_target!(|data: &[u8]| input::run(data));
