//! Sequences of messages, answers, failures and time against the transaction layer.
#![no_main]

#[path = "../../gateway/sip-core/tests/transaction/input.rs"]
mod input;

libfuzzer_sys::fuzz_target!(|data: &[u8]| input::run(data));
