//! The transports from the wire: a recording application behind real sockets on loopback.

#![expect(clippy::unwrap_used, reason = "tests")]

mod certificates;
mod families;
mod recorder;
mod tcp;
mod tls;
mod trunks;
mod turn;
mod udp;
mod ws;
mod wss;
