//! Which address this machine has beside loopback.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::OnceLock;

use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::InterfaceFlags;

/// The first one, IPv4 before IPv6: any of them is as good as another to a browser on the same machine. It is asked for once,
/// so that what is bound is what is told.
pub(crate) fn address_beside_loopback() -> Option<IpAddr> {
    static FOUND: OnceLock<Option<IpAddr>> = OnceLock::new();
    *FOUND.get_or_init(|| first_suitable(getifaddrs().ok()?.filter_map(|one| address_in_use(&one))))
}

fn first_suitable(addresses: impl Iterator<Item = IpAddr>) -> Option<IpAddr> {
    let (ipv4, ipv6): (Vec<IpAddr>, Vec<IpAddr>) =
        addresses.filter(|ip| is_suitable(*ip)).partition(IpAddr::is_ipv4);
    ipv4.into_iter().chain(ipv6).next()
}

/// Browsers pass over interfaces that are down, and over loopback.
fn address_in_use(interface: &InterfaceAddress) -> Option<IpAddr> {
    let (wanted, unwanted) =
        (InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING, InterfaceFlags::IFF_LOOPBACK);
    if !interface.flags.contains(wanted) || interface.flags.intersects(unwanted) {
        return None;
    }
    let address = interface.address?;
    let ipv4 = address.as_sockaddr_in().map(|at| IpAddr::V4(at.ip()));
    ipv4.or_else(|| address.as_sockaddr_in6().map(|at| IpAddr::V6(at.ip())))
}

/// A link-local address is none without its link, which a candidate can't name (RFC 8839 §5.1).
fn is_suitable(ip: IpAddr) -> bool {
    let is_link_local = match ip {
        IpAddr::V4(ip) => Ipv4Addr::is_link_local(&ip),
        IpAddr::V6(ip) => Ipv6Addr::is_unicast_link_local(&ip),
    };
    !ip.is_loopback() && !ip.is_unspecified() && !ip.is_multicast() && !is_link_local
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn first(addresses: &[&str]) -> Option<String> {
        let addresses = addresses.iter().map(|ip| ip.parse().unwrap());
        first_suitable(addresses).map(|ip: IpAddr| ip.to_string())
    }

    #[test]
    fn ipv4_goes_before_ipv6_and_the_first_before_the_next() {
        assert_eq!(first(&["fd00::2", "192.0.2.2", "198.51.100.1"]).as_deref(), Some("192.0.2.2"));
        assert_eq!(first(&["2001:db8::7", "fd00::2"]).as_deref(), Some("2001:db8::7"));
    }

    #[test]
    fn addresses_of_a_link_or_of_loopback_do_not_count() {
        assert_eq!(first(&["169.254.7.7", "fe80::1", "127.0.0.2", "::1"]), None);
        assert_eq!(first(&["169.254.7.7", "fe80::1", "fd00::2"]).as_deref(), Some("fd00::2"));
    }
}
