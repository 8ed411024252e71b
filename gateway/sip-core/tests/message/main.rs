//! The message layer: reading, building, framing, and whatever octets come.
#![expect(clippy::unwrap_used, reason = "tests")]

mod corpus;
mod framing;
mod framing_input;
mod input;
mod properties;
mod reading;
