//! The sockets at which one worker's clients arrive.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

use socket2::{Domain, Socket, Type};

use super::config::TurnConfig;
use crate::config::StartError;

/// One worker's listeners: every worker has its own at the same addresses (SO_REUSEPORT).
#[derive(Default)]
pub(crate) struct Listeners {
    pub(super) udp: Vec<UdpSocket>,
    pub(super) streams: Vec<StreamListener>,
    pub(crate) bound: Bound,
}

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
    /// Binds for all workers before any of them reads, so that a client's packets find the same worker always.
    pub(crate) fn bind_all(config: &TurnConfig, workers: usize) -> Result<Vec<Self>, StartError> {
        let mut wanted = Bound { udp: config.udp.clone(), tcp: config.tcp.clone(), tls: config.tls.clone() };
        let mut all = Vec::new();
        for _ in 0..workers {
            let listeners = Self::bind(&wanted)?;
            // Whatever port the first one was given is the others' too.
            wanted = listeners.bound.clone();
            all.push(listeners);
        }
        Ok(all)
    }

    fn bind(wanted: &Bound) -> Result<Self, StartError> {
        let mut listeners = Self::default();
        for &address in &wanted.udp {
            let socket: UdpSocket = bind(address, Type::DGRAM)?.into();
            listeners.bound.udp.push(socket.local_addr()?);
            listeners.udp.push(socket);
        }
        for (addresses, is_tls) in [(&wanted.tcp, false), (&wanted.tls, true)] {
            for &address in addresses {
                let socket: TcpListener = bind(address, Type::STREAM)?.into();
                let bound = if is_tls { &mut listeners.bound.tls } else { &mut listeners.bound.tcp };
                bound.push(socket.local_addr()?);
                listeners.streams.push(StreamListener { socket, is_tls });
            }
        }
        Ok(listeners)
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

fn bind(address: SocketAddr, kind: Type) -> Result<Socket, StartError> {
    try_bind(address, kind).map_err(|source| StartError::BindTurn { address, source })
}

fn try_bind(address: SocketAddr, kind: Type) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    if kind == Type::STREAM {
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
    } else {
        // Room for the packets of many clients while the worker is busy; what the system allows.
        socket.set_recv_buffer_size(UDP_BUFFER)?;
        socket.bind(&address.into())?;
    }
    Ok(socket)
}

/// Connections that wait to be accepted; the system refuses or delays more.
const BACKLOG: i32 = 1_024;
const UDP_BUFFER: usize = 4 << 20;
