//! Addresses: by what connections and tries of one peer are counted, and why a port can't be had.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// What counts as one address: a host is given a whole /64 of IPv6 (RFC 6177 §2), and may use any address of it.
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Why nothing can be bound there, and the way out.
pub fn why_not_bound(error: &io::Error, address: SocketAddr) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("{address} is taken; is another program there? `ss -lntup` shows which")
        }
        io::ErrorKind::PermissionDenied if address.port() < PRIVILEGED => format!(
            "this user may not bind {address}: ports below {PRIVILEGED} need privileges, such as \
             CAP_NET_BIND_SERVICE; grant them, or take a port from {PRIVILEGED} on"
        ),
        io::ErrorKind::AddrNotAvailable => {
            format!(
                "no interface of this machine has the address {}; `ip address` shows those there are",
                address.ip()
            )
        }
        _ => format!("{address} can't be bound: {error}"),
    }
}

/// Of Linux' default, `net.ipv4.ip_unprivileged_port_start`.
const PRIVILEGED: u16 = 1_024;
