//! One worker: a thread with its own sockets and its own engine.

use std::net::{SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use relay_api::turn::Secret;
use relay_api::{Event, LegName, RelayError, SessionDescription, SessionId, SessionSpec, SessionStatistics};
use relay_core::dtls::{DimplIdentity, Identity};
use relay_core::turn::{LocalPeer, ToEngine};
use relay_core::{Engine, EngineConfig, Io, PortPair, SocketId};
use tokio::sync::{mpsc, oneshot};

use crate::bound::BoundSockets;
use crate::config::{BoundRange, Config, StartError};
use crate::handle::Reply;
use crate::placement::Placed;
use crate::sockets::{self, Ready, Sockets, Told, Waker};
use crate::totals::{Shared, Totals};
use crate::turn::{AcceptedStream, Bound, Common, Listeners, MediaAddress, Read, Source, Turn};

/// What the handle keeps of one worker.
pub(crate) struct Worker {
    /// Gone once the worker was told to stop.
    commands: Mutex<Option<mpsc::Sender<Command>>>,
    waker: Waker,
    thread: Mutex<Option<JoinHandle<()>>>,
    browser_addresses: Vec<SocketAddr>,
    turn_addresses: Bound,
    shared: Arc<Shared>,
}

/// What a worker is asked to do, between packets.
pub(crate) enum Command {
    Put {
        spec: Box<SessionSpec>,
        placed: Placed,
        reply: Reply<SessionDescription>,
    },
    Delete {
        id: SessionId,
        placed: Placed,
        reply: Reply<Option<SessionStatistics>>,
    },
    Statistics {
        id: SessionId,
        reply: Reply<SessionStatistics>,
    },
    Dtmf {
        id: SessionId,
        leg: LegName,
        digit: char,
        duration_ms: u32,
        reply: Reply<()>,
    },
    TurnSecrets {
        secrets: Vec<Secret>,
        reply: Reply<()>,
    },
    /// Closed at once if there are too many, or no TURN.
    TurnStream(Box<AcceptedStream>),
}

/// Starts every worker, or none.
pub(crate) fn start_all(
    config: &Config,
    sockets: BoundSockets,
    events: &mpsc::Sender<Event>,
) -> Result<Vec<Worker>, StartError> {
    let identity = DimplIdentity::generate().map_err(|broken| StartError::Certificate(broken.to_string()))?;
    let identity: Arc<dyn Identity> = Arc::new(identity);
    let muxes: Vec<Mux> =
        sockets.browser.into_iter().map(|sockets| Mux::new(config, sockets)).collect::<Result<_, _>>()?;
    let turns = turn_parts(config, &muxes, sockets.turn)?;
    let numbered = muxes.into_iter().zip(turns).enumerate();
    numbered
        .map(|(number, (mux, turn))| start(config, number, mux, turn, Arc::clone(&identity), events.clone()))
        .collect()
}

/// Each worker's part of TURN, before there are sockets to poll.
type TurnParts = Option<(Listeners, Arc<Common>)>;

fn turn_parts(
    config: &Config,
    muxes: &[Mux],
    listeners: Vec<Listeners>,
) -> Result<Vec<TurnParts>, StartError> {
    let Some(turn) = &config.turn else { return Ok(muxes.iter().map(|_| None).collect()) };
    let media: Vec<MediaAddress> = muxes.iter().flat_map(|mux| mux.media.iter().copied()).collect();
    if media.iter().any(|media| turn.relays_at(media.advertised)) {
        return Err(StartError::Turn { what: "an address for browsers is one of its relayed ports" });
    }
    let common = Arc::new(Common::new(turn, media, config.workers)?);
    Ok(listeners.into_iter().map(|listeners| Some((listeners, Arc::clone(&common)))).collect())
}

fn start(
    config: &Config,
    number: usize,
    mux: Mux,
    turn: TurnParts,
    identity: Arc<dyn Identity>,
    events: mpsc::Sender<Event>,
) -> Result<Worker, StartError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(std::io::Error::from)?;
    let engine_config = EngineConfig {
        candidates: mux.candidates,
        interfaces: config.interfaces(),
        ranges: shares(config, number)?,
        identity,
        media_timeout: config.media_timeout,
        port_quarantine: config.port_quarantine,
        max_sessions: config.max_sessions.div_ceil(config.workers),
        seed,
    };
    let sockets = Sockets::new(mux.sockets, config.ranges().iter().map(|range| range.bind).collect())?;
    let turn_addresses = turn.as_ref().map(|(listeners, _)| listeners.bound.clone()).unwrap_or_default();
    let turn = match config.turn.as_ref().zip(turn) {
        Some((settings, (listeners, common))) => {
            Some(Turn::new((config, number), settings, listeners, mux.local, &common, sockets.registry())?)
        }
        None => None,
    };
    let waker = sockets.waker();
    let (commands, queue) = mpsc::channel(COMMAND_QUEUE);
    let shared = Arc::new(Shared::default());
    let driver = Driver {
        engine: Engine::new(engine_config, Instant::now()),
        sockets,
        turn,
        commands: queue,
        events,
        shared: Arc::clone(&shared),
        buffer: vec![0; BUFFER].into(),
        received: 0,
    };
    let thread = std::thread::Builder::new().name(format!("media-{number}")).spawn(|| driver.run())?;
    Ok(Worker {
        commands: Mutex::new(Some(commands)),
        waker,
        thread: Mutex::new(Some(thread)),
        browser_addresses: mux.bound,
        turn_addresses,
        shared,
    })
}

impl Worker {
    /// Queues a command and waits for its answer.
    pub(crate) async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, RelayError> {
        let (reply, answer) = oneshot::channel();
        self.tell(command(reply)).await?;
        answer.await.map_err(|_| RelayError::Unavailable)?
    }

    /// Queues a command.
    pub(crate) async fn tell(&self, command: Command) -> Result<(), RelayError> {
        let commands = self.commands.lock().ok().and_then(|commands| commands.clone());
        let commands = commands.ok_or(RelayError::Unavailable)?;
        commands.send(command).await.map_err(|_| RelayError::Unavailable)?;
        drop(commands);
        self.waker.wake();
        Ok(())
    }

    pub(crate) fn totals(&self) -> Totals {
        self.shared.read()
    }

    pub(crate) fn browser_addresses(&self) -> &[SocketAddr] {
        &self.browser_addresses
    }

    pub(crate) fn turn_addresses(&self) -> Bound {
        self.turn_addresses.clone()
    }

    pub(crate) async fn stop(&self) {
        if let Some(thread) = self.hang_up() {
            _ = tokio::task::spawn_blocking(|| thread.join()).await;
        }
    }

    /// Without a sender the worker ends; the thread is left to be joined.
    fn hang_up(&self) -> Option<JoinHandle<()>> {
        drop(self.commands.lock().ok().and_then(|mut commands| commands.take()));
        self.waker.wake();
        self.thread.lock().ok().and_then(|mut thread| thread.take())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(thread) = self.hang_up() {
            // It ends within one wake-up, and its sockets with it.
            _ = thread.join();
        }
    }
}

/// The thread's side.
struct Driver {
    engine: Engine,
    sockets: Sockets,
    turn: Option<Turn>,
    commands: mpsc::Receiver<Command>,
    events: mpsc::Sender<Event>,
    shared: Arc<Shared>,
    buffer: Box<[u8]>,
    received: u64,
}

impl Driver {
    fn run(mut self) {
        let mut told = Told::new();
        let mut has_more = false;
        loop {
            self.sockets.wait(self.timeout(has_more), &mut told);
            let now = Instant::now();
            // Who alone has something has most likely one datagram; asking for another would cost a system call in vain.
            let most = if told.iter().count() > 1 { BATCH } else { 1 };
            for what in told.iter() {
                match what {
                    Ready::Woken => {}
                    Ready::Readable(socket) => self.receive(socket, most, now),
                    Ready::Turn(source) => self.receive_turn(source, most, now),
                }
            }
            if self.engine.poll_timeout().is_some_and(|due| due <= now) {
                self.engine.handle_timeout(now, &mut Outlet::new(&mut self.sockets, &mut self.turn, now));
            }
            if let Some(turn) = &mut self.turn
                && turn.poll_timeout().is_some_and(|due| due <= now)
            {
                turn.handle_timeout(now);
            }
            match self.answer_commands(now) {
                Some(more) => has_more = more,
                None => return,
            }
            self.tell_events();
            self.publish();
        }
    }

    /// Whoever has an answer finds it in the totals too.
    fn publish(&self) {
        let turn = self.turn.as_ref().map(Turn::totals);
        self.shared.write(self.engine.totals(), &self.sockets, self.received, turn);
    }

    fn timeout(&self, has_more: bool) -> Option<Duration> {
        if has_more {
            return Some(Duration::ZERO);
        }
        let turn = self.turn.as_ref().and_then(Turn::poll_timeout);
        let due = self.engine.poll_timeout().into_iter().chain(turn).min();
        due.map(|due| due.saturating_duration_since(Instant::now()))
    }

    /// Reads some: what is left is told again, after the other sockets had their turn.
    fn receive(&mut self, socket: SocketId, most: usize, now: Instant) {
        // The peer of a plain leg sends one packet in 20 ms.
        let most = if matches!(socket, SocketId::Mux(_)) { most } else { 1 };
        for _ in 0..most {
            let Some((length, source)) = self.sockets.receive(socket, &mut self.buffer[..LARGEST]) else {
                return;
            };
            self.received += 1;
            let mut outlet = Outlet::new(&mut self.sockets, &mut self.turn, now);
            self.engine.handle_input(socket, source, &mut self.buffer, length, now, &mut outlet);
        }
    }

    /// As above; a packet for one of this worker's media addresses goes straight to its engine.
    fn receive_turn(&mut self, source: Source, most: usize, now: Instant) {
        if let Some(turn) = &mut self.turn {
            turn.prepare(source, now);
        }
        let most = if matches!(source, Source::Stream(_)) { STREAM_BATCH } else { most };
        for _ in 0..most {
            let Some(turn) = &mut self.turn else { return };
            match turn.read(source, &mut self.buffer[..LARGEST], now) {
                Read::Nothing => return,
                Read::Done => {}
                Read::ToEngine(ToEngine { mux, relayed, payload }) => {
                    let (length, buffer) = (payload.len(), &mut self.buffer[payload.start..]);
                    let mut outlet = Outlet::new(&mut self.sockets, &mut self.turn, now);
                    self.engine.handle_input(SocketId::Mux(mux), relayed, buffer, length, now, &mut outlet);
                }
            }
        }
    }

    /// Answers some, so that packets do not wait for many; whether there may be more, `None` at the end.
    fn answer_commands(&mut self, now: Instant) -> Option<bool> {
        for _ in 0..COMMAND_BATCH {
            match self.commands.try_recv() {
                Ok(command) => self.answer(command, now),
                Err(mpsc::error::TryRecvError::Empty) => return Some(false),
                Err(mpsc::error::TryRecvError::Disconnected) => return None,
            }
        }
        Some(true)
    }

    /// Who asked may have gone meanwhile; the deed stands.
    fn answer(&mut self, command: Command, now: Instant) {
        match command {
            Command::Put { spec, placed, reply } => {
                let id = spec.id.clone();
                let mut outlet = Outlet::new(&mut self.sockets, &mut self.turn, now);
                let description = self.engine.put(*spec, now, &mut outlet);
                placed.done(self.engine.holds(&id));
                self.publish();
                _ = reply.send(description);
            }
            Command::Delete { id, placed, reply } => {
                let mut outlet = Outlet::new(&mut self.sockets, &mut self.turn, now);
                let statistics = self.engine.delete(&id, now, &mut outlet);
                placed.done(false);
                self.publish();
                _ = reply.send(Ok(statistics));
            }
            Command::Statistics { id, reply } => _ = reply.send(self.engine.statistics(&id)),
            Command::Dtmf { id, leg, digit, duration_ms, reply } => {
                let duration = Duration::from_millis(u64::from(duration_ms));
                _ = reply.send(self.engine.dtmf(&id, leg, digit, duration, now));
            }
            Command::TurnSecrets { secrets, reply } => {
                if let Some(turn) = &mut self.turn {
                    turn.set_secrets(secrets);
                }
                _ = reply.send(Ok(()));
            }
            Command::TurnStream(stream) => {
                let source = self.turn.as_mut().and_then(|turn| turn.take_over(*stream, now));
                if let Some(source) = source {
                    self.receive_turn(source, 1, now);
                }
            }
        }
    }

    /// Moves events on while there is room; the engine keeps the others.
    fn tell_events(&mut self) {
        loop {
            match self.events.try_reserve() {
                Ok(place) => match self.engine.poll_event() {
                    Some(event) => place.send(event),
                    None => return,
                },
                Err(mpsc::error::TrySendError::Full(())) => return,
                Err(mpsc::error::TrySendError::Closed(())) => {
                    while self.engine.poll_event().is_some() {}
                    return;
                }
            }
        }
    }
}

/// What the engine sends leaves by a socket, or through TURN if it is for a relayed address of this worker.
struct Outlet<'a> {
    sockets: &'a mut Sockets,
    turn: &'a mut Option<Turn>,
    now: Instant,
}

impl<'a> Outlet<'a> {
    fn new(sockets: &'a mut Sockets, turn: &'a mut Option<Turn>, now: Instant) -> Self {
        Self { sockets, turn, now }
    }
}

impl Io for Outlet<'_> {
    fn open(&mut self, pair: PortPair) -> bool {
        self.sockets.open(pair)
    }

    fn close(&mut self, pair: PortPair) {
        self.sockets.close(pair);
    }

    fn transmit(&mut self, socket: SocketId, to: SocketAddr, datagram: &[u8]) {
        match (socket, &mut *self.turn) {
            (SocketId::Mux(mux), Some(turn)) if turn.relays(to) => {
                turn.send_from_engine(mux, to, datagram, self.now);
            }
            _ => self.sockets.transmit(socket, to, datagram),
        }
    }
}

/// This worker's sockets for browsers.
#[derive(Default)]
struct Mux {
    sockets: Vec<UdpSocket>,
    bound: Vec<SocketAddr>,
    /// What browsers are told.
    candidates: Vec<SocketAddr>,
    /// The same for this worker's TURN server, with their sockets.
    local: Vec<LocalPeer>,
    /// The same for the other workers' TURN servers.
    media: Vec<MediaAddress>,
}

impl Mux {
    /// Of its socket of each listener.
    fn new(config: &Config, sockets: Vec<UdpSocket>) -> Result<Self, StartError> {
        let mut mux = Self::default();
        for (index, (listener, socket)) in config.browser.iter().zip(sockets).enumerate() {
            let local = socket.local_addr()?;
            sockets::tell_room(&socket, local);
            for ip in &listener.advertised {
                let address = SocketAddr::new(*ip, local.port());
                mux.candidates.push(address);
                mux.local.push(LocalPeer { address, mux: index as u8 });
                mux.media.push(MediaAddress { advertised: address, bound: local });
            }
            mux.bound.push(local);
            mux.sockets.push(socket);
        }
        Ok(mux)
    }
}

/// Sessions that one worker has ports for, each with one plain leg, whichever interface they are at.
pub(crate) fn capacity(config: &Config) -> usize {
    let pairs = config.ranges().into_iter().map(|BoundRange { ports, .. }| {
        let first = usize::from(*ports.start()).next_multiple_of(2);
        (usize::from(*ports.end()) + 1).saturating_sub(first) / 2
    });
    pairs.min().unwrap_or(usize::MAX).min(config.max_sessions) / config.workers
}

/// This worker's share of each range of ports.
fn shares(config: &Config, number: usize) -> Result<Vec<RangeInclusive<u16>>, StartError> {
    let shares = config
        .ranges()
        .into_iter()
        .map(|range| share(&range.ports, number, config.workers).ok_or(StartError::PortRange { range }));
    shares.collect()
}

/// The n-th of equal shares, in whole pairs.
pub(crate) fn share(ports: &RangeInclusive<u16>, number: usize, of: usize) -> Option<RangeInclusive<u16>> {
    let first = usize::from(*ports.start()).next_multiple_of(2);
    let pairs = (usize::from(*ports.end()) + 1).checked_sub(first)? / 2;
    let (from, to) = (pairs * number / of, pairs * (number + 1) / of);
    let port = |pair: usize| u16::try_from(first + pair * 2).ok();
    if from < to { Some(port(from)?..=port(to - 1)? | 1) } else { None }
}

/// A full queue makes the caller wait: commands are answered between packets, some per wake-up.
const COMMAND_QUEUE: usize = 256;
/// Commands per wake-up.
const COMMAND_BATCH: usize = 16;
/// Datagrams per wake-up and socket of browsers or TURN clients.
const BATCH: usize = 64;
/// Messages per wake-up and TURN connection: more than its buffers hold, so that none is forgotten in them.
const STREAM_BATCH: usize = 65_536;
/// Larger than any frame of a network that carries sound.
const LARGEST: usize = 4_096;
/// With room for tags behind the largest datagram.
const BUFFER: usize = LARGEST + 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_share_a_range_in_whole_pairs() {
        assert_eq!(share(&(40_000..=40_999), 0, 2), Some(40_000..=40_499));
        assert_eq!(share(&(40_000..=40_999), 1, 2), Some(40_500..=40_999));
        assert_eq!(share(&(40_001..=40_006), 0, 2), Some(40_002..=40_003));
        assert_eq!(share(&(40_001..=40_006), 1, 2), Some(40_004..=40_005));
        assert_eq!(share(&(40_001..=40_002), 0, 1), None);
        assert_eq!(share(&(65_534..=65_535), 0, 1), Some(65_534..=65_535));
    }
}
