//! Who may be a peer: our own media addresses, what the configuration lists, nobody else.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;

use ipnet::IpNet;

/// Peers that the configuration permits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerRule {
    /// An address or a block of them.
    pub network: IpNet,
    /// Of each address.
    pub ports: RangeInclusive<u16>,
}

/// A media address of this process, reached without a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalPeer {
    /// What browsers are told.
    pub address: SocketAddr,
    /// The n-th browser-facing socket: [`SocketId::Mux`](crate::SocketId::Mux).
    pub mux: u8,
}

/// How a permitted peer is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Engine(u8),
    Socket,
}

/// The allow-list, and what it never covers: the TURN server itself.
pub(super) struct Peers {
    pub(super) local: Vec<LocalPeer>,
    pub(super) rules: Vec<PeerRule>,
    /// Listeners and relayed addresses. The unspecified address stands for all.
    pub(super) own: Vec<(IpAddr, RangeInclusive<u16>)>,
}

impl Peers {
    /// The way to a peer; `None` if it is forbidden.
    pub(super) fn route(&self, peer: SocketAddr) -> Option<Route> {
        if let Some(local) = self.local.iter().find(|local| local.address == peer) {
            return Some(Route::Engine(local.mux));
        }
        let (ip, port) = (peer.ip(), peer.port());
        let is_listed = self.rules.iter().any(|rule| rule.covers(ip) && rule.ports.contains(&port));
        (is_listed && port != 0 && !self.is_own(ip, port)).then_some(Route::Socket)
    }

    /// Whether a permission, which names no port (RFC 8656 §9), can be of use.
    pub(super) fn may_permit(&self, ip: IpAddr) -> bool {
        self.local.iter().any(|local| local.address.ip() == ip)
            || self.rules.iter().any(|rule| rule.covers(ip))
    }

    fn is_own(&self, ip: IpAddr, port: u16) -> bool {
        self.own.iter().any(|(own, ports)| (*own == ip || own.is_unspecified()) && ports.contains(&port))
    }
}

impl PeerRule {
    /// A block never covers another spelling of somebody's address, nor an address that is nobody's.
    fn covers(&self, ip: IpAddr) -> bool {
        if ip.is_unspecified() || ip.is_multicast() {
            return false;
        }
        let is_plain = match ip {
            IpAddr::V4(ip) => !ip.is_broadcast(),
            IpAddr::V6(ip) => !embeds_ipv4(ip),
        };
        self.network.contains(&ip) && (is_plain || self.network.prefix_len() == self.network.max_prefix_len())
    }
}

/// IPv6 addresses that stand for an IPv4 address, and loopback, which is written like one of them.
fn embeds_ipv4(ip: Ipv6Addr) -> bool {
    match ip.segments() {
        // RFC 4291 §2.5.5: compatible and mapped; RFC 2765 §2.1: translated.
        [0, 0, 0, 0, 0, 0 | 0xFFFF, ..] | [0, 0, 0, 0, 0xFFFF, 0, ..] => true,
        // RFC 6052 §2.1, RFC 8215: NAT64.
        [0x64, 0xFF9B, 0 | 1, ..] => true,
        // RFC 4380 §4: Teredo. RFC 3056 §2: 6to4.
        [0x2001, 0, ..] | [0x2002, ..] => true,
        // RFC 5214 §6.1: ISATAP.
        [_, _, _, _, 0 | 0x200, 0x5EFE, ..] => true,
        _ => false,
    }
}
