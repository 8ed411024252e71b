//! How messages travel: WebSockets for phones, UDP for the trunk.

pub mod udp;
pub mod ws;
