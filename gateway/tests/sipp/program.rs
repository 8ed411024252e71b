//! The gateway as a child process, with a configuration of its own and ports that were free.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::ops::RangeInclusive;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// A running gateway; ends with the value.
pub struct Gateway {
    child: Child,
    pub ws: SocketAddr,
    pub sip: SocketAddr,
    pub trunk: SocketAddr,
    admin: SocketAddr,
    _folder: TempDir,
}

impl Gateway {
    /// A gateway with one trunk on `transport`, users `alice` and `bob` with the password `secret`. The ports for RTP are
    /// enough for the calls of five seconds, as long as a port rests.
    pub fn start(transport: &str, rtp_ports: RangeInclusive<u16>) -> Self {
        let (first, last) = rtp_ports.into_inner();
        Self::with_relay(transport, &format!("[relay]\nbrowser_port = 0\nrtp_ports = [{first}, {last}]\n"))
    }

    /// As above, with these sections about the relay.
    pub fn with_relay(transport: &str, relay: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let [ws, sip, trunk, admin] = std::array::from_fn(|_| free_port());
        let users = folder.path().join("users");
        let mut file = fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&users).unwrap();
        file.write_all(b"alice:secret\nbob:secret\n").unwrap();
        let config = folder.path().join("gateway.toml");
        let text = format!(
            r#"
            [listen]
            wss = "off"
            ws = "{ws}"
            sip_udp = "{sip}"
            sip_tcp = "{sip}"
            [admin]
            listen = "{admin}"
            [browser]
            without_origin = true
            [users]
            file = "users"
            [dialplan]
            trunk = "sipp"
            [[trunk]]
            name = "sipp"
            address = "{trunk}"
            transport = "{transport}"
            cidrs = ["127.0.0.1/32"]
            {relay}
            [limits]
            messages_per_second = 10000
            [log]
            filter = "warn"
            "#
        );
        fs::write(&config, text).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_gateway"))
            .args(["run", "--config"])
            .arg(&config)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("Test calls"), "the gateway says when it is ready: {line:?}");
        Self { child, ws, sip, trunk, admin, _folder: folder }
    }

    /// One of the gateway's metrics, by its line.
    pub fn metric(&self, name: &str) -> f64 {
        self.find_metric(name).unwrap_or_else(|| panic!("no metric {name}"))
    }

    /// As above; none before it was counted for the first time.
    pub fn find_metric(&self, name: &str) -> Option<f64> {
        let mut connection = TcpStream::connect(self.admin).unwrap();
        write!(connection, "GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.admin)
            .unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        let line = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map(|value| value.parse().unwrap())
    }

    /// Resident memory in KiB.
    pub fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody uses over TCP and UDP.
pub fn free_port() -> SocketAddr {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = tcp.local_addr().unwrap();
        if UdpSocket::bind(address).is_ok() {
            return address;
        }
    }
}
