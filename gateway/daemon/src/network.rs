//! By what connections and tries of one peer are counted.

use std::net::{IpAddr, Ipv6Addr};

/// What counts as one address: a host is given a whole /64 of IPv6 (RFC 6177 §2), and may use any address of it.
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}
