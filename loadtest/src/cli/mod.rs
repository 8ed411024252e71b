//! The command line.

mod compare;
mod media;

use crate::sip::digest::{Algorithm, Credentials};
use crate::swarm::Plan;
use crate::target::{Target, loopback_socket};
use crate::transport::ws::{Dialer, DialerError, Trust};
use crate::ua::Script;
use crate::users::{self, UsersError};
use clap::{Args, Parser, Subcommand};
pub use compare::CompareArgs;
pub use media::{MediaArgs, SoakArgs};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Loads a SIP-over-WebSocket server on this machine with phones and a trunk, and weighs it.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Phones register, call the trunk and are called by it, at steady rates for a while.
    Swarm(Box<SwarmArgs>),
    /// Memory of an idle connection.
    Idle(Box<IdleArgs>),
    /// The gateway beside Kamailio: CPU time of a REGISTER and of a call, memory of idle connections.
    Compare(Box<CompareArgs>),
    /// The relay beside rtpengine, coturn and a bare forwarder: CPU time of a packet and of a call, memory, delay.
    Media(MediaArgs),
    /// Many calls through the relay for a long time, and what is left of them afterwards.
    Soak(SoakArgs),
    /// The bare forwarder that `media` starts.
    #[command(hide = true)]
    Forward {
        /// Where it takes orders.
        #[arg(value_parser = loopback_socket)]
        control: SocketAddr,
    },
}

/// `loadtest swarm`.
#[derive(Debug, Args)]
pub struct SwarmArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    users: UserArgs,
    /// REGISTERs a second after the first round.
    #[arg(long, default_value_t = 0.0, value_parser = rate)]
    pub register_rate: f64,
    /// Calls a second from phones to the trunk.
    #[arg(long, default_value_t = 0.0, value_parser = rate)]
    pub call_rate: f64,
    /// Calls a second from the trunk to phones; needs --trunk-listen and --trunk-target.
    #[arg(long, default_value_t = 0.0, value_parser = rate)]
    pub incoming_rate: f64,
    /// Seconds of load after the first round of REGISTERs.
    #[arg(long, default_value = "10", value_parser = seconds)]
    pub duration: Duration,
    /// Address at which the swarm is the UDP trunk; port 0 takes any.
    #[arg(long, value_parser = loopback_socket)]
    pub trunk_listen: Option<SocketAddr>,
    /// The server's UDP address for calls from the trunk.
    #[arg(long, value_parser = loopback_socket)]
    pub trunk_target: Option<SocketAddr>,
    /// Phones do not register at the start.
    #[arg(long)]
    pub no_register: bool,
    /// Seconds a callee rings.
    #[arg(long, default_value = "0.2", value_parser = seconds)]
    ring: Duration,
    /// Seconds a caller talks.
    #[arg(long, default_value = "2", value_parser = seconds)]
    hold: Duration,
    /// What phones dial.
    #[arg(long, default_value = "4930901821")]
    number: String,
    /// Expires of a REGISTER, in seconds.
    #[arg(long, default_value_t = 600)]
    expires: u32,
}

/// `loadtest idle`.
#[derive(Debug, Args)]
pub struct IdleArgs {
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Args)]
struct ServerArgs {
    /// The server, as in ws://127.0.0.1:5080/ws or wss://localhost:8443/ws; loopback only.
    #[arg(long)]
    target: Target,
    /// Number of phones, each on a connection of its own.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    connections: u32,
    /// Connections opened a second, and REGISTERs a second in the first round.
    #[arg(long, default_value_t = 200.0, value_parser = positive_rate)]
    connect_rate: f64,
    /// Process of the server, to measure CPU time and memory of it and its children.
    #[arg(long)]
    server_pid: Option<u32>,
    /// PEM file of the authority that signed the server's certificate.
    #[arg(long, conflicts_with = "insecure")]
    ca: Option<PathBuf>,
    /// Accept any certificate.
    #[arg(long)]
    insecure: bool,
    /// Origin header of the WebSocket handshake, as a browser's page would send it.
    #[arg(long)]
    origin: Option<String>,
    /// Spread connections over this many addresses of 127.1.0.0/16, for servers that limit connections by address.
    #[arg(long, default_value_t = 1)]
    sources: u16,
    /// Seconds to wait for an answer.
    #[arg(long, default_value = "10", value_parser = seconds)]
    timeout: Duration,
    /// Write the result as JSON to standard output.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct UserArgs {
    /// File of `user password` lines, one a phone.
    #[arg(long, conflicts_with = "user_template")]
    users_file: Option<PathBuf>,
    /// Users' names with {n} for the phone's number, or {n:4} to fill it with zeros; needs --password-file.
    #[arg(long, requires = "password_file")]
    user_template: Option<String>,
    /// File with the password of all users of the template.
    #[arg(long)]
    password_file: Option<PathBuf>,
    /// SIP domain of the users; the target's host if not given.
    #[arg(long)]
    domain: Option<String>,
    /// Digest algorithm to answer with when the server offers both.
    #[arg(long, value_enum, default_value_t = Algorithm::Sha256)]
    digest: Algorithm,
}

/// What both commands need of a server.
#[derive(Debug, Clone, Copy)]
pub struct Server {
    /// Phones.
    pub connections: usize,
    /// Connections a second.
    pub connect_rate: f64,
    /// The process to measure.
    pub pid: Option<u32>,
    /// Whether the result is JSON.
    pub json: bool,
}

/// Why the options do not make a run.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// TLS or origin.
    #[error(transparent)]
    Dialer(#[from] DialerError),
    /// Users.
    #[error(transparent)]
    Users(#[from] UsersError),
    /// Neither file nor template.
    #[error(
        "phones need names: give --users-file FILE, or --user-template 'load{{n}}' with --password-file FILE"
    )]
    NoUsers,
    /// --call-rate alone.
    #[error(
        "--call-rate needs the swarm to be the trunk: give --trunk-listen 127.0.0.1:PORT, the trunk the server knows"
    )]
    NoTrunk,
    /// --incoming-rate alone.
    #[error("--incoming-rate needs --trunk-listen and --trunk-target, the server's UDP address")]
    NoTrunkTarget,
    /// --gateway without its file.
    #[error("the gateway needs --gateway-config FILE, or --gateway-args without {{config}}")]
    NoGatewayConfig,
}

impl SwarmArgs {
    /// The server's part.
    pub fn server(&self) -> Server {
        self.server.figures()
    }

    /// Opens connections to the server.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn dialer(&self) -> Result<Dialer, OptionsError> {
        self.server.dialer()
    }

    /// Who the phones are.
    ///
    /// # Errors
    /// When there are no users, or a rate lacks the trunk it needs.
    pub fn plan(&self) -> Result<Plan, OptionsError> {
        if self.call_rate > 0.0 && self.trunk_listen.is_none() {
            return Err(OptionsError::NoTrunk);
        }
        if self.incoming_rate > 0.0 && (self.trunk_listen.is_none() || self.trunk_target.is_none()) {
            return Err(OptionsError::NoTrunkTarget);
        }
        let UserArgs { users_file, user_template, password_file, domain, digest } = &self.users;
        let users = match (users_file, user_template, password_file) {
            (Some(file), ..) => users::from_file(file)?,
            (None, Some(template), Some(password)) => {
                users::from_template(template, password, self.server.connections as usize)?
            }
            _ => return Err(OptionsError::NoUsers),
        };
        let domain = domain.clone().unwrap_or_else(|| self.server.target.host.clone());
        let script =
            Script { ring: self.ring, hold: self.hold, timeout: self.server.timeout, expires: self.expires };
        Ok(Plan { users, domain, digest: *digest, script, number: self.number.clone() })
    }
}

impl IdleArgs {
    /// The server's part.
    pub fn server(&self) -> Server {
        self.server.figures()
    }

    /// Opens connections to the server.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn dialer(&self) -> Result<Dialer, OptionsError> {
        self.server.dialer()
    }
}

impl ServerArgs {
    fn figures(&self) -> Server {
        Server {
            connections: self.connections as usize,
            connect_rate: self.connect_rate,
            pid: self.server_pid,
            json: self.json,
        }
    }

    fn dialer(&self) -> Result<Dialer, OptionsError> {
        let trust = match &self.ca {
            Some(file) => Some(Trust::Authority(file.clone())),
            None => self.insecure.then_some(Trust::Anyone),
        };
        Ok(Dialer::new(
            self.target.clone(),
            trust.as_ref(),
            self.origin.as_deref(),
            self.sources,
            self.timeout,
        )?)
    }
}

impl Plan {
    /// Phones that only connect.
    pub fn silent() -> Self {
        let nobody = Credentials { user: "idle".to_owned(), password: String::new() };
        let (zero, timeout) = (Duration::ZERO, Duration::from_secs(10));
        let script = Script { ring: zero, hold: zero, timeout, expires: 600 };
        Self {
            users: vec![nobody],
            domain: "localhost".to_owned(),
            digest: Algorithm::Sha256,
            script,
            number: "0".to_owned(),
        }
    }
}

/// A duration of at most a day in seconds, fractions allowed.
pub fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=86_400.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("expected seconds between 0 and 86400, as in 2 or 0.5".to_owned()),
    }
}

/// A rate per second.
pub fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.0..=100_000.0).contains(&rate) => Ok(rate),
        _ => Err("expected a number per second between 0 and 100000".to_owned()),
    }
}

/// A rate above zero: a fixed amount of work never ends at zero.
pub fn positive_rate(text: &str) -> Result<f64, String> {
    rate(text).and_then(
        |rate| if rate > 0.0 { Ok(rate) } else { Err("expected more than 0 per second".to_owned()) },
    )
}

const EXIT_CODES: &str = "Exit codes: 0 all went well, 1 something failed under load (see the report), 2 wrong options, \
    3 the run could not be made, 130 interrupted (the report is of what was done until then).";

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use clap::CommandFactory;

    fn swarm(options: &str) -> Result<Box<SwarmArgs>, String> {
        let words = format!("loadtest swarm {options}");
        match Cli::try_parse_from(words.split(' ')).map_err(|error| error.to_string())?.command {
            Command::Swarm(args) => Ok(args),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_that_need_others_say_so() {
        let args = swarm("--target ws://127.0.0.1:5080/ws --call-rate 1").unwrap();
        assert!(matches!(args.plan(), Err(OptionsError::NoTrunk)));
        let args =
            swarm("--target ws://127.0.0.1:5080/ws --trunk-listen 127.0.0.1:0 --incoming-rate 1").unwrap();
        assert!(matches!(args.plan(), Err(OptionsError::NoTrunkTarget)));
        let args = swarm("--target ws://127.0.0.1:5080/ws").unwrap();
        assert!(matches!(args.plan(), Err(OptionsError::NoUsers)));
        let args = swarm("--target wss://127.0.0.1:5080/ws").unwrap();
        assert!(matches!(args.dialer().err(), Some(OptionsError::Dialer(DialerError::NoTrust))));
    }

    #[test]
    fn addresses_of_other_machines_are_refused_at_once() {
        let error = swarm("--target wss://sip.example.com/ws").unwrap_err();
        assert!(error.contains("not a loopback address"), "{error}");
        let error = swarm("--target ws://127.0.0.1/ --trunk-listen 0.0.0.0:5070").unwrap_err();
        assert!(error.contains("not a loopback address"), "{error}");
    }

    #[test]
    fn figures_out_of_range_are_refused() {
        for text in ["-1", "nan", "x", "1e9"] {
            assert!(seconds(text).is_err() && rate(text).is_err(), "{text}");
        }
        assert_eq!(seconds("0.5").unwrap(), Duration::from_millis(500));
    }
}
