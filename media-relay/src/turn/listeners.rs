//! The sockets at which one worker's clients arrive.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

use socket2::{Domain, Socket, Type};

use crate::bound::{ListenerKind, Refused};

/// One worker's listeners: every worker has its own at the same addresses (SO_REUSEPORT).
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    pub(super) udp: Vec<UdpSocket>,
    pub(super) streams: Vec<StreamListener>,
    pub(crate) bound: Bound,
}

#[derive(Debug)]
pub(super) struct StreamListener {
    pub(super) socket: TcpListener,
    pub(super) is_tls: bool,
}

/// Where clients reach TURN, as bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bound {
    /// By UDP.
    pub udp: Vec<SocketAddr>,
    /// By TCP.
    pub tcp: Vec<SocketAddr>,
    /// By TLS.
    pub tls: Vec<SocketAddr>,
}

impl Listeners {
    /// The first worker's are bound as if there were no other: only then the kernel says that another program is there. Then
    /// it lets the others have the same port, whichever the first one was given.
    pub(crate) fn bind_all(wanted: &Bound, workers: usize, refused: &mut impl FnMut(Refused)) -> Vec<Self> {
        let first = Self::bind(wanted, Port::New, refused);
        let others: Vec<Self> =
            (1..workers).map(|_| Self::bind(&first.bound, Port::OfASibling, refused)).collect();
        std::iter::once(first).chain(others).collect()
    }

    fn bind(wanted: &Bound, port: Port, refused: &mut impl FnMut(Refused)) -> Self {
        let mut listeners = Self::default();
        let mut had = |listener, address, kind| {
            let tell = |error| refused(Refused { listener, address, error });
            bind(address, kind, port).map_err(tell).ok()
        };
        for &address in &wanted.udp {
            if let Some((socket, at)) = had(ListenerKind::TurnUdp, address, Type::DGRAM) {
                listeners.bound.udp.push(at);
                listeners.udp.push(socket.into());
            }
        }
        for &address in &wanted.tcp {
            if let Some((socket, at)) = had(ListenerKind::TurnTcp, address, Type::STREAM) {
                listeners.bound.tcp.push(at);
                listeners.streams.push(StreamListener { socket: socket.into(), is_tls: false });
            }
        }
        for &address in &wanted.tls {
            if let Some((socket, at)) = had(ListenerKind::TurnTls, address, Type::STREAM) {
                listeners.bound.tls.push(at);
                listeners.streams.push(StreamListener { socket: socket.into(), is_tls: true });
            }
        }
        listeners
    }

    /// As bound, and as advertised.
    pub(super) fn addresses(&self, advertised: &[IpAddr]) -> Vec<SocketAddr> {
        let Bound { udp, tcp, tls } = &self.bound;
        let bound = udp.iter().chain(tcp).chain(tls).copied();
        let told =
            bound.clone().flat_map(|at| advertised.iter().map(move |ip| SocketAddr::new(*ip, at.port())));
        bound.chain(told).collect()
    }
}

/// Whose port is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Port {
    /// Nobody's.
    New,
    /// One that a worker of ours has.
    OfASibling,
}

/// With the address that it was given.
fn bind(address: SocketAddr, kind: Type, port: Port) -> io::Result<(Socket, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(address), kind, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    if kind == Type::STREAM {
        socket.set_reuse_address(true)?;
    } else {
        // Room for the packets of many clients while the worker is busy; what the system allows.
        socket.set_recv_buffer_size(UDP_BUFFER)?;
    }
    socket.set_reuse_port(port == Port::OfASibling)?;
    socket.bind(&address.into())?;
    socket.set_reuse_port(true)?;
    if kind == Type::STREAM {
        socket.listen(BACKLOG)?;
    }
    let no_address = || io::Error::other("no address of the Internet");
    let given = socket.local_addr()?.as_socket().ok_or_else(no_address)?;
    Ok((socket, given))
}

/// Connections that wait to be accepted; the system refuses or delays more.
const BACKLOG: i32 = 1_024;
const UDP_BUFFER: usize = 4 << 20;
