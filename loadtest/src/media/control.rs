//! A client of the relay's control API (docs/control-api.md): JSON over one HTTP/1.1 connection.

use super::browser::Remote;
use serde_json::{Value, json};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

/// A client of one relay.
pub struct Control {
    at: SocketAddr,
    stream: BufReader<TcpStream>,
    asked: Instant,
}

/// What a browser's offer says.
#[derive(Debug, Clone)]
pub struct BrowserSide {
    /// RFC 8839 §5.4.
    pub ufrag: String,
    /// RFC 8839 §5.4.
    pub password: String,
    /// SHA-256, upper-case hex pairs.
    pub fingerprint: String,
}

impl Control {
    /// Connects.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn new(at: SocketAddr) -> io::Result<Self> {
        Ok(Self { at, stream: connect(at)?, asked: Instant::now() })
    }

    /// Declares a session between a browser and, once its address is known, a trunk; what both are told.
    ///
    /// # Errors
    /// When the relay refuses or does not answer.
    pub fn put(
        &mut self,
        call: &str,
        revision: u64,
        browser: &BrowserSide,
        trunk: Option<SocketAddr>,
    ) -> io::Result<(Remote, SocketAddr)> {
        let codecs = json!([{"name": "PCMU", "clock_rate": 8000, "channels": 1, "receive": 0, "send": 0}]);
        let fingerprint = json!({"algorithm": "sha-256", "value": browser.fingerprint});
        let remote =
            json!({"ufrag": browser.ufrag, "password": browser.password, "fingerprints": [fingerprint]});
        let trunk = trunk.map(|rtp| json!({"rtp": rtp, "rtcp": rtp}));
        let body = json!({
            "id": call,
            "revision": revision,
            "a": {"kind": "web_rtc", "remote": remote, "dtls": "passive", "codecs": codecs, "direction": "send_recv"},
            "b": {"kind": "rtp", "interface": null, "remote": trunk, "codecs": codecs, "direction": "send_recv",
                "learn": "never"},
        });
        let answer: Value = serde_json::from_slice(&self.ask("PUT", &session(call), &body.to_string())?)?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let (a, b) = (&answer["a"], &answer["b"]);
        let address = a["candidates"][0].as_str().and_then(|text| text.parse::<SocketAddrV4>().ok());
        let remote = address.zip(text(&a["ufrag"])).zip(text(&a["password"]));
        let rtp = b["rtp"].as_str().and_then(|text| text.parse().ok());
        remote
            .map(|((address, ufrag), password)| Remote { address, ufrag, password })
            .zip(rtp)
            .ok_or_else(|| io::Error::other(format!("the relay's description: {answer}")))
    }

    /// Ends a session.
    ///
    /// # Errors
    /// When the relay refuses or does not answer.
    pub fn delete(&mut self, call: &str) -> io::Result<()> {
        self.ask("DELETE", &session(call), "").map(drop)
    }

    /// How many sessions it has.
    ///
    /// # Errors
    /// When the relay does not answer.
    pub fn sessions(&mut self) -> io::Result<u64> {
        let status: Value = serde_json::from_slice(&self.ask("GET", "/v1/status", "")?)?;
        status["sessions"].as_u64().ok_or_else(|| io::Error::other(format!("the relay's status: {status}")))
    }

    fn ask(&mut self, method: &str, path: &str, body: &str) -> io::Result<Vec<u8>> {
        if self.asked.elapsed() >= SILENT {
            self.stream = connect(self.at)?;
        }
        self.asked = Instant::now();
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: relay\r\nContent-Length: {length}\r\n\r\n");
        self.stream.get_mut().write_all((head + body).as_bytes())?;
        let (mut status, mut size) = (String::new(), 0);
        self.stream.read_line(&mut status)?;
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line)?;
            let line = line.trim().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(length) = line.strip_prefix("content-length:") {
                size = length.trim().parse().map_err(io::Error::other)?;
            }
        }
        let mut answer = vec![0; size];
        self.stream.read_exact(&mut answer)?;
        if !status.starts_with("HTTP/1.1 2") {
            return Err(io::Error::other(format!("the relay: {status}{}", String::from_utf8_lossy(&answer))));
        }
        Ok(answer)
    }
}

fn connect(at: SocketAddr) -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(at)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    Ok(BufReader::new(stream))
}

fn session(call: &str) -> String {
    format!("/v1/sessions/{call}")
}

const TIMEOUT: Duration = Duration::from_secs(5);
/// The relay closes a connection that is silent for a minute.
const SILENT: Duration = Duration::from_secs(30);
