//! The transaction layer on the wire: traces of RFC 3261 §17 and RFC 6026 with a clock of the test's own.
#![expect(clippy::unwrap_used, reason = "tests")]

mod chance;
mod client_invite;
mod client_non_invite;
mod corpus;
mod input;
mod matching;
mod messages;
mod server_invite;
mod server_non_invite;
mod simulation;
mod table;
mod trace;
