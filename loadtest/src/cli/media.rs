//! The options of `media`.

use super::seconds;
use crate::media::servers::Programs;
use crate::media::{Contest, soak};
use clap::Args;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `loadtest media`.
#[derive(Debug, Args)]
pub struct MediaArgs {
    /// Our relay's program.
    #[arg(long, default_value = "target/release/media-relay")]
    relay: PathBuf,
    /// Debian's rtpengine.
    #[arg(long, default_value = "rtpengine")]
    rtpengine: PathBuf,
    /// Debian's coturn.
    #[arg(long, default_value = "turnserver")]
    coturn: PathBuf,
    /// Alternating rounds.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Calls at a time; a step for each.
    #[arg(long, value_delimiter = ',', default_value = "1,50,500", value_parser = calls)]
    calls: Vec<usize>,
    /// TURN allocations at a time; 0 leaves TURN out.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=1_000))]
    allocations: u32,
    /// Seconds of each step that count; another one comes before.
    #[arg(long, default_value = "6", value_parser = seconds)]
    duration: Duration,
    /// Threads of our relay; 0 takes one a core.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=64))]
    workers: u32,
    /// Measure our relay alone.
    #[arg(long)]
    alone: bool,
    /// Write the result as JSON to standard output.
    #[arg(long)]
    pub json: bool,
}

impl MediaArgs {
    /// The most sockets open at a time.
    pub fn sockets(&self) -> usize {
        self.calls.iter().copied().max().unwrap_or(0).max(self.allocations as usize) * 2
    }

    /// What is measured; configurations and logs go to `directory`.
    pub fn contest(&self, directory: &Path) -> Contest {
        Contest {
            programs: Programs {
                relay: self.relay.clone(),
                rtpengine: self.rtpengine.clone(),
                coturn: self.coturn.clone(),
                directory: directory.to_owned(),
            },
            rounds: self.rounds,
            calls: self.calls.clone(),
            allocations: self.allocations as usize,
            seconds: self.duration,
            workers: self.workers,
            alone: self.alone,
        }
    }
}

/// `loadtest soak`.
#[derive(Debug, Args)]
pub struct SoakArgs {
    /// Our relay's program.
    #[arg(long, default_value = "target/release/media-relay")]
    relay: PathBuf,
    /// Calls at a time.
    #[arg(long, default_value = "1000", value_parser = calls)]
    calls: usize,
    /// Seconds that they last.
    #[arg(long, default_value = "600", value_parser = seconds)]
    duration: Duration,
    /// Threads of our relay; 0 takes one a core.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=64))]
    workers: u32,
    /// Write the result as JSON to standard output.
    #[arg(long)]
    pub json: bool,
}

impl SoakArgs {
    /// The most sockets open at a time.
    pub fn sockets(&self) -> usize {
        self.calls * 2
    }

    /// What is held; configurations and logs go to `directory`.
    pub fn plan(&self, directory: &Path) -> soak::Plan {
        soak::Plan {
            relay: self.relay.clone(),
            directory: directory.to_owned(),
            calls: self.calls,
            duration: self.duration,
            workers: self.workers,
        }
    }
}

fn calls(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(calls @ 1..=2_000) => Ok(calls),
        _ => Err("expected a number of calls between 1 and 2000".to_owned()),
    }
}
