//! Scripted traces through a whole engine: a browser and a plain peer made of this crate's own parts, a driver that
//! only records, and a clock that the script moves.
#![expect(clippy::unwrap_used, reason = "tests")]

mod attacks;
mod calls;
mod ice;
mod quality;
mod sessions;
mod walk;

use std::collections::HashSet;

use relay_api::{
    Codec, Direction, DtlsRole, EventKind, Learn, LegDescription, LegStatistics, RtpLeg, RtpRemote,
    WebRtcLeg, WebRtcRemote,
};

use super::*;
use crate::dtls::{DimplIdentity, Dtls, Output};
use crate::failure::Failure;
use crate::rtcp::{self, Block};
use crate::srtp::{MasterKey, OVERHEAD, Profile, Receiver, Sender};
use crate::stun::{Check, Key, MESSAGE_SIZE};

/// A datagram that the engine sent.
#[derive(Clone, Debug, PartialEq)]
struct Sent {
    socket: SocketId,
    to: SocketAddr,
    datagram: Vec<u8>,
}

/// A driver that records.
#[derive(Default)]
struct Recorder {
    sent: Vec<Sent>,
    open: HashSet<PortPair>,
    taken: HashSet<u16>,
}

impl Io for Recorder {
    fn open(&mut self, pair: PortPair) -> bool {
        !self.taken.contains(&pair.rtp) && self.open.insert(pair)
    }

    fn close(&mut self, pair: PortPair) {
        assert!(self.open.remove(&pair), "closed twice");
    }

    fn transmit(&mut self, socket: SocketId, to: SocketAddr, datagram: &[u8]) {
        match socket {
            SocketId::Mux(_) => {}
            SocketId::Rtp(pair) | SocketId::Rtcp(pair) => {
                assert!(self.open.contains(&pair), "sent from nowhere")
            }
        }
        self.sent.push(Sent { socket, to, datagram: datagram.to_vec() });
    }
}

struct Rig {
    engine: Engine,
    io: Recorder,
    now: Instant,
}

const MEDIA_TIMEOUT: Duration = Duration::from_secs(60);
const QUARANTINE: Duration = Duration::from_secs(5);
const MUX: SocketId = SocketId::Mux(0);

impl Rig {
    fn new() -> Self {
        Self::with(10, 40_000..=40_019)
    }

    fn with(max_sessions: usize, ports: RangeInclusive<u16>) -> Self {
        let now = Instant::now();
        let config = EngineConfig {
            candidates: vec![address("203.0.113.1:3478")],
            interfaces: vec![Interface {
                name: "trunk".to_owned(),
                networks: Vec::new(),
                advertised: "203.0.113.2".parse().unwrap(),
                range: 0,
            }],
            ranges: vec![ports],
            identity: Arc::new(DimplIdentity::generate().unwrap()),
            media_timeout: MEDIA_TIMEOUT,
            port_quarantine: QUARANTINE,
            max_sessions,
            seed: [7; 32],
        };
        Self { engine: Engine::new(config, now), io: Recorder::default(), now }
    }

    fn put(&mut self, spec: &SessionSpec) -> Result<SessionDescription, RelayError> {
        self.engine.put(spec.clone(), self.now, &mut self.io)
    }

    fn delete(&mut self, id: &str) {
        self.engine.delete(&SessionId(id.to_owned()), self.now, &mut self.io);
    }

    /// Hands in a datagram; what the engine sent for it.
    fn receives(&mut self, socket: SocketId, source: SocketAddr, datagram: &[u8]) -> Vec<Sent> {
        let mut buffer = datagram.to_vec();
        buffer.resize(datagram.len() + 64, 0);
        self.engine.handle_input(socket, source, &mut buffer, datagram.len(), self.now, &mut self.io);
        std::mem::take(&mut self.io.sent)
    }

    /// Lets time pass, timer by timer; what the engine sent meanwhile.
    fn after(&mut self, time: Duration) -> Vec<Sent> {
        let end = self.now + time;
        while let Some(due) = self.engine.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.engine.handle_timeout(self.now, &mut self.io);
        }
        self.now = end;
        std::mem::take(&mut self.io.sent)
    }

    fn events(&mut self) -> Vec<(LegName, EventKind)> {
        std::iter::from_fn(|| self.engine.poll_event()).map(|event| (event.leg, event.kind)).collect()
    }

    fn statistics(&self, id: &str) -> SessionStatistics {
        self.engine.statistics(&SessionId(id.to_owned())).unwrap()
    }

    /// Delivers both ways between the engine and a browser until neither has anything to say.
    fn exchange(&mut self, browser: &mut Browser, mut to_engine: Vec<Vec<u8>>) {
        while !to_engine.is_empty() {
            let mut replies = Vec::new();
            for datagram in to_engine {
                for sent in self.receives(MUX, browser.address, &datagram) {
                    assert_eq!(sent.to, browser.address);
                    replies.extend(browser.receives(&sent.datagram, self.now));
                }
            }
            to_engine = replies;
        }
    }

    /// ICE and DTLS.
    fn connect(&mut self, browser: &mut Browser, description: &LegDescription) {
        browser.learn(description);
        let check = browser.check(true);
        self.exchange(browser, vec![check]);
        if browser.keys.is_none() {
            let hello = browser.pump(self.now);
            self.exchange(browser, hello);
        }
        assert!(browser.keys.is_some(), "no keys");
    }

    /// A browser and a plain peer, connected: the usual call.
    fn call(&mut self, role: DtlsRole) -> (Browser, SessionSpec, PortPair) {
        let mut browser = Browser::new("198.51.100.7:50000", role);
        let spec = spec("call", 1, browser.leg(), rtp_leg(Some(remote())));
        let description = self.put(&spec).unwrap();
        self.connect(&mut browser, &description.a);
        let pair = pair_of(&description.b);
        self.io.sent.clear();
        (browser, spec, pair)
    }
}

/// The peer's part of ICE, DTLS and SRTP.
struct Browser {
    address: SocketAddr,
    role: DtlsRole,
    identity: DimplIdentity,
    dtls: Box<dyn Dtls>,
    ufrag: String,
    password: String,
    relay_ufrag: String,
    relay_key: Key,
    keys: Option<(Sender, Receiver)>,
    transaction: u8,
    answers: Vec<[u8; 2]>,
}

impl Browser {
    /// `relay_role` is the relay's role in DTLS.
    fn new(at: &str, relay_role: DtlsRole) -> Self {
        let role = match relay_role {
            DtlsRole::Active => DtlsRole::Passive,
            DtlsRole::Passive => DtlsRole::Active,
        };
        let identity = DimplIdentity::generate().unwrap();
        Self {
            address: address(at),
            role,
            dtls: identity.start(role, Instant::now()),
            identity,
            ufrag: "brws".to_owned(),
            password: "a-browser's-password-of-32-chars".to_owned(),
            relay_ufrag: String::new(),
            relay_key: Key::new(""),
            keys: None,
            transaction: 0,
            answers: Vec::new(),
        }
    }

    fn leg(&self) -> LegSpec {
        LegSpec::WebRtc(WebRtcLeg {
            remote: Some(WebRtcRemote {
                ufrag: self.ufrag.clone(),
                password: self.password.clone(),
                fingerprints: vec![self.identity.fingerprint()],
            }),
            dtls: match self.role {
                DtlsRole::Active => DtlsRole::Passive,
                DtlsRole::Passive => DtlsRole::Active,
            },
            codecs: vec![codec("PCMU", 0, 0), codec("telephone-event", 126, 126)],
            direction: Direction::SendRecv,
        })
    }

    fn learn(&mut self, description: &LegDescription) {
        let LegDescription::WebRtc { ufrag, password, .. } = description else {
            panic!("not a browser's leg")
        };
        self.relay_ufrag = ufrag.clone();
        self.relay_key = Key::new(password);
    }

    fn check(&mut self, use_candidate: bool) -> Vec<u8> {
        self.check_with(use_candidate, true)
    }

    fn check_with(&mut self, use_candidate: bool, controlling: bool) -> Vec<u8> {
        self.transaction += 1;
        let username = format!("{}:{}", self.relay_ufrag, self.ufrag);
        let check =
            Check { username: &username, transaction: [self.transaction; 12], use_candidate, controlling };
        let mut out = [0; MESSAGE_SIZE];
        let length = check.write(&self.relay_key, &mut out);
        out[..length].to_vec()
    }

    /// Takes a datagram of the engine; what it answers.
    fn receives(&mut self, datagram: &[u8], now: Instant) -> Vec<Vec<u8>> {
        match demux::kind(datagram) {
            Kind::Stun => self.answers.push([datagram[0], datagram[1]]),
            Kind::Dtls => {
                self.dtls.handle_input(datagram, now).unwrap();
                return self.pump(now);
            }
            Kind::Rtp | Kind::Rtcp | Kind::Unknown => panic!("unexpected {datagram:?}"),
        }
        Vec::new()
    }

    fn pump(&mut self, now: Instant) -> Vec<Vec<u8>> {
        self.dtls.handle_timeout(now).unwrap();
        let (mut sent, mut buffer) = (Vec::new(), [0; 2_048]);
        loop {
            match self.dtls.poll_output(&mut buffer) {
                Output::Send(datagram) => sent.push(datagram.to_vec()),
                Output::Certificate(_) => {}
                Output::Keys(profile, material) => self.take_keys(profile, &material),
                Output::Wait(_) => return sent,
            }
        }
    }

    fn take_keys(&mut self, profile: Profile, material: &[u8]) {
        let (keys, salts) = material.split_at(2 * profile.key_length());
        let (client_key, server_key) = keys.split_at(profile.key_length());
        let (client_salt, server_salt) = salts.split_at(profile.salt_length());
        let client = MasterKey::new(profile, client_key, client_salt).unwrap();
        let server = MasterKey::new(profile, server_key, server_salt).unwrap();
        self.keys = Some(match self.role {
            DtlsRole::Active => (Sender::new(&client), Receiver::new(&server)),
            DtlsRole::Passive => (Sender::new(&server), Receiver::new(&client)),
        });
    }

    fn seal(&mut self, packet: &[u8]) -> Vec<u8> {
        let mut buffer = packet.to_vec();
        buffer.resize(packet.len() + OVERHEAD, 0);
        let sealed = self.keys.as_mut().unwrap().0.protect(&mut buffer, 0..packet.len()).unwrap();
        buffer[sealed].to_vec()
    }

    fn open(&mut self, datagram: &[u8]) -> Vec<u8> {
        let mut buffer = datagram.to_vec();
        let length = self.keys.as_mut().unwrap().1.unprotect(&mut buffer).expect("authentic");
        buffer.truncate(length);
        buffer
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// The plain peer.
fn remote() -> RtpRemote {
    RtpRemote { rtp: address("192.0.2.9:6000"), rtcp: address("192.0.2.9:6001") }
}

fn stranger() -> SocketAddr {
    address("192.0.2.66:6000")
}

fn codec(name: &str, receive: u8, send: u8) -> Codec {
    Codec { name: name.to_owned(), clock_rate: 8_000, channels: 1, receive, send }
}

fn rtp_leg(remote: Option<RtpRemote>) -> LegSpec {
    LegSpec::Rtp(RtpLeg {
        interface: None,
        peer: None,
        remote,
        codecs: vec![codec("PCMU", 0, 0), codec("telephone-event", 101, 97)],
        direction: Direction::SendRecv,
        learn: Learn::Never,
    })
}

fn spec(id: &str, revision: u64, a: LegSpec, b: LegSpec) -> SessionSpec {
    SessionSpec { id: SessionId(id.to_owned()), revision, a, b }
}

fn pair_of(description: &LegDescription) -> PortPair {
    let LegDescription::Rtp { rtp, .. } = description else { panic!("not a plain leg") };
    PortPair { range: 0, rtp: rtp.port() }
}

/// The receiver report that a peer answers a sender report with, at once; `heard` is what it says besides.
fn answered(report: &[u8], heard: Block) -> Vec<u8> {
    assert_eq!(report[1], 200);
    let word = |at: usize| u32::from_be_bytes(report[at..at + 4].try_into().unwrap());
    let block = Block { ssrc: word(4), last_report: word(10), delay: 0, ..heard };
    let mut answer = vec![0; 128];
    let length = rtcp::write(&mut answer, 0x1234, None, Some(&block), b"a-plain-peers-id");
    answer.truncate(length);
    answer
}

/// Of what was received.
fn lost(leg: LegStatistics) -> Option<i64> {
    leg.received.quality.map(|quality| quality.lost_packets)
}

/// A packet of PCMU.
fn rtp(sequence: u16, fill: u8) -> Vec<u8> {
    rtp_of(0, sequence, &[fill; 160])
}

fn rtp_of(payload_type: u8, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let header = crate::rtp::Outgoing {
        marker: false,
        payload_type,
        sequence,
        timestamp: u32::from(sequence).wrapping_mul(160),
        ssrc: 0x1234,
    };
    [&header.bytes()[..], payload].concat()
}
