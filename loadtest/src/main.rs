//! `loadtest`: see `loadtest --help` and docs/loadtest.md.

use anyhow::Context;
use clap::Parser;
use loadtest::cli::{Cli, Command, CompareArgs, IdleArgs, MediaArgs, SoakArgs, SwarmArgs};
use loadtest::compare;
use loadtest::idle;
use loadtest::measure::{Growth, Meter};
use loadtest::media::{self, forward, soak};
use loadtest::report::{Connections, Report, json};
use loadtest::swarm::{Plan, Rates, Stop, Swarm};
use loadtest::sys;
use serde::Serialize;
use std::fmt::Display;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("loadtest: {error:#}");
            ExitCode::from(CANNOT_RUN)
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let descriptors = sys::raise_descriptor_limit().context("cannot raise the limit of open descriptors")?;
    if let Command::Forward { control } = cli.command {
        forward::serve(control).context("the forwarder")?;
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start threads")?;
    runtime.block_on(async {
        let stop = Stop::at_signal().context("cannot receive signals")?;
        match cli.command {
            Command::Swarm(args) => {
                fits(args.server().connections, descriptors)?;
                swarm(&args, stop).await
            }
            Command::Idle(args) => {
                fits(args.server().connections, descriptors)?;
                idle(&args, stop).await
            }
            Command::Compare(args) => {
                fits(args.connections(), descriptors)?;
                compare(&args, stop).await
            }
            Command::Media(args) => {
                fits(args.sockets(), descriptors)?;
                media(&args, stop).await
            }
            Command::Soak(args) => {
                fits(args.sockets(), descriptors)?;
                soak(&args, stop).await
            }
            Command::Forward { .. } => Ok(ExitCode::SUCCESS),
        }
    })
}

async fn swarm(args: &SwarmArgs, stop: Stop) -> anyhow::Result<ExitCode> {
    let (server, dialer) = (args.server(), args.dialer()?);
    let target = dialer.target().url();
    let meter = meter(server.pid)?;
    let mut swarm = Swarm::new(args.plan()?, dialer, stop.clone());
    if let Some(listen) = args.trunk_listen {
        let busy = || format!("cannot be the trunk at {listen}; is the port taken?");
        let address = swarm.serve_trunk(listen, args.trunk_target).with_context(busy)?;
        eprintln!("trunk: {address}/udp");
    }
    let start = meter.read();
    let done = swarm.connect(server.connections, server.connect_rate).await;
    let mut phases = vec![meter.phase("connect", done, start.as_ref())];
    if let Some(error) = swarm.first_error() {
        anyhow::ensure!(swarm.connected() > 0, "no phone could connect to {target}: {error}");
        eprintln!("first connection that failed: {error}");
    }
    if !args.no_register {
        let before = meter.read();
        let done = swarm.register_all(server.connect_rate).await;
        phases.push(meter.phase("register", done, before.as_ref()));
    }
    let full = meter.read();
    let memory = start.zip(full).map(|(start, full)| Growth::between(&start, &full, swarm.connected()));
    let rates = Rates { registers: args.register_rate, calls: args.call_rate, incoming: args.incoming_rate };
    let before = meter.read();
    let done = swarm.load(rates, args.duration).await;
    phases.push(meter.phase("load", done, before.as_ref()));
    let connections = Connections { wanted: server.connections, connected: swarm.connected() };
    let (summary, interrupted) = (swarm.recorder().summary(), stop.is_requested());
    let failures = summary.failures();
    print(&Report { target, connections, interrupted, summary, phases, memory }, server.json)?;
    Ok(exit_code(interrupted, failures))
}

async fn idle(args: &IdleArgs, stop: Stop) -> anyhow::Result<ExitCode> {
    let (server, dialer) = (args.server(), args.dialer()?);
    let target = dialer.target().url();
    anyhow::ensure!(server.pid.is_some(), "memory is read from the server's process: give --server-pid");
    let meter = meter(server.pid)?;
    let mut swarm = Swarm::new(Plan::silent(), dialer, stop.clone());
    let idle = idle::measure(&mut swarm, &meter, target, server.connections, server.connect_rate).await?;
    print(&idle, server.json)?;
    Ok(exit_code(stop.is_requested(), idle.summary.failures()))
}

async fn compare(args: &CompareArgs, stop: Stop) -> anyhow::Result<ExitCode> {
    let logs = tempfile::tempdir().context("cannot make a temporary directory")?;
    let comparison = compare::run(&args.contest(logs.path())?, &stop).await?;
    print(&comparison, args.json)?;
    Ok(exit_code(comparison.interrupted, comparison.failures()))
}

async fn media(args: &MediaArgs, stop: Stop) -> anyhow::Result<ExitCode> {
    let directory = tempfile::tempdir().context("cannot make a temporary directory")?;
    let outcome = media::run(&args.contest(directory.path()), &stop).await?;
    print(&outcome, args.json)?;
    Ok(exit_code(outcome.interrupted, 0))
}

async fn soak(args: &SoakArgs, stop: Stop) -> anyhow::Result<ExitCode> {
    let directory = tempfile::tempdir().context("cannot make a temporary directory")?;
    let endurance = soak::run(&args.plan(directory.path()), &stop).await?;
    print(&endurance, args.json)?;
    Ok(exit_code(endurance.interrupted, endurance.failures()))
}

fn meter(pid: Option<u32>) -> anyhow::Result<Meter> {
    Meter::new(pid)
        .with_context(|| format!("cannot read process {}; is the server running?", pid.unwrap_or_default()))
}

fn fits(connections: usize, descriptors: u64) -> anyhow::Result<()> {
    anyhow::ensure!(
        connections as u64 + SPARE_DESCRIPTORS <= descriptors,
        "{connections} connections need more descriptors than the {descriptors} this process may open; raise its hard limit \
         (ulimit -Hn) or take fewer"
    );
    Ok(())
}

fn print(result: &(impl Serialize + Display), as_json: bool) -> anyhow::Result<()> {
    if as_json {
        println!("{}", json(result)?);
    } else {
        print!("{result}");
    }
    Ok(())
}

fn exit_code(interrupted: bool, failures: u64) -> ExitCode {
    match (interrupted, failures) {
        (true, _) => ExitCode::from(INTERRUPTED),
        (false, 0) => ExitCode::SUCCESS,
        (false, _) => ExitCode::from(FAILURES),
    }
}

const FAILURES: u8 = 1;
const CANNOT_RUN: u8 = 3;
const INTERRUPTED: u8 = 130;
/// Trunk, runtime, standard streams, the warm-up of `idle`.
const SPARE_DESCRIPTORS: u64 = 100;
