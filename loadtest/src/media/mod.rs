//! The relay beside rtpengine, coturn and a bare forwarder, under voice.
//!
//! Every step starts its server anew, so that memory can be weighed, and the servers take turns, so that whatever else
//! the machine does hits all of them. What counts is the CPU time of the server's own process.

pub mod browser;
pub mod calls;
pub mod control;
pub mod forward;
pub mod link;
pub mod ng;
mod outcome;
pub mod servers;
pub mod soak;
pub mod stun;
pub mod traffic;
pub mod turn;

use crate::process::Reading;
use crate::swarm::Stop;
use browser::Identity;
use calls::{Bridge, Forwarder, Relay, Rtpengine};
use link::Link;
pub use outcome::{Figure, Outcome};
use servers::{Programs, Running, SECRET, StartError};
use std::io;
use std::time::Duration;
use traffic::{Carried, Endpoint};
use turn::Client;

/// What is measured and how much of it.
#[derive(Debug, Clone)]
pub struct Contest {
    /// Where the servers are.
    pub programs: Programs,
    /// Alternating rounds.
    pub rounds: u32,
    /// Calls at a time, one step each.
    pub calls: Vec<usize>,
    /// TURN allocations at a time; 0 skips TURN.
    pub allocations: usize,
    /// How long each step's packets count.
    pub seconds: Duration,
    /// Threads of our relay, 0 for one a core.
    pub workers: u32,
    /// Is our relay alone to be measured?
    pub alone: bool,
}

/// Why there is no outcome.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// A server does not run.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A server refused, or its process cannot be read.
    #[error("{step}: {error}")]
    Step {
        /// Whose step.
        step: String,
        /// What happened.
        error: io::Error,
    },
    /// No certificate for the browsers.
    #[error("no certificate: {0}")]
    Identity(#[from] io::Error),
}

/// Who carries calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carrier {
    Relay,
    Rtpengine,
    Forwarder,
}

/// Who serves TURN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TurnServer {
    Relay,
    Coturn,
}

/// Runs everything. After a stop it returns what was measured until then.
///
/// # Errors
/// When a server does not come up or refuses.
pub async fn run(contest: &Contest, stop: &Stop) -> Result<Outcome, MediaError> {
    traffic::prepare();
    let identity = Identity::new()?;
    let mut outcome = Outcome { rounds: contest.rounds, ..Outcome::default() };
    for round in 0..contest.rounds {
        let (mut carriers, mut servers) = if contest.alone {
            (vec![Carrier::Relay], vec![TurnServer::Relay])
        } else {
            (
                vec![Carrier::Relay, Carrier::Rtpengine, Carrier::Forwarder],
                vec![TurnServer::Relay, TurnServer::Coturn],
            )
        };
        // Who goes first changes, so that none always follows the same one.
        if round % 2 == 1 {
            carriers.reverse();
            servers.reverse();
        }
        let done = one_round(contest, (&carriers, &servers), &identity, stop, &mut outcome).await;
        if stop.is_requested() {
            outcome.interrupted = true;
            return Ok(outcome);
        }
        done?;
    }
    Ok(outcome)
}

async fn one_round(
    contest: &Contest,
    (carriers, servers): (&[Carrier], &[TurnServer]),
    identity: &Identity,
    stop: &Stop,
    outcome: &mut Outcome,
) -> Result<(), MediaError> {
    for &calls in &contest.calls {
        for &carrier in carriers {
            eprintln!("{calls} calls: {}", carrier.name());
            let running = carrier.start(contest).await?;
            let step = format!("{calls} calls");
            let done = carry_calls(carrier, &running, calls, identity, contest, stop, outcome, &step);
            done.map_err(|error| MediaError::Step { step: format!("{step}, {}", carrier.name()), error })?;
        }
    }
    if contest.allocations == 0 {
        return Ok(());
    }
    for &server in servers {
        eprintln!("TURN, {} allocations: {}", contest.allocations, server.name());
        let step = |name: &str| format!("TURN {name}, {}", server.name());
        let running = server.start(contest).await?;
        let done = relay_to_echo(server, &running, contest, stop, outcome);
        done.map_err(|error| MediaError::Step { step: step("to a peer"), error })?;
        drop(running);
        let running = server.start(contest).await?;
        let done = client_to_media(server, &running, identity, contest, stop, outcome);
        done.map_err(|error| MediaError::Step { step: step("to media"), error })?;
    }
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "one step is all of these")]
fn carry_calls(
    carrier: Carrier,
    running: &Running,
    calls: usize,
    identity: &Identity,
    contest: &Contest,
    stop: &Stop,
    outcome: &mut Outcome,
    step: &str,
) -> io::Result<()> {
    let processes = running.processes();
    let mut bridge = carrier.bridge(running)?;
    // Whatever is made once is made before anything is weighed.
    drop(bridge.connect(FIRST_CALLS, identity)?);
    bridge.end()?;
    let before = processes.read()?;
    let mut endpoints = bridge.connect(calls, identity)?;
    let connected = processes.read()?;
    let carried = traffic::carry(&mut endpoints, &processes, contest.seconds, stop)?;
    let full = processes.read()?;
    bridge.end()?;
    let mut put = |figure, value| outcome.put(step, figure, carrier.name(), value);
    put_carried(&carried, &mut put);
    if calls >= ENOUGH && carrier != Carrier::Forwarder {
        put(Figure::SetUp, each_us(&before, &connected, calls));
        put(Figure::Memory, each_kib(&before, &full, calls));
    }
    outcome.profiles.insert(carrier.name(), bridge.profile());
    Ok(())
}

fn relay_to_echo(
    server: TurnServer,
    running: &Running,
    contest: &Contest,
    stop: &Stop,
    outcome: &mut Outcome,
) -> io::Result<()> {
    let processes = running.processes();
    let mut first = Client::new(running.turn, SECRET, contest.allocations)?;
    first.allocate()?;
    let mut clients = clients(running, contest)?;
    let before = processes.read()?;
    for client in &mut clients {
        client.allocate()?;
    }
    let allocated = processes.read()?;
    let mut endpoints = calls::echo(clients, Link::new()?)?;
    let carried = traffic::carry(&mut endpoints, &processes, contest.seconds, stop)?;
    let full = processes.read()?;
    let mut put = |figure, value| outcome.put("TURN to a peer", figure, server.name(), value);
    put_carried(&carried, &mut put);
    put(Figure::Allocate, each_us(&before, &allocated, contest.allocations));
    put(Figure::Memory, each_kib(&before, &full, contest.allocations));
    Ok(())
}

/// Our relay's clients speak to its own media port and on to a trunk; coturn's speak to each other, which is what becomes of a
/// client's packet to a relay of the same machine there, without the relay's own work.
fn client_to_media(
    server: TurnServer,
    running: &Running,
    identity: &Identity,
    contest: &Contest,
    stop: &Stop,
    outcome: &mut Outcome,
) -> io::Result<()> {
    let processes = running.processes();
    let mut endpoints: Vec<Endpoint> = match server {
        TurnServer::Relay => {
            Relay::through_turn(running, SECRET)?.connect(contest.allocations / 2, identity)?
        }
        TurnServer::Coturn => {
            let mut clients = clients(running, contest)?;
            clients.truncate(contest.allocations / 2 * 2);
            let relayed: Vec<_> = clients.iter_mut().map(Client::allocate).collect::<io::Result<_>>()?;
            calls::hairpin(clients, &relayed)?
        }
    };
    let carried = traffic::carry(&mut endpoints, &processes, contest.seconds, stop)?;
    put_carried(&carried, &mut |figure, value| {
        outcome.put("TURN to media", figure, server.name(), value);
    });
    Ok(())
}

fn clients(running: &Running, contest: &Contest) -> io::Result<Vec<Client>> {
    (0..contest.allocations).map(|number| Client::new(running.turn, SECRET, number)).collect()
}

fn put_carried(carried: &Carried, put: &mut impl FnMut(Figure, f64)) {
    put(Figure::Packet, carried.cpu_us_per_packet);
    put(Figure::DelayMedian, carried.delay.percentile(50.0) as f64 / 1e3);
    put(Figure::DelayTail, carried.delay.percentile(99.0) as f64 / 1e3);
    put(Figure::Lost, carried.lost_percent);
    put(Figure::Rate, carried.packets_per_second);
}

fn each_us(before: &Reading, after: &Reading, count: usize) -> f64 {
    after.cpu_since(before).as_secs_f64() * 1e6 / count as f64
}

fn each_kib(before: &Reading, after: &Reading, count: usize) -> f64 {
    after.memory.resident.saturating_sub(before.memory.resident) as f64 / 1_024.0 / count as f64
}

impl Carrier {
    fn name(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::Rtpengine => "rtpengine",
            Self::Forwarder => "forwarder",
        }
    }

    async fn start(self, contest: &Contest) -> Result<Running, StartError> {
        match self {
            Self::Relay => contest.programs.start_relay(contest.workers).await,
            Self::Rtpengine => contest.programs.start_rtpengine().await,
            Self::Forwarder => contest.programs.start_forwarder().await,
        }
    }

    fn bridge(self, running: &Running) -> io::Result<Box<dyn Bridge>> {
        Ok(match self {
            Self::Relay => Box::new(Relay::new(running)?),
            Self::Rtpengine => Box::new(Rtpengine::new(running)?),
            Self::Forwarder => Box::new(Forwarder::new(running)?),
        })
    }
}

impl TurnServer {
    fn name(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::Coturn => "coturn",
        }
    }

    async fn start(self, contest: &Contest) -> Result<Running, StartError> {
        match self {
            Self::Relay => contest.programs.start_turn_relay().await,
            Self::Coturn => contest.programs.start_coturn().await,
        }
    }
}

/// Below this, what the process does anyway outweighs the calls.
const ENOUGH: usize = 50;
/// Calls that come and go before anything is weighed.
const FIRST_CALLS: usize = 2;
