//! The options of `compare`.

use super::{OptionsError, positive_rate};
use crate::compare::gateway::Gateway;
use crate::compare::{Contest, Load};
use crate::sip::digest::Algorithm;
use crate::target::{Target, loopback_socket};
use crate::users;
use clap::Args;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// `loadtest compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// The gateway's program, as in target/release/gateway; without it Kamailio is measured alone.
    #[arg(long, requires_all = ["gateway_target", "users_file", "trunk_listen"])]
    gateway: Option<PathBuf>,
    /// Configuration file; stands for {config} in --gateway-args.
    #[arg(long)]
    gateway_config: Option<PathBuf>,
    /// The gateway's arguments, separated by blanks.
    #[arg(long, default_value = "run --config {config}", allow_hyphen_values = true)]
    gateway_args: String,
    /// The gateway's ws: listener.
    #[arg(long)]
    gateway_target: Option<Target>,
    /// The gateway's wss: listener, to weigh idle WSS connections.
    #[arg(long)]
    gateway_tls_target: Option<Target>,
    /// The trunk's address in the gateway's configuration, which the swarm takes.
    #[arg(long, value_parser = loopback_socket)]
    trunk_listen: Option<SocketAddr>,
    /// File of `user password` lines that both servers know; made up for Kamailio alone.
    #[arg(long)]
    users_file: Option<PathBuf>,
    /// SIP domain of the users.
    #[arg(long, default_value = "127.0.0.1")]
    domain: String,
    /// Digest algorithm of Kamailio's challenges, and of the answers to the gateway where it offers both.
    #[arg(long, value_enum, default_value_t = Algorithm::Md5)]
    digest: Algorithm,
    /// Kamailio's program.
    #[arg(long, default_value = "kamailio")]
    kamailio: PathBuf,
    /// Kamailio's worker processes for UDP, and as many for TCP.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    kamailio_children: u32,
    /// Origin header of the WebSocket handshake.
    #[arg(long)]
    origin: Option<String>,
    /// Spread connections over this many addresses of 127.1.0.0/16.
    #[arg(long, default_value_t = 1)]
    sources: u16,
    /// Alternating rounds.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Phones of each server.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    phones: u32,
    /// REGISTERs of a round.
    #[arg(long, default_value_t = 2_000)]
    registers: u64,
    /// REGISTERs a second.
    #[arg(long, default_value_t = 400.0, value_parser = positive_rate)]
    register_rate: f64,
    /// Calls of a round.
    #[arg(long, default_value_t = 1_000)]
    calls: u64,
    /// Calls a second.
    #[arg(long, default_value_t = 100.0, value_parser = positive_rate)]
    call_rate: f64,
    /// Idle connections to weigh; 0 skips it.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(0..=15_000))]
    idle: u32,
    /// Write the result as JSON to standard output.
    #[arg(long)]
    pub json: bool,
}

impl CompareArgs {
    /// The most connections open at a time.
    pub fn connections(&self) -> usize {
        self.idle.max(self.phones * 2) as usize
    }

    /// What is compared; logs go to `directory`.
    ///
    /// # Errors
    /// When there are no users, or the gateway's options are incomplete.
    pub fn contest(&self, directory: &Path) -> Result<Contest, OptionsError> {
        let users = match &self.users_file {
            Some(file) => users::from_file(file)?,
            None => users::invented(self.phones as usize)?,
        };
        Ok(Contest {
            gateway: self.gateway(directory)?,
            kamailio: self.kamailio.clone(),
            children: self.kamailio_children,
            users,
            domain: self.domain.clone(),
            digest: self.digest,
            origin: self.origin.clone(),
            sources: self.sources,
            rounds: self.rounds,
            phones: self.phones as usize,
            registers: Load { count: self.registers, rate: self.register_rate },
            calls: Load { count: self.calls, rate: self.call_rate },
            idle: self.idle as usize,
        })
    }

    fn gateway(&self, directory: &Path) -> Result<Option<Gateway>, OptionsError> {
        let (Some(program), Some(ws), Some(trunk)) = (&self.gateway, &self.gateway_target, self.trunk_listen)
        else {
            return Ok(None);
        };
        let config = match &self.gateway_config {
            Some(config) => config.display().to_string(),
            None if self.gateway_args.contains("{config}") => return Err(OptionsError::NoGatewayConfig),
            None => String::new(),
        };
        let arguments =
            self.gateway_args.split_whitespace().map(|word| word.replace("{config}", &config)).collect();
        let (program, ws, wss) = (program.clone(), ws.clone(), self.gateway_tls_target.clone());
        Ok(Some(Gateway { program, arguments, ws, wss, trunk, directory: directory.to_owned() }))
    }
}
