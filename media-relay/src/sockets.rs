//! The sockets of one worker, and the poll that waits for them.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use relay_core::turn::RelayedPort;
use relay_core::{Io, PortPair, SocketId};
use rustix::buffer::spare_capacity;
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::net::sockopt;
use socket2::{Domain, Socket, Type};

use crate::turn::Source;

/// Sockets by what the engine calls them.
pub(crate) struct Sockets {
    poll: Poll,
    mux: Vec<UdpSocket>,
    /// Where the ports of each range are bound.
    ranges: Vec<IpAddr>,
    pairs: HashMap<PortPair, [UdpSocket; 2]>,
    pub(crate) sent: u64,
    pub(crate) send_failed: u64,
}

/// Why the poll returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ready {
    /// Somebody called [`Waker::wake`].
    Woken,
    /// A socket has something to read.
    Readable(SocketId),
    /// A socket of TURN has.
    Turn(Source),
}

/// What the poll is to tell of a TURN socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    Nothing,
    Read,
    ReadAndWrite,
}

/// The way into the poll for TURN's sockets.
#[derive(Clone)]
pub(crate) struct Registry(Arc<OwnedFd>);

/// Level-triggered: a socket that was not emptied is told again.
struct Poll {
    epoll: Arc<OwnedFd>,
    waker: Waker,
}

/// What a wait tells, [`EVENTS`] at most.
pub(crate) struct Told(Vec<epoll::Event>);

/// Ends a wait from another thread.
#[derive(Clone)]
pub(crate) struct Waker(Arc<OwnedFd>);

impl Sockets {
    /// Takes over the browser-facing sockets.
    pub(crate) fn new(mux: Vec<UdpSocket>, ranges: Vec<IpAddr>) -> io::Result<Self> {
        let poll = Poll::new()?;
        for (index, socket) in mux.iter().enumerate() {
            poll.add(socket, SocketId::Mux(index as u8))?;
        }
        Ok(Self { poll, mux, ranges, pairs: HashMap::new(), sent: 0, send_failed: 0 })
    }

    pub(crate) fn waker(&self) -> Waker {
        self.poll.waker.clone()
    }

    pub(crate) fn registry(&self) -> Registry {
        Registry(Arc::clone(&self.poll.epoll))
    }

    /// Waits for `timeout` at most, for ever without one; `told` is filled anew.
    pub(crate) fn wait(&self, timeout: Option<Duration>, told: &mut Told) {
        self.poll.wait(timeout, told);
    }

    /// Reads one datagram, if there is one.
    pub(crate) fn receive(&self, socket: SocketId, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        self.socket(socket)?.recv_from(buffer).ok()
    }

    /// Sockets of plain legs.
    pub(crate) fn rtp_sockets(&self) -> usize {
        self.pairs.len() * 2
    }

    fn socket(&self, id: SocketId) -> Option<&UdpSocket> {
        match id {
            SocketId::Mux(index) => self.mux.get(usize::from(index)),
            SocketId::Rtp(pair) => self.pairs.get(&pair).map(|[rtp, _]| rtp),
            SocketId::Rtcp(pair) => self.pairs.get(&pair).map(|[_, rtcp]| rtcp),
        }
    }

    fn bind_pair(&self, pair: PortPair) -> io::Result<[UdpSocket; 2]> {
        let ip = self.ranges[usize::from(pair.range)];
        let rtp = bind(SocketAddr::new(ip, pair.rtp))?;
        let rtcp = bind(SocketAddr::new(ip, pair.rtcp()))?;
        self.poll.add(&rtp, SocketId::Rtp(pair))?;
        self.poll.add(&rtcp, SocketId::Rtcp(pair))?;
        Ok([rtp, rtcp])
    }
}

impl Io for Sockets {
    fn open(&mut self, pair: PortPair) -> bool {
        match self.bind_pair(pair) {
            Ok(sockets) => {
                self.pairs.insert(pair, sockets);
                true
            }
            Err(error) => {
                tracing::warn!(port = pair.rtp, %error, "a port pair cannot be bound");
                false
            }
        }
    }

    fn close(&mut self, pair: PortPair) {
        // A closed socket leaves the poll by itself.
        self.pairs.remove(&pair);
    }

    fn transmit(&mut self, socket: SocketId, to: SocketAddr, datagram: &[u8]) {
        match self.socket(socket).map(|socket| socket.send_to(datagram, to)) {
            Some(Ok(_)) => self.sent += 1,
            Some(Err(_)) | None => self.send_failed += 1,
        }
    }
}

impl Poll {
    fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let waker = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &waker, epoll::EventData::new_u64(WAKER), epoll::EventFlags::IN)?;
        Ok(Self { epoll: Arc::new(epoll), waker: Waker(Arc::new(waker)) })
    }

    fn add(&self, socket: impl AsFd, id: SocketId) -> io::Result<()> {
        let token = epoll::EventData::new_u64(token(id));
        Ok(epoll::add(&self.epoll, socket, token, epoll::EventFlags::IN)?)
    }

    fn wait(&self, timeout: Option<Duration>, told: &mut Told) {
        told.0.clear();
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        // Interrupted by a signal: as if nothing had happened.
        _ = epoll::wait(&self.epoll, spare_capacity(&mut told.0), timeout.as_ref());
        if told.0.iter().any(|event| event.data.u64() == WAKER) {
            self.waker.reset();
        }
    }
}

impl Told {
    pub(crate) fn new() -> Self {
        Self(Vec::with_capacity(EVENTS))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Ready> {
        self.0.iter().map(|event| match event.data.u64() {
            WAKER => Ready::Woken,
            token if token >= TURN => Ready::Turn(turn_source(token)),
            token => Ready::Readable(socket_id(token)),
        })
    }
}

impl Registry {
    /// Tells when there is something to read.
    pub(crate) fn add_turn(&self, socket: impl AsFd, source: Source) -> io::Result<()> {
        let token = epoll::EventData::new_u64(turn_token(source));
        Ok(epoll::add(&*self.0, socket, token, Interest::Read.flags())?)
    }

    pub(crate) fn change(&self, socket: impl AsFd, source: Source, interest: Interest) -> io::Result<()> {
        let token = epoll::EventData::new_u64(turn_token(source));
        Ok(epoll::modify(&*self.0, socket, token, interest.flags())?)
    }
}

impl Interest {
    fn flags(self) -> epoll::EventFlags {
        match self {
            Self::Nothing => epoll::EventFlags::empty(),
            Self::Read => epoll::EventFlags::IN,
            Self::ReadAndWrite => epoll::EventFlags::IN | epoll::EventFlags::OUT,
        }
    }
}

impl Waker {
    /// Makes the current or the next wait return.
    pub(crate) fn wake(&self) {
        // The counter can only be full when a wake-up is pending anyway.
        _ = rustix::io::write(&*self.0, &1_u64.to_ne_bytes());
    }

    fn reset(&self) {
        _ = rustix::io::read(&*self.0, &mut [0; 8]);
    }
}

/// A non-blocking socket on exactly this address; IPv6 sockets take no IPv4, so that addresses compare as they are.
pub(crate) fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// As above, with room for the packets of many browsers while the worker is busy.
pub(crate) fn bind_mux(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = bind(address)?;
    // Beyond the system's limits only with CAP_NET_ADMIN; else the kernel gives what they allow.
    if sockopt::set_socket_recv_buffer_size_force(&socket, MUX_BUFFER).is_err() {
        sockopt::set_socket_recv_buffer_size(&socket, MUX_BUFFER)?;
    }
    if sockopt::set_socket_send_buffer_size_force(&socket, MUX_BUFFER).is_err() {
        sockopt::set_socket_send_buffer_size(&socket, MUX_BUFFER)?;
    }
    Ok(socket)
}

/// Says so if the system lets such a socket have little.
pub(crate) fn tell_room(socket: &UdpSocket, address: SocketAddr) {
    let bytes = sockopt::socket_recv_buffer_size(socket).unwrap_or_default();
    if bytes < MUX_BUFFER {
        let wanted = MUX_BUFFER;
        tracing::info!(%address, bytes, wanted, "little room for packets that wait: raise net.core.rmem_max");
    }
}

fn token(id: SocketId) -> u64 {
    match id {
        SocketId::Mux(index) => u64::from(index),
        SocketId::Rtp(pair) => PORTS | u64::from(pair.range) << 16 | u64::from(pair.rtp),
        SocketId::Rtcp(pair) => PORTS | u64::from(pair.range) << 16 | u64::from(pair.rtcp()),
    }
}

fn socket_id(token: u64) -> SocketId {
    if token & PORTS == 0 {
        return SocketId::Mux(token as u8);
    }
    let port = token as u16;
    let pair = PortPair { range: (token >> 16) as u8, rtp: port & !1 };
    if port == pair.rtp { SocketId::Rtp(pair) } else { SocketId::Rtcp(pair) }
}

fn turn_token(source: Source) -> u64 {
    match source {
        Source::Udp(index) => TURN | u64::from(index),
        Source::Accept(index) => TURN | TURN_ACCEPT | u64::from(index),
        Source::Relayed(port) => TURN | TURN_RELAYED | u64::from(port.relayed) << 16 | u64::from(port.port),
        Source::Stream(id) => TURN_STREAM | id,
    }
}

fn turn_source(token: u64) -> Source {
    if token & TURN_STREAM != 0 {
        Source::Stream(token & !TURN_STREAM)
    } else if token & TURN_RELAYED != 0 {
        Source::Relayed(RelayedPort { relayed: (token >> 16) as u8, port: token as u16 })
    } else if token & TURN_ACCEPT != 0 {
        Source::Accept(token as u8)
    } else {
        Source::Udp(token as u8)
    }
}

const WAKER: u64 = u64::MAX;
const TURN: u64 = 1 << 40;
const TURN_ACCEPT: u64 = 1 << 32;
const TURN_RELAYED: u64 = 1 << 33;
/// Above all others; the waker is no stream, as nobody has made so many.
const TURN_STREAM: u64 = 1 << 63;
const PORTS: u64 = 1 << 32;

/// Sockets told of in one wake-up.
const EVENTS: usize = 128;

/// Bytes as the kernel counts them, some 700 for a packet of sound: what 500 browsers send in a fifth of a second.
const MUX_BUFFER: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_name_their_sockets() {
        let pair = PortPair { range: 255, rtp: 65_534 };
        for id in [SocketId::Mux(0), SocketId::Mux(255), SocketId::Rtp(pair), SocketId::Rtcp(pair)] {
            assert_eq!(socket_id(token(id)), id);
            assert!(token(id) < TURN);
        }
        let port = RelayedPort { relayed: 1, port: 65_535 };
        let streams = [Source::Stream(0), Source::Stream(1 << 40), Source::Stream(u64::MAX >> 2)];
        for source in
            [Source::Udp(255), Source::Accept(255), Source::Relayed(port)].into_iter().chain(streams)
        {
            assert_eq!(turn_source(turn_token(source)), source);
            assert!((TURN..WAKER).contains(&turn_token(source)));
        }
    }
}
