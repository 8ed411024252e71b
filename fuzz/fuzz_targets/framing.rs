//! Any octets as a stream, at once and in pieces.
#![no_main]

#[path = "../../gateway/sip-core/tests/message/framing_input.rs"]
mod input;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| input::run(octets));
