//! The program as its operator sees it.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use tempfile::TempDir;

use crate::client::{Answer, exchange, request};
use crate::lab::echo;

const OLD: &str = "old-token-old-token-old-token-old";
const NEW: &str = "new-token-new-token-new-token-new";

/// A running relay; ends with the value.
pub struct Program {
    child: Child,
    folder: TempDir,
    at: SocketAddr,
    admin: SocketAddr,
    output: BufReader<ChildStdout>,
}

impl Program {
    fn start(ports: [u16; 2]) -> Self {
        Self::start_with(ports, "")
    }

    /// With more sections.
    pub fn start_with(ports: [u16; 2], sections: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let admin = free_port();
        fs::write(folder.path().join("tokens"), OLD).unwrap();
        let text = format!(
            "[control]\nlisten = \"127.0.0.1:0\"\ntoken_file = \"tokens\"\n[admin]\nlisten = \"{admin}\"\n\
             [media]\nbrowser_port = 0\nrtp_ports = [{}, {}]\nworkers = 1\n{sections}",
            ports[0], ports[1]
        );
        let config = folder.path().join("relay.toml");
        fs::write(&config, text).unwrap();
        let mut child =
            program(&["run"], &config).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let at = line.trim_start_matches("Control:  http://").trim_end_matches("/v1\n").parse();
        Self { child, folder, at: at.unwrap_or_else(|_| panic!("no address in {line:?}")), admin, output }
    }

    /// The address behind a name of the announcement; names in their order.
    pub fn announced(&mut self, name: &str) -> SocketAddr {
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "{name} is not announced");
            if let Some(address) = line.strip_prefix(name).and_then(|rest| rest.strip_prefix(": ")) {
                return address.trim_end().parse().unwrap();
            }
        }
    }

    async fn ask(&self, token: &str, method: &str, path: &str, body: &str) -> Answer {
        let token = format!("Authorization: Bearer {token}\r\n");
        exchange(self.at, &request(method, path, &token, body)).await
    }

    async fn put(&self, id: &str) -> Answer {
        let body = serde_json::to_string(&echo(id, 1, None)).unwrap();
        self.ask(OLD, "PUT", &format!("/v1/sessions/{id}"), &body).await
    }

    pub async fn operator(&self, path: &str) -> Answer {
        exchange(self.admin, &request("GET", path, "", "")).await
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("sh").args(["-c", "kill $0 $1", name, &pid]).status().unwrap().success());
    }

    /// Leaves it so many descriptors beside those it has.
    pub fn limit_descriptors(&self, more: usize) {
        let pid = self.child.id();
        let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
        let limit = format!("--nofile={0}:{0}", open + more);
        assert!(
            Command::new("prlimit").args(["--pid", &pid.to_string(), &limit]).status().unwrap().success()
        );
    }

    /// Waits for its end; what it logged.
    pub fn log_to_the_end(&mut self) -> String {
        let mut log = String::new();
        self.child.stderr.as_mut().unwrap().read_to_string(&mut log).unwrap();
        log
    }

    /// Reads the log until a line has this.
    pub fn log_until(&mut self, part: &str) {
        let log = self.child.stderr.as_mut().unwrap();
        let mut seen = Vec::new();
        let mut byte = [0];
        while !String::from_utf8_lossy(&seen).contains(part) {
            assert_eq!(log.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&seen));
            seen.push(byte[0]);
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program(arguments: &[&str], config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_media-relay"));
    command.args(arguments).arg("--config").arg(config);
    command
}

fn free_port() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn a_relay_drains_at_a_signal_and_ends_with_its_last_session() {
    let mut relay = Program::start([25_300, 25_319]);
    assert_eq!(relay.operator("/readyz").await.status, 200);
    assert_eq!(relay.put("call").await.status, 200);
    relay.signal("-TERM");
    relay.log_until("draining");
    assert_eq!(relay.operator("/readyz").await.status, 503);
    assert_eq!(relay.operator("/livez").await.status, 200);
    assert_eq!(relay.put("other").await.status, 503);
    assert_eq!(relay.ask(OLD, "DELETE", "/v1/sessions/call", "").await.status, 200);
    assert!(relay.child.wait().unwrap().success());
}

#[tokio::test]
async fn a_second_signal_ends_a_relay_at_once() {
    let mut relay = Program::start([25_320, 25_339]);
    assert_eq!(relay.put("call").await.status, 200);
    relay.signal("-TERM");
    relay.log_until("draining");
    relay.signal("-TERM");
    assert!(relay.child.wait().unwrap().success());
}

#[tokio::test]
async fn tokens_are_changed_without_touching_sessions_and_a_bad_file_is_refused() {
    let mut relay = Program::start([25_340, 25_359]);
    assert_eq!(relay.put("call").await.status, 200);
    fs::write(relay.folder.path().join("tokens"), NEW).unwrap();
    relay.signal("-HUP");
    relay.log_until("read again");
    assert_eq!(relay.ask(OLD, "GET", "/v1/status", "").await.status, 401);
    assert_eq!(relay.ask(NEW, "GET", "/v1/sessions/call", "").await.status, 200);
    fs::write(relay.folder.path().join("tokens"), "short").unwrap();
    relay.signal("-HUP");
    relay.log_until("refused");
    assert_eq!(relay.ask(NEW, "GET", "/v1/status", "").await.status, 200);
    fs::write(relay.folder.path().join("relay.toml"), "[media]\nworkers = 1000\ncolour = 1\n").unwrap();
    relay.signal("-HUP");
    relay.log_until("media.workers");
    assert_eq!(relay.ask(NEW, "GET", "/v1/status", "").await.status, 200);
}

#[tokio::test]
async fn metrics_name_what_the_relay_does_and_no_secret() {
    let relay = Program::start([25_360, 25_379]);
    assert_eq!(relay.put("call").await.status, 200);
    let metrics = relay.operator("/metrics").await.body;
    for line in [
        "media_relay_sessions 1",
        "media_relay_rtp_sockets 2",
        "media_relay_datagrams_total{direction=\"received\"} 0",
        "media_relay_datagrams_dropped_total{reason=\"stranger\"} 0",
        "media_relay_events_lost_total 0",
        "media_relay_transport_failures_total{reason=\"fingerprint\"} 0",
        "media_relay_transport_failures_total{reason=\"consent\"} 0",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    assert!(!metrics.contains(OLD) && !metrics.contains("call"));
}

#[test]
fn a_bad_configuration_ends_with_78_and_a_good_one_with_0() {
    let folder = TempDir::new().unwrap();
    let config = folder.path().join("relay.toml");
    fs::write(&config, "[media]\ncolour = \"blue\"\n").unwrap();
    for command in [["check"], ["run"]] {
        let output = program(&command, &config).output().unwrap();
        assert_eq!(output.status.code(), Some(78));
        let said = [output.stdout, output.stderr].concat();
        assert!(String::from_utf8(said).unwrap().contains("media.colour"));
    }
    fs::write(&config, "[log]\nfilter = \"info\"\n").unwrap();
    assert_eq!(program(&["check"], &config).output().unwrap().status.code(), Some(0));
}

#[tokio::test]
async fn health_asks_the_relay_that_runs() {
    let relay = Program::start([25_380, 25_399]);
    let config = relay.folder.path().join("relay.toml");
    let health = || program(&["health"], &config).output().unwrap();
    assert_eq!(String::from_utf8(health().stdout).unwrap(), "The media relay is ready.\n");
    let gone = TempDir::new().unwrap();
    let other = gone.path().join("relay.toml");
    fs::write(&other, format!("[admin]\nlisten = \"{}\"\n", free_port())).unwrap();
    assert_eq!(program(&["health"], &other).output().unwrap().status.code(), Some(1));
}
