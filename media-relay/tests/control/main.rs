//! The control API over real sockets, and the program around it.
#![expect(clippy::unwrap_used, reason = "tests")]

mod access;
mod client;
mod configuration;
mod events;
mod lab;
mod program;
mod sessions;
mod turn;
