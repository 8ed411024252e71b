//! What the network says about datagrams that did not arrive: ICMP, as Linux's error queue tells it (RFC 3261 §18.4).

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use nix::cmsg_space;
use nix::libc::{sock_extended_err, sockaddr_in6};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt::Ipv4RecvErr,
    sockopt::Ipv6RecvErr,
};

/// What an entry of the queue says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// A datagram for there can't be delivered.
    Unreachable(SocketAddr),
    /// Nothing that concerns a sender: time exceeded, or a packet that has to become smaller.
    Harmless,
}

/// Has the kernel keep such errors for [`next`]. From now on any call on the socket may fail with an error that belongs to
/// an earlier datagram for somebody else.
pub(crate) fn keep(socket: &UdpSocket) -> io::Result<()> {
    setsockopt(socket, Ipv4RecvErr, &true)?;
    if socket.local_addr()?.is_ipv6() {
        setsockopt(socket, Ipv6RecvErr, &true)?;
    }
    Ok(())
}

/// Takes the oldest error.
///
/// # Errors
/// `WouldBlock` if there is none.
pub(crate) fn next(socket: &UdpSocket) -> io::Result<Report> {
    let mut room = cmsg_space!(sock_extended_err, sockaddr_in6);
    let mut datagram = [0; 1];
    let mut parts = [IoSliceMut::new(&mut datagram)];
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let entry = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut parts, Some(&mut room), flags)?;
    let is_hard = entry.cmsgs()?.any(|message| match message {
        ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _) => {
            is_hard(&error)
        }
        _ => false,
    });
    let peer = entry.address.filter(|_| is_hard).and_then(|address| socket_address(&address));
    Ok(peer.map_or(Report::Harmless, Report::Unreachable))
}

/// RFC 3261 §18.4: host, network, port or protocol unreachable, or a parameter problem.
fn is_hard(error: &sock_extended_err) -> bool {
    match (error.ee_origin, error.ee_type, error.ee_code) {
        (ORIGIN_ICMP, ICMP_UNREACHABLE, code) => code != ICMP_FRAGMENTATION_NEEDED,
        (ORIGIN_ICMP, ICMP_PARAMETER_PROBLEM, _) => true,
        (ORIGIN_ICMP6, ICMP6_UNREACHABLE | ICMP6_PARAMETER_PROBLEM, _) => true,
        _ => false,
    }
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    let four = address.as_sockaddr_in().map(|four| SocketAddr::new(four.ip().into(), four.port()));
    four.or_else(|| address.as_sockaddr_in6().map(|six| SocketAddr::new(six.ip().to_canonical(), six.port())))
}

/// Of Linux: `SO_EE_ORIGIN_ICMP` and `SO_EE_ORIGIN_ICMP6`.
const ORIGIN_ICMP: u8 = 2;
const ORIGIN_ICMP6: u8 = 3;
/// RFC 792.
const ICMP_UNREACHABLE: u8 = 3;
const ICMP_FRAGMENTATION_NEEDED: u8 = 4;
const ICMP_PARAMETER_PROBLEM: u8 = 12;
/// RFC 4443.
const ICMP6_UNREACHABLE: u8 = 1;
const ICMP6_PARAMETER_PROBLEM: u8 = 4;
