//! All connections of one worker.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use daemon::network::network_of;
use relay_core::turn::{Client, Quota};
use rustls::{ServerConfig, ServerConnection};

use super::listeners::StreamListener;
use super::refusal::{Lines, Refusal, Refusals};
use super::stream::{AcceptedStream, Gone, Stream};
use super::{SharedQuotas, Source};
use crate::sockets::{Interest, Registry};

pub(super) struct Streams {
    listeners: Vec<StreamListener>,
    certificate: Option<Arc<ServerConfig>>,
    quotas: SharedQuotas,
    registry: Registry,
    all: HashMap<u64, Stream>,
    /// Bytes of half frames of all of them.
    held: usize,
    /// As many as there may be.
    most_held: usize,
    /// Never used again.
    next_id: u64,
    /// Ended; their allocations are yet to be freed.
    dead: Vec<Client>,
    /// Listeners rest until then: descriptors are short.
    paused: Option<Instant>,
    sweep: Option<Instant>,
    pub(super) refusals: Refusals,
}

/// What all workers' streams share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) quotas: SharedQuotas,
    /// Of them.
    pub(super) workers: usize,
    pub(super) lines: Lines,
}

impl Streams {
    pub(super) fn new(
        listeners: Vec<StreamListener>,
        shared: Shared,
        certificate: Option<Arc<ServerConfig>>,
        registry: Registry,
    ) -> io::Result<Self> {
        for (index, listener) in listeners.iter().enumerate() {
            registry.add_turn(&listener.socket, Source::Accept(index as u8))?;
        }
        Ok(Self {
            listeners,
            certificate,
            quotas: shared.quotas,
            registry,
            all: HashMap::new(),
            held: 0,
            most_held: MOST_HELD / shared.workers.max(1),
            next_id: 0,
            dead: Vec::new(),
            paused: None,
            sweep: None,
            refusals: Refusals::new(shared.lines),
        })
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Accepts some: what is left is told again.
    pub(super) fn accept(&mut self, index: u8, now: Instant) {
        for _ in 0..ACCEPT_BATCH {
            match self.listeners[usize::from(index)].socket.accept() {
                Ok((socket, address)) => {
                    let tls = self.tls(index);
                    self.adopt(socket, address, tls, now);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "TURN connections cannot be accepted for a while");
                    self.pause(now);
                    return;
                }
            }
        }
    }

    /// Takes over a stream; tells its number, unless there are too many.
    pub(super) fn take_over(&mut self, stream: AcceptedStream, now: Instant) -> Option<u64> {
        let AcceptedStream { socket, address, tls } = stream;
        self.adopt(socket, address, Ok(Some(Box::new(tls))), now)
    }

    fn adopt(
        &mut self,
        socket: TcpStream,
        address: SocketAddr,
        tls: io::Result<Option<Box<ServerConnection>>>,
        now: Instant,
    ) -> Option<u64> {
        let id = tls.map_err(system).and_then(|tls| self.try_adopt(socket, address, tls, now));
        id.map_err(|(why, detail)| self.refusals.note(why, address, detail, now)).ok()
    }

    fn try_adopt(
        &mut self,
        socket: TcpStream,
        address: SocketAddr,
        tls: Option<Box<ServerConnection>>,
        now: Instant,
    ) -> Result<u64, (Refusal, String)> {
        socket.set_nonblocking(true).and_then(|()| socket.set_nodelay(true)).map_err(system)?;
        self.quotas.admit(&counted(address.ip())).map_err(|why| (why, String::new()))?;
        let id = self.next_id;
        self.next_id += 1;
        if let Err(error) = self.registry.add_turn(&socket, Source::Stream(id)) {
            self.quotas.give_back(&counted(address.ip()));
            return Err(system(error));
        }
        self.all.insert(id, Stream::new(socket, address, tls, now));
        self.sweep = self.sweep.or(Some(now + SWEEP));
        Ok(id)
    }

    fn tls(&self, index: u8) -> io::Result<Option<Box<ServerConnection>>> {
        let Some(certificate) = &self.certificate else { return Ok(None) };
        if !self.listeners[usize::from(index)].is_tls {
            return Ok(None);
        }
        let tls = ServerConnection::new(Arc::clone(certificate)).map_err(io::Error::other)?;
        Ok(Some(Box::new(tls)))
    }

    pub(super) fn pump(&mut self, id: u64, now: Instant) {
        self.with(id, now, |stream| stream.pump(now));
    }

    pub(super) fn next_frame(
        &mut self,
        id: u64,
        buffer: &mut [u8],
        now: Instant,
    ) -> Option<(usize, SocketAddr)> {
        self.with(id, now, |stream| {
            Ok(stream.next_frame(buffer, now)?.map(|length| (length, stream.address)))
        })?
    }

    pub(super) fn send(&mut self, id: u64, message: &[u8], now: Instant) {
        self.with(id, now, |stream| stream.send(message, now));
    }

    /// Closes what is overdue.
    pub(super) fn handle_timeout(&mut self, now: Instant, has_allocation: impl Fn(&Client) -> bool) {
        if self.paused.is_some_and(|until| until <= now) {
            self.paused = None;
            self.listen(Interest::Read);
        }
        if self.sweep.is_none_or(|due| due > now) {
            return;
        }
        let overdue: Vec<(u64, Gone)> = self
            .all
            .iter()
            .filter_map(|(id, stream)| {
                let client = Client::Stream { id: *id, address: stream.address };
                Some((*id, stream.overdue(has_allocation(&client), now)?))
            })
            .collect();
        for (id, why) in overdue {
            self.end(id, why, now);
        }
        self.sweep = (!self.all.is_empty()).then(|| now + SWEEP);
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.paused.into_iter().chain(self.sweep).min()
    }

    pub(super) fn pop_dead(&mut self) -> Option<Client> {
        self.dead.pop()
    }

    /// Does something with a stream; it is closed if that fails, and told of its room if it has something to write.
    fn with<T>(
        &mut self,
        id: u64,
        now: Instant,
        work: impl FnOnce(&mut Stream) -> Result<T, Gone>,
    ) -> Option<T> {
        let stream = self.all.get_mut(&id)?;
        let before = stream.held();
        let outcome = work(stream);
        let (has_output, after) = (stream.has_output(), stream.held());
        self.held = self.held - before + after;
        let done = match outcome {
            Ok(done) => done,
            Err(why) => {
                self.end(id, why, now);
                return None;
            }
        };
        // Whoever wants more when there is no more is closed, an allocation or not: half frames are nobody's right.
        if after > before && self.held > self.most_held {
            self.refusals.note(Refusal::HalfFrames, stream.address, "", now);
            self.close(id);
        } else if has_output != stream.awaits_room {
            stream.awaits_room = has_output;
            let interest = if has_output { Interest::ReadAndWrite } else { Interest::Read };
            if self.registry.change(&stream.socket, Source::Stream(id), interest).is_err() {
                self.close(id);
            }
        }
        Some(done)
    }

    /// Closes one, and tells of it if it never came to anything.
    fn end(&mut self, id: u64, why: Gone, now: Instant) {
        let Some(stream) = self.all.get(&id) else { return };
        let refusal = match why {
            Gone::Ended => None,
            Gone::Tls(error) => Some((Refusal::Tls, error)),
            Gone::NotTurn => Some((Refusal::NotTurn, String::new())),
            Gone::TooSlow => Some((Refusal::TooSlow, String::new())),
        };
        if let Some((refusal, detail)) = refusal {
            self.refusals.note(refusal, stream.address, detail, now);
        }
        self.close(id);
    }

    fn close(&mut self, id: u64) {
        // A closed socket leaves the poll by itself.
        if let Some(stream) = self.all.remove(&id) {
            self.held -= stream.held();
            self.quotas.give_back(&counted(stream.address.ip()));
            self.dead.push(Client::Stream { id, address: stream.address });
        }
    }

    fn pause(&mut self, now: Instant) {
        self.paused = Some(now + PAUSE);
        self.listen(Interest::Nothing);
    }

    fn listen(&self, interest: Interest) {
        for (index, listener) in self.listeners.iter().enumerate() {
            _ = self.registry.change(&listener.socket, Source::Accept(index as u8), interest);
        }
    }
}

/// Not a shortage of ours: accept(2), "Error handling".
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted)
}

fn system(error: io::Error) -> (Refusal, String) {
    (Refusal::System, error.to_string())
}

/// The octets of what counts as one address.
fn counted(ip: IpAddr) -> Vec<u8> {
    match network_of(ip) {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

/// Bytes of half frames that all connections of all workers hold together.
const MOST_HELD: usize = 32 << 20;
/// Connections in one wake-up and listener.
const ACCEPT_BATCH: usize = 16;
/// How long listeners rest when no descriptor is left.
const PAUSE: Duration = Duration::from_secs(1);
/// How exactly deadlines are kept.
const SWEEP: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::io::Write;
    use std::net::TcpListener;
    use std::sync::Mutex;

    use relay_core::turn::Quotas;

    use super::super::stream::PORTION;
    use super::*;
    use crate::sockets::Sockets;

    fn shared(of_address: u32) -> Shared {
        let quotas = SharedQuotas(Arc::new(Mutex::new(Quotas::new(of_address, 100))));
        Shared { quotas, workers: 1, lines: Lines::default() }
    }

    #[test]
    fn a_turn_takes_a_portion_of_what_a_client_sends() {
        let now = Instant::now();
        let sockets = Sockets::new(Vec::new(), Vec::new()).unwrap();
        let mut streams = Streams::new(Vec::new(), shared(10), None, sockets.registry()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, address) = listener.accept().unwrap();
        let id = streams.adopt(socket, address, Ok(None), now).unwrap();
        // ChannelData of four bytes.
        let frame = [0x40, 0, 0, 4, 1, 2, 3, 4];
        client.write_all(&frame.repeat(4_096)).unwrap();
        let (mut buffer, mut turns, mut frames) = ([0; 2_048], 0, 0);
        while frames < 4_096 {
            streams.pump(id, now);
            turns += 1;
            while streams.next_frame(id, &mut buffer, now).is_some() {
                frames += 1;
            }
            assert!(frames * frame.len() <= turns * PORTION);
        }
    }

    #[test]
    fn half_frames_are_bounded_in_bytes_and_given_back() {
        let now = Instant::now();
        let sockets = Sockets::new(Vec::new(), Vec::new()).unwrap();
        let mut streams = Streams::new(Vec::new(), shared(10), None, sockets.registry()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, address) = listener.accept().unwrap();
        let id = streams.adopt(socket, address, Ok(None), now).unwrap();
        // ChannelData of 1,000 bytes that lacks its last.
        let mut half = vec![0x40, 0, 0x03, 0xE8];
        half.resize(1_003, 0);
        client.write_all(&half).unwrap();
        let mut buffer = [0; 2_048];
        while streams.held < half.len() {
            streams.pump(id, now);
            assert!(streams.next_frame(id, &mut buffer, now).is_none());
        }
        streams.held = MOST_HELD;
        client.write_all(&[0x40, 0, 0x03]).unwrap();
        while streams.len() > 0 {
            streams.pump(id, now);
            streams.next_frame(id, &mut buffer, now);
        }
        assert!(streams.held < MOST_HELD, "what it held is free again");
        assert_eq!(streams.refusals.of(Refusal::HalfFrames), 1);
    }

    #[test]
    fn connections_of_an_ipv6_subnet_are_those_of_one_address() {
        let now = Instant::now();
        let sockets = Sockets::new(Vec::new(), Vec::new()).unwrap();
        let mut streams = Streams::new(Vec::new(), shared(2), None, sockets.registry()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        let mut comes_from = |address: &str| {
            let client = TcpStream::connect(to).unwrap();
            streams.adopt(client, address.parse().unwrap(), Ok(None), now)
        };
        let first = comes_from("[2001:db8::1]:50000").unwrap();
        assert!(comes_from("[2001:db8::2]:50000").is_some());
        assert_eq!(comes_from("[2001:db8::ffff:3]:50000"), None);
        assert!(comes_from("[2001:db8:0:1::1]:50000").is_some(), "of another network");
        assert!(comes_from("192.0.2.1:50000").is_some());
        assert_eq!(streams.refusals.of(Refusal::AddressFull), 1);
        streams.close(first);
        let client = TcpStream::connect(to).unwrap();
        let third = streams.adopt(client, "[2001:db8::ffff:3]:50000".parse().unwrap(), Ok(None), now);
        assert!(third.is_some(), "its place was given back");
    }
}
