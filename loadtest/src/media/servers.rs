//! The programs that are measured, each started anew for every step.

use crate::compare::child::{Server, ServerError};
use crate::process::ProcessTree;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the programs are.
#[derive(Debug, Clone)]
pub struct Programs {
    /// Our relay.
    pub relay: PathBuf,
    /// Debian's rtpengine.
    pub rtpengine: PathBuf,
    /// Debian's coturn.
    pub coturn: PathBuf,
    /// For configurations and logs.
    pub directory: PathBuf,
}

/// A program that runs, and where it is reached.
pub struct Running {
    /// Ends it when dropped.
    server: Server,
    /// Where it takes orders, or TURN clients.
    pub control: SocketAddr,
    /// Where TURN clients reach our relay.
    pub turn: SocketAddr,
}

/// Why a program does not run.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It does not come up.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// No port, or no place for its configuration.
    #[error("cannot prepare a server: {0}")]
    Io(#[from] io::Error),
}

impl Running {
    /// Its process and what that has started.
    pub fn processes(&self) -> ProcessTree {
        ProcessTree::new(self.server.pid())
    }

    /// Descriptors that it has open.
    ///
    /// # Errors
    /// When the process is not there (any more).
    pub fn descriptors(&self) -> io::Result<u64> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.server.pid()))?.count() as u64)
    }
}

impl Programs {
    /// Our relay.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start_relay(&self, workers: u32) -> Result<Running, StartError> {
        let control = free_port()?;
        self.start_configured("relay", control, control, workers, "").await
    }

    /// Our relay with TURN on UDP, on one worker, so that every client's media is on the worker that serves its TURN.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start_turn_relay(&self) -> Result<Running, StartError> {
        let (control, turn) = (free_port()?, free_port()?);
        let secrets = self.directory.join("secrets");
        std::fs::write(&secrets, SECRET)?;
        let [first, last] = RELAYED_PORTS;
        // The peer of the load test is anywhere on this machine.
        let section = format!(
            "[turn]\nudp = [\"{turn}\"]\nsecrets_file = \"{}\"\nrealm = \"north\"\n\
             relayed_ports = [{first}, {last}]\npeers = [\"127.0.0.1/32:1024-65535\"]\n",
            secrets.display()
        );
        self.start_configured("turn-relay", control, turn, 1, &section).await
    }

    async fn start_configured(
        &self,
        name: &'static str,
        control: SocketAddr,
        turn: SocketAddr,
        workers: u32,
        section: &str,
    ) -> Result<Running, StartError> {
        let (admin, browser) = (free_port()?, free_port()?);
        let path = self.directory.join(format!("{name}.toml"));
        let [first, last] = RELAY_PORTS;
        let configuration = format!(
            "[control]\nlisten = \"{control}\"\n[admin]\nlisten = \"{admin}\"\n[media]\nbrowser_port = {}\n\
             rtp_ports = [{first}, {last}]\nworkers = {workers}\n[log]\nfilter = \"warn\"\n{section}",
            browser.port()
        );
        std::fs::write(&path, configuration)?;
        let mut command = Command::new(&self.relay);
        command.arg("run").arg("--config").arg(&path);
        self.start(name, command, control, turn).await
    }

    /// rtpengine in user space.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start_rtpengine(&self) -> Result<Running, StartError> {
        let (control, cli) = (free_port()?, free_port()?);
        let [first, last] = RTPENGINE_PORTS;
        let mut command = Command::new(&self.rtpengine);
        command.args(["--foreground", "--log-stderr", "--log-level=3", "--table=-1", "--config-file=none"]);
        command.args(["--interface=127.0.0.1", "--dtls-cert-cipher=prime256v1"]);
        command.arg(format!("--listen-ng={control}")).arg(format!("--listen-cli={cli}"));
        command.arg(format!("--port-min={first}")).arg(format!("--port-max={last}"));
        let running = self.start("rtpengine", command, cli, control).await?;
        Ok(Running { control, ..running })
    }

    /// coturn, for UDP.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start_coturn(&self) -> Result<Running, StartError> {
        let control = free_port()?;
        let [first, last] = RELAYED_PORTS;
        let mut command = Command::new(&self.coturn);
        command.args(["-n", "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", "--realm=north", "--no-cli"]);
        command.args([
            "--allow-loopback-peers",
            "--use-auth-secret",
            "--no-tls",
            "--no-dtls",
            "--log-file=stdout",
        ]);
        command.arg(format!("--listening-port={}", control.port()));
        command.arg(format!("--static-auth-secret={SECRET}"));
        command.arg(format!("--min-port={first}")).arg(format!("--max-port={last}"));
        command.arg(in_directory("--pidfile=", &self.directory, "coturn.pid"));
        command.arg(in_directory("--userdb=", &self.directory, "coturn.db"));
        self.start("coturn", command, control, control).await
    }

    /// The bare forwarder: this program.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start_forwarder(&self) -> Result<Running, StartError> {
        let control = free_port()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("forward").arg(control.to_string());
        self.start("forwarder", command, control, control).await
    }

    async fn start(
        &self,
        name: &'static str,
        command: Command,
        control: SocketAddr,
        turn: SocketAddr,
    ) -> Result<Running, StartError> {
        let server = Server::start(name, command, &self.directory, control).await?;
        Ok(Running { server, control, turn })
    }
}

fn in_directory(option: &str, directory: &Path, name: &str) -> String {
    format!("{option}{}", directory.join(name).display())
}

/// A port that is free for both TCP and UDP now.
fn free_port() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    UdpSocket::bind(address)?;
    Ok(address)
}

/// Of all TURN servers here.
pub const SECRET: &str = "secret-of-the-load-test";
/// Below the ports that the system gives out by itself.
const RELAY_PORTS: [u16; 2] = [12_000, 23_999];
const RTPENGINE_PORTS: [u16; 2] = [24_000, 27_999];
const RELAYED_PORTS: [u16; 2] = [28_000, 31_999];
