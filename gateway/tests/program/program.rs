//! The gateway as a child process, with a configuration of its own and ports that were free.

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::ops::RangeInclusive;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use tempfile::TempDir;

/// A running gateway; ends with the value.
pub struct Gateway {
    child: Child,
    pub ws: SocketAddr,
    pub wss: SocketAddr,
    pub sip: SocketAddr,
    pub trunk: SocketAddr,
    pub admin: SocketAddr,
    folder: TempDir,
}

impl Gateway {
    /// A gateway with one trunk on `transport`, users `alice` and `bob` with the password `secret`. The ports for RTP, all
    /// of one worker, are enough for the calls of five seconds, as long as a port rests.
    pub fn start(transport: &str, rtp_ports: RangeInclusive<u16>) -> Self {
        Self::start_with(transport, rtp_ports, "", "filter = \"warn\"")
    }

    /// The same with more lines in `[[trunk]]`, and those of `[log]`.
    pub fn start_with(transport: &str, rtp_ports: RangeInclusive<u16>, trunk_lines: &str, log: &str) -> Self {
        let (first, last) = rtp_ports.into_inner();
        let relay = format!("[relay]\nbrowser_port = 0\nrtp_ports = [{first}, {last}]\nworkers = 1\n");
        Self::launch(&Shape { transport, trunk_lines, sections: &relay, log, ..Shape::default() })
    }

    /// As above, with these sections about the relay.
    pub fn with_relay(transport: &str, relay: &str) -> Self {
        Self::with_relay_and_log(transport, relay, "filter = \"warn\"")
    }

    /// The same with the lines of `[log]`.
    pub fn with_relay_and_log(transport: &str, relay: &str, log: &str) -> Self {
        Self::launch(&Shape { transport, sections: relay, log, ..Shape::default() })
    }

    /// One that trunks reach at 127.0.0.1 and ::1, with more sections; numbers go to this trunk.
    pub fn of_both_families(dialled: &str, sections: &str) -> Self {
        let (sip, listen_lines) = ("[::]", "advertised = [\"127.0.0.1\", \"::1\"]");
        Self::launch(&Shape { sip, listen_lines, dialled, sections, ..Shape::default() })
    }

    /// With all of these. Ports that were free a moment ago may be another process's by now: then with others.
    pub fn launch(shape: &Shape<'_>) -> Self {
        let mut tries = (0..LAUNCHES).map(|_| Self::try_launch(shape));
        let mut outcome = tries.next().unwrap();
        while let Err(log) = &outcome {
            outcome = tries.next().unwrap_or_else(|| panic!("the gateway does not start: {log}"));
        }
        outcome.unwrap()
    }

    /// The gateway once it is ready, or its log.
    fn try_launch(shape: &Shape<'_>) -> Result<Self, String> {
        let mut gateway = Self::spawn(shape);
        let mut line = String::new();
        BufReader::new(gateway.child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if line.starts_with("Softphone") { Ok(gateway) } else { Err(gateway.log()) }
    }

    /// One that has only begun to start.
    pub fn spawn(shape: &Shape<'_>) -> Self {
        let Shape { sip: host, listen_lines, dialled, transport, trunk_lines, sections, limits, log, stderr } =
            shape;
        let folder = TempDir::new().unwrap();
        let [ws, wss, sip, trunk, admin] = std::array::from_fn(|_| free_port());
        let users = folder.path().join("users");
        let mut file = fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&users).unwrap();
        file.write_all(b"alice:secret\nbob:secret\n").unwrap();
        let (config, port) = (folder.path().join(CONFIG), sip.port());
        let text = format!(
            r#"
            [listen]
            wss = "{wss}"
            ws = "{ws}"
            sip_udp = "{host}:{port}"
            sip_tcp = "{host}:{port}"
            {listen_lines}
            [admin]
            listen = "{admin}"
            [browser]
            without_origin = true
            [users]
            file = "users"
            [dialplan]
            trunk = "{dialled}"
            [[trunk]]
            name = "sipp"
            address = "{trunk}"
            transport = "{transport}"
            cidrs = ["127.0.0.1/32"]
            {trunk_lines}
            {sections}
            [limits]
            {limits}
            [log]
            {log}
            "#
        );
        fs::write(&config, text).unwrap();
        let child = Command::new(program())
            .args(["run", "--config"])
            .arg(&config)
            .stdout(Stdio::piped())
            .stderr(match stderr {
                Some(pipe) => Stdio::from(pipe.try_clone().unwrap()),
                None => fs::File::create(folder.path().join(LOG)).unwrap().into(),
            })
            .spawn()
            .unwrap();
        Self { child, ws, wss, sip, trunk, admin, folder }
    }

    /// What the operators' listener answers.
    pub fn ask(&self, path: &str) -> String {
        let mut connection = TcpStream::connect(self.admin).unwrap();
        write!(connection, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.admin)
            .unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        answer
    }

    /// One of the gateway's metrics, by its name and some of its labels: the sum of all lines that have these.
    pub fn metric(&self, name: &str) -> f64 {
        self.find_metric(name).unwrap_or_else(|| panic!("no metric {name}"))
    }

    /// As above; none before it was counted for the first time.
    pub fn find_metric(&self, name: &str) -> Option<f64> {
        let answer = self.ask("/metrics");
        let (name, labels) = name.split_once('{').unwrap_or((name, ""));
        let labels: Vec<&str> = labels.trim_end_matches('}').split("\",").collect();
        let value = |line: &str| {
            let (of_line, value) = line.rsplit_once(' ')?;
            let (its_name, its_labels) = of_line.split_once('{').unwrap_or((of_line, ""));
            let is_meant = its_name == name && labels.iter().all(|label| its_labels.contains(label));
            is_meant.then(|| value.parse::<f64>().unwrap())
        };
        let values: Vec<f64> = answer.lines().filter_map(value).collect();
        (!values.is_empty()).then(|| values.iter().sum())
    }

    /// Asks it to stop.
    pub fn terminate(&self) {
        self.signal("-TERM");
    }

    /// Sends a signal, by its name with a dash.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let kill = format!("kill {name} $0");
        assert!(Command::new("sh").args(["-c", &kill, &pid]).status().unwrap().success());
    }

    /// Waits for its end.
    pub fn ended(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its configuration file.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join(CONFIG)
    }

    /// What it wrote to standard error so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.path().join(LOG)).unwrap_or_default()).into_owned()
    }

    /// Resident memory in KiB.
    pub fn memory(&self) -> u64 {
        resident(&self.child)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

/// What differs between the gateways of the tests.
pub struct Shape<'a> {
    /// Host of the listeners for trunks.
    pub sip: &'a str,
    pub listen_lines: &'a str,
    pub dialled: &'a str,
    pub transport: &'a str,
    pub trunk_lines: &'a str,
    pub sections: &'a str,
    pub limits: &'a str,
    pub log: &'a str,
    /// Instead of a file.
    pub stderr: Option<&'a io::PipeWriter>,
}

impl Default for Shape<'_> {
    fn default() -> Self {
        Self {
            sip: "127.0.0.1",
            listen_lines: "",
            dialled: "sipp",
            transport: "udp",
            trunk_lines: "",
            sections: "",
            // SIPp makes up for a pause of the machine with many calls at once.
            limits: "messages_per_second = 10000\ncalls_per_user = 1000",
            log: "filter = \"warn\"",
            stderr: None,
        }
    }
}

/// Resident memory of a process in KiB.
pub fn resident(child: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Another build of the gateway than that of the tests, such as a release build, is named by GATEWAY_BIN.
pub fn program() -> PathBuf {
    env::var_os("GATEWAY_BIN").map_or_else(|| env!("CARGO_BIN_EXE_gateway").into(), PathBuf::from)
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

/// A port is lost once in many runs.
const LAUNCHES: usize = 3;
const CONFIG: &str = "gateway.toml";
const LOG: &str = "log";
