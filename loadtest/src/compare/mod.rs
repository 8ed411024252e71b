//! Two servers beside each other: the gateway, and Kamailio as the yardstick.
//!
//! Rounds alternate between the servers, so that whatever else the machine does hits both; what is compared is the CPU time
//! of the server's own processes, and that their minimum and median over the rounds.

pub mod child;
pub mod gateway;
pub mod kamailio;
mod outcome;

use crate::idle::{self, Idle};
use crate::measure::Meter;
use crate::process::Reading;
use crate::sip::digest::{Algorithm, Credentials};
use crate::swarm::{Done, Plan, Stop, Swarm};
use crate::target::{Target, TargetError};
use crate::transport::ws::{Dialer, DialerError, NotOpened, Trust};
use crate::ua::Script;
use child::{Server, ServerError};
use gateway::Gateway;
use kamailio::{Kamailio, KamailioError, Setup};
pub use outcome::{Comparison, Cost, Measured};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What is compared and how much of it.
#[derive(Debug, Clone)]
pub struct Contest {
    /// The gateway; without it Kamailio is measured alone.
    pub gateway: Option<Gateway>,
    /// Kamailio's program.
    pub kamailio: PathBuf,
    /// Its worker processes.
    pub children: u32,
    /// Users of both servers.
    pub users: Vec<Credentials>,
    /// SIP domain of the users.
    pub domain: String,
    /// Digest of Kamailio's registrar, and what phones prefer.
    pub digest: Algorithm,
    /// Origin header of phones.
    pub origin: Option<String>,
    /// Number of loopback addresses phones come from.
    pub sources: u16,
    /// Alternating rounds.
    pub rounds: u32,
    /// Phones of each server.
    pub phones: usize,
    /// REGISTERs of one round, and how many a second.
    pub registers: Load,
    /// Calls of one round, and how many a second.
    pub calls: Load,
    /// Idle connections to weigh; 0 skips that.
    pub idle: usize,
}

/// An amount of work and its rate.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// How many.
    pub count: u64,
    /// How many a second.
    pub rate: f64,
}

/// Why there is no comparison.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// Kamailio.
    #[error(transparent)]
    Kamailio(#[from] KamailioError),
    /// The gateway.
    #[error(transparent)]
    Gateway(#[from] ServerError),
    /// A URL.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// TLS.
    #[error(transparent)]
    Dialer(#[from] DialerError),
    /// Processes and sockets.
    #[error("{0}: {1}")]
    Io(&'static str, #[source] io::Error),
    /// It accepts connections but no WebSockets.
    #[error("no WebSocket opens at {0}: {1}; is that its listener and path, and does it allow the Origin?")]
    NoWebSocket(String, NotOpened),
    /// No phone of a server registered.
    #[error("no phone could register with {0}; users, domain and digest must fit its configuration:\n{1}")]
    NoPhone(&'static str, String),
}

/// Runs everything. After a stop it returns what was measured until then.
///
/// # Errors
/// When a server does not come up, or no phone can register.
pub async fn run(contest: &Contest, stop: &Stop) -> Result<Comparison, CompareError> {
    let mut kamailio = Measured::new("kamailio");
    let mut gateway = contest.gateway.as_ref().map(|_| Measured::new("gateway"));
    weigh(contest, stop, &mut kamailio, gateway.as_mut()).await?;
    let mut sides = vec![Side::kamailio(contest, stop).await?];
    if let Some(settings) = &contest.gateway {
        sides.push(Side::gateway(contest, settings, stop).await?);
    }
    for side in &mut sides {
        side.warm_up(contest).await?;
    }
    for round in 0..contest.rounds {
        // Who goes first changes, so that neither always follows the other.
        let order: Vec<usize> =
            if round % 2 == 0 { (0..sides.len()).collect() } else { (0..sides.len()).rev().collect() };
        for index in order {
            if stop.is_requested() {
                break;
            }
            eprintln!("round {} of {}: {}", round + 1, contest.rounds, sides[index].measured.name);
            sides[index].round(contest, stop).await;
        }
    }
    for side in sides {
        let finished = side.finish();
        match &mut gateway {
            Some(gateway) if gateway.name == finished.name => gateway.absorb(finished),
            _ => kamailio.absorb(finished),
        }
    }
    Ok(Comparison { interrupted: stop.is_requested(), rounds: contest.rounds, kamailio, gateway })
}

/// Weighs idle connections on servers of their own, since memory that was used once is not given back.
async fn weigh(
    contest: &Contest,
    stop: &Stop,
    kamailio: &mut Measured,
    mut gateway: Option<&mut Measured>,
) -> Result<(), CompareError> {
    if contest.idle == 0 {
        return Ok(());
    }
    for security in ["ws", "wss"] {
        if stop.is_requested() {
            return Ok(());
        }
        // With OpenSSL 3, several processes of Kamailio 5.6 break each other's handshakes; what a connection weighs does
        // not depend on their number.
        let alone = Setup { children: 1, ..setup(contest, UNUSED_TRUNK) };
        let server = Kamailio::start(&alone).await?;
        let url = if security == "ws" { &server.ws } else { &server.wss };
        kamailio.add_idle(security, weigh_one(contest, stop, &server.server, url.parse()?).await?);
        drop(server);
        if let (Some(settings), Some(measured)) = (&contest.gateway, gateway.as_deref_mut())
            && let Some(target) = settings.target(security)
        {
            let server = settings.start().await?;
            measured.add_idle(security, weigh_one(contest, stop, &server, target.clone()).await?);
        }
    }
    Ok(())
}

async fn weigh_one(
    contest: &Contest,
    stop: &Stop,
    server: &Server,
    target: Target,
) -> Result<Idle, CompareError> {
    eprintln!("memory: {} idle connections to {}", contest.idle, target.url());
    let meter = meter(server)?;
    let url = target.url();
    let mut swarm = Swarm::new(Plan::silent(), ready(contest, target).await?, stop.clone());
    let weighed = idle::measure(&mut swarm, &meter, url, contest.idle, CONNECT_RATE).await;
    weighed.map_err(|error| CompareError::Io("cannot weigh idle connections", error))
}

/// One server with its phones and its trunk.
struct Side {
    measured: Measured,
    swarm: Swarm,
    meter: Meter,
    /// Ended after the phones: fields are dropped in their order.
    _server: Running,
}

enum Running {
    Kamailio { _server: Kamailio },
    Gateway { _server: Server },
}

impl Side {
    async fn kamailio(contest: &Contest, stop: &Stop) -> Result<Self, CompareError> {
        // The trunk's port goes into Kamailio's configuration, Kamailio's port into the phones: trunk first.
        let trunk = free_trunk()?;
        let server = Kamailio::start(&setup(contest, trunk)).await?;
        let dialer = ready(contest, server.ws.parse()?).await?;
        let mut swarm = Swarm::new(plan(contest), dialer, stop.clone());
        serve_trunk(&mut swarm, trunk)?;
        let (measured, meter) = (Measured::new("kamailio"), meter(&server.server)?);
        Ok(Self { measured, swarm, meter, _server: Running::Kamailio { _server: server } })
    }

    async fn gateway(contest: &Contest, settings: &Gateway, stop: &Stop) -> Result<Self, CompareError> {
        let server = settings.start().await?;
        let dialer = ready(contest, settings.ws.clone()).await?;
        let mut swarm = Swarm::new(plan(contest), dialer, stop.clone());
        serve_trunk(&mut swarm, settings.trunk)?;
        let (measured, meter) = (Measured::new("gateway"), meter(&server)?);
        Ok(Self { measured, swarm, meter, _server: Running::Gateway { _server: server } })
    }

    /// Connects and registers the phones and makes some calls, none of which counts.
    async fn warm_up(&mut self, contest: &Contest) -> Result<(), CompareError> {
        eprintln!("warm-up: {}", self.measured.name);
        self.swarm.connect(contest.phones, CONNECT_RATE).await;
        self.swarm.register_all(CONNECT_RATE).await;
        let summary = self.swarm.recorder().summary();
        if summary.operations.get("register").is_none_or(|row| row.done == 0) {
            return Err(CompareError::NoPhone(self.measured.name, summary.to_string()));
        }
        self.swarm.calls(WARM_UP_CALLS, contest.calls.rate).await;
        self.measured.warm_up_failures = self.swarm.recorder().summary().failures();
        Ok(())
    }

    async fn round(&mut self, contest: &Contest, stop: &Stop) {
        let before = self.meter.read();
        tokio::time::sleep(QUIET).await;
        self.count(before.as_ref(), Done { operations: 1, took: QUIET }, |measured, cost| {
            measured.quiet_us_per_second.push(cost.cpu_us / QUIET.as_secs_f64());
        });
        let before = self.meter.read();
        let done = self.swarm.registers(contest.registers.count, contest.registers.rate).await;
        if !stop.is_requested() {
            self.count(before.as_ref(), done, |measured, cost| measured.register.push(cost));
        }
        let before = self.meter.read();
        let done = self.swarm.calls(contest.calls.count, contest.calls.rate).await;
        if !stop.is_requested() {
            self.count(before.as_ref(), done, |measured, cost| measured.call.push(cost));
        }
    }

    fn count(&mut self, before: Option<&Reading>, done: Done, add: impl FnOnce(&mut Measured, Cost)) {
        let phase = self.meter.phase("round", done, before);
        if let (Some(cpu_us), Some(each)) = (phase.cpu_us, phase.cpu_us_per_operation) {
            add(
                &mut self.measured,
                Cost { cpu_us, cpu_us_each: each, operations: done.operations, seconds: phase.seconds },
            );
        }
    }

    fn finish(mut self) -> Measured {
        self.measured.summary = self.swarm.recorder().summary();
        self.measured
    }
}

fn setup(contest: &Contest, trunk: SocketAddr) -> Setup {
    Setup {
        program: contest.kamailio.clone(),
        children: contest.children,
        users: contest.users.clone(),
        algorithm: contest.digest,
        trunk,
    }
}

fn plan(contest: &Contest) -> Plan {
    Plan {
        users: contest.users.clone(),
        domain: contest.domain.clone(),
        digest: contest.digest,
        script: Script { ring: RING, hold: HOLD, timeout: TIMEOUT, expires: 600 },
        number: "4930901821".to_owned(),
    }
}

/// Waits until the server opens WebSockets: Kamailio accepts connections before all of its processes serve them, and the early ones
/// are never answered.
async fn ready(contest: &Contest, target: Target) -> Result<Dialer, CompareError> {
    let url = target.url();
    let dialer = |timeout| {
        Dialer::new(target.clone(), Some(&Trust::Anyone), contest.origin.as_deref(), contest.sources, timeout)
    };
    let (probe, deadline) = (dialer(PROBE)?, Instant::now() + START);
    let mut opened = 0;
    while opened < PROBES {
        match probe.open(0).await {
            Ok(_) => opened += 1,
            Err(error) if Instant::now() >= deadline => return Err(CompareError::NoWebSocket(url, error)),
            Err(_) => {
                opened = 0;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    Ok(dialer(TIMEOUT)?)
}

fn meter(server: &Server) -> Result<Meter, CompareError> {
    Meter::new(Some(server.pid()))
        .map_err(|error| CompareError::Io("cannot read the server's process", error))
}

fn free_trunk() -> Result<SocketAddr, CompareError> {
    let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr());
    socket.map_err(|error| CompareError::Io("no free UDP port for the trunk", error))
}

fn serve_trunk(swarm: &mut Swarm, listen: SocketAddr) -> Result<(), CompareError> {
    let served = swarm.serve_trunk(listen, None);
    served
        .map(drop)
        .map_err(|error| CompareError::Io("cannot be the trunk at the address the server knows", error))
}

const CONNECT_RATE: f64 = 300.0;
const WARM_UP_CALLS: u64 = 50;
const START: Duration = Duration::from_secs(20);
const PROBE: Duration = Duration::from_secs(1);
/// Handshakes in a row that must succeed: connections are spread over a server's processes.
const PROBES: u32 = 16;
const QUIET: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(10);
/// Long enough for 180 and 200 not to overtake each other in a server of several processes.
const RING: Duration = Duration::from_millis(20);
/// Short, so that no media timer and no silence sent for a mute browser is counted as signalling.
const HOLD: Duration = Duration::from_millis(20);
/// Idle connections make no calls.
const UNUSED_TRUNK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9);
