//! Any octets as one message.
#![no_main]

#[path = "../../gateway/sip-core/tests/message/input.rs"]
mod input;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| input::run(octets));
