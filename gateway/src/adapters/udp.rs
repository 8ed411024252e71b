//! SIP over UDP (RFC 3261 §18): one datagram is one message.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use socket2::{Domain, Protocol as SocketProtocol, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;
use tokio::time::sleep;

use super::counters::Counters;
use super::limits::Limits;
use super::listener::{Stage, canonical, serve_both_families};
use super::room::Room;
use super::session::deliver;
use super::undelivered::{self, Report};
use crate::ports::transport::{Destination, Edge, Ingress, Protocol, Reply, SendError, Sink, Source};

/// The socket of one listener.
#[derive(Debug)]
pub(crate) struct DatagramSocket {
    /// Readiness to write is of no interest: a datagram goes now or never, and the kernel would tell of it after each one.
    socket: AsyncFd<UdpSocket>,
    local: SocketAddr,
}

impl DatagramSocket {
    pub(crate) fn new(socket: UdpSocket) -> io::Result<Self> {
        let local = socket.local_addr()?;
        undelivered::keep(&socket)?;
        #[expect(
            deprecated,
            reason = "sound here: the socket owns its descriptor and is never exchanged; its successor is unsafe"
        )]
        let socket = AsyncFd::with_interest(socket, WHATEVER_COMES)?;
        Ok(Self { socket, local })
    }

    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    async fn receive(&self, buffer: &mut [u8]) -> io::Result<Arrival> {
        self.socket
            .async_io(WHATEVER_COMES, |socket| match socket.recv_from(buffer) {
                Ok((length, remote)) => Ok(Arrival::Datagram(length, canonical(remote))),
                // Nothing came, or the error is that of an earlier datagram: the queue tells which.
                Err(error) => match undelivered::next(socket) {
                    Ok(report) => Ok(Arrival::Report(report)),
                    Err(_) => Err(error),
                },
            })
            .await
    }

    fn send(&self, bytes: &[u8], remote: SocketAddr) -> io::Result<usize> {
        let mut result = self.socket.get_ref().send_to(bytes, remote);
        for _ in 1..SEND_TRIES {
            match &result {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                    result = self.socket.get_ref().send_to(bytes, remote);
                }
                Ok(_) | Err(_) => return result,
            }
        }
        result
    }
}

/// What comes from now on waits in the socket.
pub(crate) fn bind(at: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(at), Type::DGRAM, Some(SocketProtocol::UDP))?;
    // The kernel grants what its own limit allows; less only means a shorter burst.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
    socket.set_nonblocking(true)?;
    serve_both_families(&socket, at)?;
    socket.bind(&at.into())?;
    Ok(socket)
}

/// What the socket has for us.
enum Arrival {
    Datagram(usize, SocketAddr),
    Report(Report),
}

impl Sink for DatagramSocket {
    /// RFC 3261 §18.1.1: what does not fit one datagram has to take another transport.
    fn send_to(&self, remote: SocketAddr, bytes: Bytes) -> Result<(), SendError> {
        // A socket of IPv6 knows IPv4 peers by their mapped addresses alone (RFC 4291 §2.5.5.2).
        let remote = match (self.local, remote.ip()) {
            (SocketAddr::V6(_), IpAddr::V4(ip)) => SocketAddr::new(ip.to_ipv6_mapped().into(), remote.port()),
            (SocketAddr::V4(_) | SocketAddr::V6(_), _) => remote,
        };
        match self.send(&bytes, remote) {
            Ok(_) => Ok(()),
            Err(error) => Err(match error.raw_os_error() {
                Some(EMSGSIZE) => SendError::Unsuitable,
                _ if error.kind() == io::ErrorKind::WouldBlock => SendError::Full,
                _ => SendError::Unreachable,
            }),
        }
    }
}

/// The listener around a socket.
pub(crate) struct Receiver<I> {
    pub(crate) socket: Arc<DatagramSocket>,
    pub(crate) name: Arc<str>,
    pub(crate) edge: Edge,
    pub(crate) limits: Limits,
    pub(crate) counters: Arc<Counters>,
    pub(crate) stage: watch::Receiver<Stage>,
    pub(crate) ingress: I,
}

impl<I: Ingress> Receiver<I> {
    /// Receives until the process stops; a drain still needs the answers.
    pub(crate) async fn run(self) {
        let room = Room::new(self.limits.datagram_bytes, self.limits.datagram_bytes_per_address);
        let mut buffer = vec![0; MAX_DATAGRAM];
        let mut stage = self.stage.clone();
        loop {
            let received = tokio::select! {
                received = self.socket.receive(&mut buffer) => received,
                () = Stage::Stopped.reached(&mut stage) => return,
            };
            match received {
                Ok(Arrival::Report(Report::Unreachable(remote))) => self.not_delivered(remote),
                Ok(Arrival::Report(Report::Harmless)) => {}
                Ok(Arrival::Datagram(length, remote)) => {
                    if let Some(datagram) = buffer.get(..length) {
                        self.take(datagram, remote, &room);
                    }
                }
                Err(error) => {
                    tracing::debug!(listener = %self.name, %error, "receiving failed");
                    sleep(RECEIVE_PAUSE).await;
                }
            }
        }
    }

    fn take(&self, datagram: &[u8], remote: SocketAddr, room: &Arc<Room>) {
        let is_keep_alive = datagram.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0));
        if is_keep_alive || datagram.len() > self.limits.message {
            return;
        }
        // Beyond its address's share, or all, the datagram is dropped: SIP repeats what matters (RFC 3261 §17).
        let mut hold = room.hold(remote.ip());
        if hold.resize(WORK + datagram.len()).is_err() {
            self.counters.note_datagram_dropped();
            return;
        }
        let source = Arc::new(self.source(remote));
        let mut work = deliver(&self.ingress, &source, Bytes::copy_from_slice(datagram), &self.counters);
        // Most messages are done at once; only what waits is worth a task and the wake-up of another thread.
        if work.as_mut().now_or_never().is_none() {
            tokio::spawn(async move {
                work.await;
                drop(hold);
            });
        }
    }

    fn not_delivered(&self, remote: SocketAddr) {
        let to = Destination::Udp { listener: Arc::clone(&self.name), remote };
        self.ingress.unreachable(&to, SendError::Unreachable);
    }

    fn source(&self, remote: SocketAddr) -> Source {
        Source {
            edge: self.edge,
            listener: Arc::clone(&self.name),
            protocol: Protocol::Udp,
            local: self.socket.local(),
            remote,
            connection: None,
            dialled: None,
            reply: Reply::new(remote, self.socket.clone()),
        }
    }
}

/// Datagrams, and errors of those that we sent.
const WHATEVER_COMES: Interest = Interest::READABLE.add(Interest::ERROR);

/// The first tries may fail with errors of earlier datagrams.
const SEND_TRIES: usize = 4;

/// The largest datagram there is.
const MAX_DATAGRAM: usize = 65_535;

/// Bytes that the work on a datagram takes besides it: a task, the parsed message.
const WORK: usize = 4 * 1024;

/// Bytes of a burst that the kernel keeps for us.
const SOCKET_BUFFER: usize = 4 * 1024 * 1024;

const RECEIVE_PAUSE: Duration = Duration::from_millis(10);

/// Linux: the datagram is larger than can be sent.
const EMSGSIZE: i32 = 90;
