//! The transaction layer on the wire: traces of RFC 3261 §17 and RFC 6026 with a clock of the test's own.
#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "../support/chance.rs"]
mod chance;
mod client_invite;
mod client_non_invite;
mod corpus;
mod input;
mod matching;
mod messages;
#[path = "../support/replay.rs"]
mod replay;
mod server_invite;
mod server_non_invite;
mod simulation;
mod table;
mod trace;
