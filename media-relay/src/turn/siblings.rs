//! Media addresses of our other workers: clients know the advertised ones, sockets meet at the bound ones.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// One browser-facing address of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MediaAddress {
    /// What browsers are told.
    pub(crate) advertised: SocketAddr,
    /// Where packets from this machine arrive.
    pub(crate) bound: SocketAddr,
}

/// Carries packets between workers without a way over the NAT that advertised addresses stand for.
#[derive(Clone, Default)]
pub(super) struct Siblings(Vec<MediaAddress>);

impl Siblings {
    /// `relayed` is where relayed ports are bound.
    pub(super) fn new(media: &[MediaAddress], relayed: &[IpAddr]) -> Self {
        let reachable =
            media.iter().map(|media| MediaAddress { bound: reach(media.bound, relayed), ..*media });
        Self(reachable.filter(|media| media.advertised != media.bound).collect())
    }

    /// Where a packet for `peer` has to go.
    pub(super) fn bound(&self, peer: SocketAddr) -> SocketAddr {
        self.0.iter().find(|media| media.advertised == peer).map_or(peer, |media| media.bound)
    }

    /// Who a packet from `source` is from, as clients know it.
    pub(super) fn advertised(&self, source: SocketAddr) -> SocketAddr {
        self.0.iter().find(|media| media.bound == source).map_or(source, |media| media.advertised)
    }
}

/// A socket bound to every address is reached at the one that the relayed port has: its answers come from there too.
fn reach(bound: SocketAddr, relayed: &[IpAddr]) -> SocketAddr {
    let of_family = |ip: &&IpAddr| ip.is_ipv4() == bound.is_ipv4() && !ip.is_unspecified();
    let ip = match (bound.ip(), relayed.iter().find(of_family)) {
        (ip, _) if !ip.is_unspecified() => ip,
        (_, Some(relayed)) => *relayed,
        (IpAddr::V4(_), None) => Ipv4Addr::LOCALHOST.into(),
        (IpAddr::V6(_), None) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, bound.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_worker_behind_nat_is_met_at_its_bound_address_and_known_by_the_other() {
        let pair = |advertised, bound| MediaAddress { advertised: at(advertised), bound: at(bound) };
        let media = [
            pair("203.0.113.7:3479", "10.0.0.7:3479"),
            pair("203.0.113.7:3480", "0.0.0.0:3480"),
            pair("[2001:db8::7]:3480", "[::]:3480"),
            pair("192.0.2.1:3481", "192.0.2.1:3481"),
        ];
        let siblings = Siblings::new(&media, &[at("10.0.0.5:0").ip()]);
        for (advertised, bound) in [
            ("203.0.113.7:3479", "10.0.0.7:3479"),
            ("203.0.113.7:3480", "10.0.0.5:3480"),
            ("[2001:db8::7]:3480", "[::1]:3480"),
            ("192.0.2.1:3481", "192.0.2.1:3481"),
            ("198.51.100.1:3479", "198.51.100.1:3479"),
        ] {
            assert_eq!(siblings.bound(at(advertised)), at(bound));
            assert_eq!(siblings.advertised(at(bound)), at(advertised));
        }
        assert_eq!(siblings.advertised(at("10.0.0.8:3479")), at("10.0.0.8:3479"), "somebody else's port");
    }
}
