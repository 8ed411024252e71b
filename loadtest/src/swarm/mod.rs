//! The swarm: phones on WebSockets, a trunk on UDP, and work given to them at a steady rate.

mod pace;
mod phone;
mod trunk;

use crate::random::Tokens;
use crate::recorder::{Failure, Operation, Outcome, Recorder};
use crate::sip::dialog::Identity;
use crate::sip::digest::{Algorithm, Credentials};
use crate::sip::sdp::{self, Flavour};
use crate::transport::udp;
use crate::transport::ws::{Dialer, NotOpened, Socket};
use crate::ua::{Agent, Measures, Party, Reliability, Script, Seized};
use indicatif::{ProgressBar, ProgressStyle};
use pace::Pace;
use phone::Line;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;
use trunk::Trunk;

/// Who the phones are and what they say.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Users in the order of the phones; fewer users than phones are taken again from the start.
    pub users: Vec<Credentials>,
    /// SIP domain of the users.
    pub domain: String,
    /// The digest algorithm taken when the server offers several.
    pub digest: Algorithm,
    /// How calls go.
    pub script: Script,
    /// What phones dial, in front of the domain.
    pub number: String,
}

/// Work per second while a load lasts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rates {
    /// REGISTERs, phone after phone.
    pub registers: f64,
    /// Calls from phones to the trunk.
    pub calls: f64,
    /// Calls from the trunk to phones.
    pub incoming: f64,
}

/// What a phase did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Done {
    /// REGISTERs and calls finished, also those that failed.
    pub operations: u64,
    /// How long it took, settling included.
    pub took: Duration,
}

/// Whether the user has asked to stop. Work is given in small steps, each of which looks here first.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Stops at Ctrl-C or SIGTERM.
    ///
    /// # Errors
    /// When signals cannot be received.
    pub fn at_signal() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let (sender, receiver) = watch::channel(false);
        tokio::spawn(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            sender.send_replace(true);
            sender.closed().await;
        });
        Ok(Self(receiver))
    }

    /// Stops when told through the sender.
    pub fn on_order() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
    }

    /// Whether it is time to stop.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }
}

/// Phones and trunk. Dropping it closes every connection.
pub struct Swarm {
    plan: Plan,
    dialer: Arc<Dialer>,
    recorder: Arc<Recorder>,
    stop: Stop,
    lines: Vec<Line>,
    trunk: Option<Trunk>,
    /// Takes the sound that a server sends to the trunk and nobody wants; a closed port would answer with ICMP.
    _sink: Option<std::net::UdpSocket>,
    opened: usize,
    first_error: Option<NotOpened>,
    next_register: usize,
    next_call: usize,
}

impl Swarm {
    /// A swarm without phones yet.
    pub fn new(plan: Plan, dialer: Dialer, stop: Stop) -> Self {
        Self {
            plan,
            dialer: Arc::new(dialer),
            recorder: Arc::default(),
            stop,
            lines: Vec::new(),
            trunk: None,
            _sink: None,
            opened: 0,
            first_error: None,
            next_register: 0,
            next_call: 0,
        }
    }

    /// What happened so far.
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Why the first connection that failed did; the others are only counted.
    pub fn first_error(&self) -> Option<&NotOpened> {
        self.first_error.as_ref()
    }

    /// Phones whose connection stands.
    pub fn connected(&self) -> usize {
        self.lines.iter().filter(|line| line.is_connected()).count()
    }

    /// Becomes the trunk at `listen` (port 0 takes any); calls to phones go to `target`. Returns the address taken.
    ///
    /// # Errors
    /// When the address is taken or no random bytes are to be had.
    pub fn serve_trunk(&mut self, listen: SocketAddr, target: Option<SocketAddr>) -> io::Result<SocketAddr> {
        let socket = udp::bind(listen)?;
        let address = socket.local_addr()?;
        // Another swarm of this machine may have it already.
        self._sink = std::net::UdpSocket::bind(sdp::TRUNK_MEDIA).ok();
        let tokens = Tokens::new().map_err(io::Error::other)?;
        let recorder = Arc::clone(&self.recorder);
        self.trunk = Some(trunk::spawn(socket, address, target, self.plan.script, tokens, recorder));
        Ok(address)
    }

    /// Opens `count` connections at `rate` a second; the failures are counted.
    pub async fn connect(&mut self, count: usize, rate: f64) -> Done {
        let bar = bar("connect", count as u64);
        let (started, mut pace) = (Instant::now(), Pace::new(rate, count as u64));
        let mut opening: JoinSet<(usize, Result<Socket, NotOpened>, Duration)> = JoinSet::new();
        while !(pace.is_done() || self.stop.is_requested()) || !opening.is_empty() {
            if !self.stop.is_requested() && opening.len() < MAX_OPENING {
                for _ in 0..pace.due(started.elapsed()) {
                    opening.spawn(open(Arc::clone(&self.dialer), self.opened));
                    self.opened += 1;
                }
            }
            tokio::select! {
                Some(Ok((index, opened, took))) = opening.join_next() => {
                    self.opened(index, opened, took);
                    bar.inc(1);
                }
                () = tokio::time::sleep(STEP) => {}
            }
        }
        bar.finish_and_clear();
        Done { operations: self.lines.len() as u64, took: started.elapsed() }
    }

    /// Registers every connected phone once, at `rate` a second, and waits for the answers.
    pub async fn register_all(&mut self, rate: f64) -> Done {
        self.next_register = 0;
        let count = self.lines.len() as u64;
        self.work("register", [Pace::new(rate, count), Pace::new(0.0, 0), Pace::new(0.0, 0)], None).await
    }

    /// Gives work for `duration`, then waits until what was begun has ended.
    pub async fn load(&mut self, rates: Rates, duration: Duration) -> Done {
        let paces = [rates.registers, rates.calls, rates.incoming].map(|rate| Pace::new(rate, u64::MAX));
        self.work("load", paces, Some(duration)).await
    }

    /// Makes `count` REGISTERs, phone after phone, at `rate` a second.
    pub async fn registers(&mut self, count: u64, rate: f64) -> Done {
        self.work("register", [Pace::new(rate, count), Pace::new(0.0, 0), Pace::new(0.0, 0)], None).await
    }

    /// Makes `count` calls from phones to the trunk at `rate` a second.
    pub async fn calls(&mut self, count: u64, rate: f64) -> Done {
        self.work("call", [Pace::new(0.0, 0), Pace::new(rate, count), Pace::new(0.0, 0)], None).await
    }

    /// Makes `count` calls from the trunk to phones at `rate` a second.
    pub async fn incoming(&mut self, count: u64, rate: f64) -> Done {
        self.work("incoming", [Pace::new(0.0, 0), Pace::new(0.0, 0), Pace::new(rate, count)], None).await
    }

    async fn work(&mut self, name: &'static str, mut paces: [Pace; 3], duration: Option<Duration>) -> Done {
        let (started, before) = (Instant::now(), self.settled());
        let bar = match duration {
            Some(duration) => bar(name, duration.as_millis() as u64),
            None => bar(name, paces.iter().map(Pace::limit).sum()),
        };
        while !self.stop.is_requested() {
            let elapsed = started.elapsed();
            let is_over =
                duration.is_some_and(|duration| elapsed >= duration) || paces.iter().all(Pace::is_done);
            if is_over {
                break;
            }
            let [registers, calls, incoming] = &mut paces;
            (0..registers.due(elapsed)).for_each(|_| self.order_register());
            (0..calls.due(elapsed)).for_each(|_| self.order_call());
            (0..incoming.due(elapsed)).for_each(|_| self.order_incoming());
            bar.set_position(match duration {
                Some(_) => elapsed.as_millis() as u64,
                None => paces.iter().map(Pace::given).sum(),
            });
            tokio::time::sleep(STEP).await;
        }
        bar.set_message("waiting for the last answers");
        self.settle(before + paces.iter().map(Pace::given).sum::<u64>()).await;
        bar.finish_and_clear();
        Done { operations: self.settled() - before, took: started.elapsed() }
    }

    /// Waits until every order has ended one way or the other; at a stop, calls are hung up first and the wait is short.
    async fn settle(&self, expected: u64) {
        let script = self.plan.script;
        let patience = script.ring + script.hold + script.timeout * 3;
        let (mut deadline, mut hung_up) = (Instant::now() + patience, false);
        while Instant::now() < deadline && (self.anyone_busy() || (self.settled() < expected && !hung_up)) {
            if self.stop.is_requested() && !hung_up {
                hung_up = true;
                deadline = Instant::now() + STOP_PATIENCE;
                self.hang_up_all();
            }
            tokio::time::sleep(STEP).await;
        }
    }

    fn hang_up_all(&self) {
        for line in &self.lines {
            // A phone with a full queue of orders has worse troubles than a missing BYE.
            let _ = line.orders.try_send(phone::Order::HangUp);
        }
        if let Some(trunk) = &self.trunk {
            let _ = trunk.orders.try_send(trunk::Order::HangUp);
        }
    }

    fn settled(&self) -> u64 {
        [Operation::Register, Operation::OutAnswered, Operation::InAnswered]
            .map(|operation| self.recorder.settled(operation).total())
            .iter()
            .sum()
    }

    fn anyone_busy(&self) -> bool {
        self.lines.iter().any(|line| line.busy.load(Ordering::Acquire))
    }

    fn order_register(&mut self) {
        let count = self.lines.len().max(1);
        let line = self.lines.get(self.next_register % count);
        self.next_register += 1;
        let sent =
            line.filter(|line| line.is_connected()).map(|line| line.orders.try_send(phone::Order::Register));
        if !matches!(sent, Some(Ok(()))) {
            self.recorder.add(Outcome::Failed(Operation::Register, Failure::ConnectionLost));
        }
    }

    fn order_call(&mut self) {
        let uri = format!("sip:{}@{}", self.plan.number, self.plan.domain);
        let sent = self
            .free_line()
            .map(|(line, seized)| line.orders.try_send(phone::Order::Dial(uri, Some(seized))));
        if !matches!(sent, Some(Ok(()))) {
            self.recorder.add(Outcome::Failed(Operation::OutAnswered, Failure::NoFreePhone));
        }
    }

    fn order_incoming(&mut self) {
        let free = self.free_line().map(|(line, seized)| (line.user.clone(), seized));
        let target = self.trunk.as_ref().and_then(|trunk| Some((trunk, trunk.target?)));
        let sent = free.zip(target).map(|((user, seized), (trunk, target))| {
            trunk.orders.try_send(trunk::Order::Dial(format!("sip:{user}@{target}"), target, Some(seized)))
        });
        if !matches!(sent, Some(Ok(()))) {
            self.recorder.add(Outcome::Failed(Operation::InAnswered, Failure::NoFreePhone));
        }
    }

    /// The next connected phone without a call, in turn.
    fn free_line(&mut self) -> Option<(&Line, Seized)> {
        for step in 0..self.lines.len() {
            let index = (self.next_call + step) % self.lines.len();
            let line = &self.lines[index];
            if line.is_connected()
                && let Some(seized) = Seized::take(&line.busy)
            {
                self.next_call = index + 1;
                return Some((&self.lines[index], seized));
            }
        }
        None
    }

    fn opened(&mut self, index: usize, opened: Result<Socket, NotOpened>, took: Duration) {
        let added = opened.and_then(|socket| self.add_phone(index, socket));
        self.recorder.add(match &added {
            Ok(()) => Outcome::Done(Operation::Connect, took),
            Err(NotOpened { failure, .. }) => Outcome::Failed(Operation::Connect, *failure),
        });
        if let Err(error) = added {
            self.first_error.get_or_insert(error);
        }
    }

    fn add_phone(&mut self, index: usize, socket: Socket) -> Result<(), NotOpened> {
        let mut tokens = Tokens::new().map_err(NotOpened::connect)?;
        let credentials = self.plan.users[index % self.plan.users.len()].clone();
        let user = credentials.user.clone();
        let host = format!("{}.invalid", tokens.token());
        let party = Party {
            identity: Identity {
                transport: self.dialer.target().via_transport(),
                contact: format!("<sip:{}@{host};transport=ws>", tokens.token()),
                sent_by: host,
            },
            aor: format!("sip:{user}@{}", self.plan.domain),
            flavour: Flavour::Browser,
            reliability: Reliability::Reliable,
            script: self.plan.script,
            measures: Measures {
                ringing: Operation::OutRinging,
                answered: Operation::OutAnswered,
                hang_up: Operation::OutHangUp,
                acknowledged: Operation::InAcknowledged,
            },
            credentials: Some((credentials, self.plan.digest)),
        };
        let agent = Agent::new(party, tokens, CALLS_PER_PHONE);
        self.lines.push(phone::spawn(user, agent, socket, Arc::clone(&self.recorder)));
        Ok(())
    }
}

async fn open(dialer: Arc<Dialer>, index: usize) -> (usize, Result<Socket, NotOpened>, Duration) {
    let started = Instant::now();
    let opened = dialer.open(index).await;
    (index, opened, started.elapsed())
}

/// A line of progress on standard error, nothing when that is no terminal.
fn bar(name: &'static str, length: u64) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{prefix:10} [{elapsed_precise}] {wide_bar} {percent:>3} % {msg}");
    let bar = ProgressBar::new(length).with_prefix(name);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Handshakes under way at a time.
const MAX_OPENING: usize = 64;
/// How often due work is looked for.
const STEP: Duration = Duration::from_millis(5);
/// How long calls may take to end after Ctrl-C.
const STOP_PATIENCE: Duration = Duration::from_secs(5);
/// A phone takes a new call while the last one's end is still on its way to it.
const CALLS_PER_PHONE: usize = 64;
