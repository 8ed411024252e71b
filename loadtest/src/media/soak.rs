//! Many calls through the relay for a long time, and what is left of them afterwards.

use super::calls::{Bridge, Relay};
use super::servers::{Programs, Running};
use super::traffic::{self, Stage};
use super::{MediaError, browser::Identity};
use crate::process::{ProcessTree, Reading};
use crate::stats::Histogram;
use crate::swarm::Stop;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What is to be held out.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The relay's program.
    pub relay: PathBuf,
    /// For its configuration and log.
    pub directory: PathBuf,
    /// Calls at a time.
    pub calls: usize,
    /// How long they last.
    pub duration: Duration,
    /// Threads of the relay, 0 for one a core.
    pub workers: u32,
}

/// How it went.
#[derive(Debug, Clone, Serialize)]
pub struct Endurance {
    /// Whether it was cut short.
    pub interrupted: bool,
    /// Calls at a time.
    pub calls: usize,
    /// SRTP profile.
    pub profile: &'static str,
    /// One after the other.
    pub stretches: Vec<Stretch>,
    /// Packets sent from the first to the last second.
    pub sent: u64,
    /// Packets of those that never arrived.
    pub lost: u64,
    /// Of the relay, from before the first call to after the last.
    pub left: Left,
}

/// A part of the time.
#[derive(Debug, Clone, Serialize)]
pub struct Stretch {
    /// Its end, from the beginning of all.
    pub seconds: f64,
    /// Packets delivered a second; 100 a call if nothing falls behind.
    pub packets_per_second: f64,
    /// From sending to arriving at the browsers, ms: half of the packets.
    pub delay_p50_ms: f64,
    /// The same: 99 of 100.
    pub delay_p99_ms: f64,
    /// The longest.
    pub delay_max_ms: f64,
    /// CPU time of the relay for a packet, µs.
    pub cpu_us_per_packet: f64,
    /// Cores that the relay took.
    pub relay_cores: f64,
    /// Cores that the generator took.
    pub generator_cores: f64,
    /// Resident set of the relay, MiB.
    pub resident_mib: f64,
}

/// What the relay still has when all calls have ended.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Left {
    /// Sessions.
    pub sessions: u64,
    /// Descriptors, and so ports, more than it had after the same calls had come and gone once.
    pub descriptors: i64,
    /// Resident set in KiB, more than it had then.
    pub resident_kib: i64,
}

/// Makes all calls and ends them, which is what memory is compared with; makes them again, holds them, ends them.
///
/// # Errors
/// When the relay does not come up or refuses.
pub async fn run(plan: &Plan, stop: &Stop) -> Result<Endurance, MediaError> {
    traffic::prepare();
    let identity = Identity::new()?;
    let programs = Programs {
        relay: plan.relay.clone(),
        directory: plan.directory.clone(),
        // Neither takes part.
        rtpengine: PathBuf::new(),
        coturn: PathBuf::new(),
    };
    let running = programs.start_relay(plan.workers).await?;
    let step = format!("{} calls for {} s", plan.calls, plan.duration.as_secs());
    hold(plan, &running, &identity, stop).map_err(|error| MediaError::Step { step, error })
}

fn hold(plan: &Plan, running: &Running, identity: &Identity, stop: &Stop) -> io::Result<Endurance> {
    let relay = running.processes();
    let mut bridge = Relay::new(running)?;
    for _ in 0..REHEARSALS {
        drop(bridge.connect(plan.calls, identity)?);
        bridge.end()?;
    }
    let (before, descriptors) = (relay.read()?, running.descriptors()?);
    let mut endpoints = bridge.connect(plan.calls, identity)?;
    let mut stage = Stage::new(&endpoints)?;
    let bar = progress(plan);
    let (began, mut stretches, mut interrupted) = (Instant::now(), Vec::new(), false);
    let mut clock = Clock::new(&relay)?;
    while began.elapsed() < plan.duration && !interrupted {
        let during = EVERY.min(plan.duration.saturating_sub(began.elapsed()));
        let heard = traffic::received(&endpoints);
        match stage.run(&mut endpoints, during, stop) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => interrupted = true,
            done => done?,
        }
        let heard = traffic::received(&endpoints) - heard;
        let stretch = clock.stretch(began.elapsed(), heard, &stage.take_delays())?;
        bar.set_position(began.elapsed().as_secs());
        bar.set_message(stretch.to_string());
        stretches.push(stretch);
    }
    stage.settle(&mut endpoints)?;
    bar.finish_and_clear();
    let (sent, heard) = (traffic::sent(&endpoints), traffic::received(&endpoints));
    drop(endpoints);
    bridge.end()?;
    let after = relay.read()?;
    let difference = |now: u64, then: u64| now.cast_signed() - then.cast_signed();
    Ok(Endurance {
        interrupted,
        calls: plan.calls,
        profile: bridge.profile(),
        stretches,
        sent,
        lost: sent.saturating_sub(heard),
        left: Left {
            sessions: bridge.sessions()?,
            descriptors: difference(running.descriptors()?, descriptors),
            resident_kib: difference(after.memory.resident, before.memory.resident) / 1_024,
        },
    })
}

/// CPU time of the relay and of this process, stretch by stretch.
struct Clock<'a> {
    relay: &'a ProcessTree,
    /// The relay is a child of this process.
    all: ProcessTree,
    at: Instant,
    last: (Reading, Reading),
}

impl<'a> Clock<'a> {
    fn new(relay: &'a ProcessTree) -> io::Result<Self> {
        let all = ProcessTree::new(std::process::id());
        let last = (relay.read()?, all.read()?);
        Ok(Self { relay, all, at: Instant::now(), last })
    }

    fn stretch(&mut self, end: Duration, heard: u64, delay: &Histogram) -> io::Result<Stretch> {
        let (now, at) = ((self.relay.read()?, self.all.read()?), Instant::now());
        let took = at.duration_since(self.at).as_secs_f64();
        let cpu = now.0.cpu_since(&self.last.0).as_secs_f64();
        let all = now.1.cpu_since(&self.last.1).as_secs_f64();
        let stretch = Stretch {
            seconds: end.as_secs_f64(),
            packets_per_second: heard as f64 / took,
            delay_p50_ms: delay.percentile(50.0) as f64 / 1e3,
            delay_p99_ms: delay.percentile(99.0) as f64 / 1e3,
            delay_max_ms: delay.max() as f64 / 1e3,
            cpu_us_per_packet: cpu * 1e6 / (heard.max(1)) as f64,
            relay_cores: cpu / took,
            generator_cores: (all - cpu) / took,
            resident_mib: now.0.memory.resident as f64 / 1_048_576.0,
        };
        (self.last, self.at) = (now, at);
        Ok(stretch)
    }
}

impl Endurance {
    /// What should not have happened: packets lost, or something left.
    pub fn failures(&self) -> u64 {
        self.lost + self.left.sessions + self.left.descriptors.unsigned_abs()
    }
}

impl fmt::Display for Stretch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>5.0} s  {:>7.0} packets/s  delay p50 {:.2} p99 {:.2} max {:.1} ms  {:.2} µs a packet  cores {:.2} + {:.2}  {:.1} MiB",
            self.seconds,
            self.packets_per_second,
            self.delay_p50_ms,
            self.delay_p99_ms,
            self.delay_max_ms,
            self.cpu_us_per_packet,
            self.relay_cores,
            self.generator_cores,
            self.resident_mib
        )
    }
}

impl fmt::Display for Endurance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.interrupted {
            writeln!(f, "interrupted: the figures are of what was done until then")?;
        }
        writeln!(f, "{} calls, {} (cores: relay + generator)", self.calls, self.profile)?;
        self.stretches.iter().try_for_each(|stretch| writeln!(f, "  {stretch}"))?;
        writeln!(f, "{} packets sent, {} lost", self.sent, self.lost)?;
        let Left { sessions, descriptors, resident_kib } = self.left;
        writeln!(f, "left: {sessions} sessions, {descriptors} descriptors, {resident_kib} KiB")
    }
}

/// A line of progress on standard error, nothing when that is no terminal.
fn progress(plan: &Plan) -> ProgressBar {
    let bar = ProgressBar::new(plan.duration.as_secs());
    match ProgressStyle::with_template("[{elapsed_precise}] {bar:20} {percent:>3} % {msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

const EVERY: Duration = Duration::from_secs(10);
/// Allocators settle after a few.
const REHEARSALS: usize = 2;
