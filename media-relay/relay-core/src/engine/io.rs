//! Where the engine ends: sockets and what the driver does with them.

use std::net::SocketAddr;

/// One of the driver's sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SocketId {
    /// The n-th browser-facing socket.
    Mux(u8),
    /// The even port of a pair.
    Rtp(PortPair),
    /// The odd port of a pair.
    Rtcp(PortPair),
}

/// Two adjacent ports of a range: RFC 3550 §11.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PortPair {
    /// Index into [`EngineConfig::ranges`](super::EngineConfig::ranges).
    pub range: u8,
    /// The even one.
    pub rtp: u16,
}

impl PortPair {
    /// The odd one.
    pub fn rtcp(self) -> u16 {
        self.rtp | 1
    }
}

/// What the engine has done for it.
pub trait Io {
    /// Binds both sockets of a pair. `false` if either port is taken: the engine tries another pair.
    fn open(&mut self, pair: PortPair) -> bool;
    /// Closes both sockets of a pair.
    fn close(&mut self, pair: PortPair);
    /// Sends a datagram now or never.
    fn transmit(&mut self, socket: SocketId, to: SocketAddr, datagram: &[u8]);
}
