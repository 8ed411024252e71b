//! A connected call between a browser and a plain peer, whose datagrams go nowhere.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use relay_api::{
    Codec, Direction, DtlsRole, Learn, LegDescription, LegSpec, RtpLeg, RtpRemote, SessionId, SessionSpec,
    WebRtcLeg, WebRtcRemote,
};
use relay_core::dtls::{DimplIdentity, Dtls, Identity, Output};
use relay_core::srtp::{MasterKey, OVERHEAD, Sender};
use relay_core::stun::{Check, Key, MESSAGE_SIZE};
use relay_core::{Engine, EngineConfig, Interface, Io, PortPair, SocketId};

/// A connected call, seen from the driver.
pub struct Call {
    pub now: Instant,
    engine: Engine,
    wire: Wire,
    pair: PortPair,
    check: Vec<u8>,
    sender: Sender,
}

/// Keeps what is sent while the call connects.
#[derive(Default)]
struct Wire {
    kept: Option<Vec<Vec<u8>>>,
    bytes: usize,
}

impl Io for Wire {
    fn open(&mut self, _pair: PortPair) -> bool {
        true
    }

    fn close(&mut self, _pair: PortPair) {}

    fn transmit(&mut self, _socket: SocketId, _to: SocketAddr, datagram: &[u8]) {
        self.bytes += datagram.len();
        if let Some(kept) = &mut self.kept {
            kept.push(datagram.to_vec());
        }
    }
}

impl Call {
    /// ICE and DTLS are done.
    pub fn connected() -> Self {
        let now = Instant::now();
        let identity = DimplIdentity::generate().unwrap();
        let mut engine = Engine::new(config(), now);
        let mut wire = Wire { kept: Some(Vec::new()), bytes: 0 };
        let description = engine.put(session(&identity), now, &mut wire).unwrap();
        let LegDescription::WebRtc { ufrag, password, .. } = &description.a else {
            panic!("a browser's leg")
        };
        let LegDescription::Rtp { rtp, .. } = &description.b else { panic!("a plain leg") };
        let mut out = [0; MESSAGE_SIZE];
        let username = format!("{ufrag}:brws");
        let check =
            Check { username: &username, transaction: [1; 12], use_candidate: true, controlling: true };
        let length = check.write(&Key::new(password), &mut out);
        let check = out[..length].to_vec();
        let mut dtls = identity.start(DtlsRole::Active, now);
        let mut sender = None;
        let mut to_engine = vec![check.clone()];
        while sender.is_none() {
            for datagram in to_engine.drain(..) {
                let mut buffer = datagram.clone();
                buffer.resize(datagram.len() + 64, 0);
                engine.handle_input(SocketId::Mux(0), BROWSER, &mut buffer, datagram.len(), now, &mut wire);
            }
            for datagram in wire.kept.as_mut().unwrap().drain(..).filter(|datagram| datagram[0] >= 20) {
                dtls.handle_input(&datagram, now).unwrap();
            }
            dtls.handle_timeout(now).unwrap();
            sender = pump(&mut *dtls, &mut to_engine).or(sender);
        }
        wire.kept = None;
        let pair = PortPair { range: 0, rtp: rtp.port() };
        Self { now, engine, wire, pair, check, sender: sender.unwrap() }
    }

    pub fn plain_socket(&self) -> SocketId {
        SocketId::Rtp(self.pair)
    }

    /// An authentic ICE check.
    pub fn check(&self) -> Vec<u8> {
        self.check.clone()
    }

    /// A packet under the browser's keys.
    pub fn sealed(&mut self, packet: &[u8]) -> Vec<u8> {
        let mut buffer = packet.to_vec();
        buffer.resize(packet.len() + OVERHEAD, 0);
        let sealed = self.sender.protect(&mut buffer, 0..packet.len()).unwrap();
        buffer.truncate(sealed.end);
        buffer
    }

    /// One datagram through the engine; the bytes that were sent since the beginning must have become more.
    pub fn input(&mut self, socket: SocketId, source: SocketAddr, buffer: &mut [u8], length: usize) {
        let before = self.wire.bytes;
        self.engine.handle_input(socket, source, buffer, length, self.now, &mut self.wire);
        assert!(self.wire.bytes > before, "nothing was sent");
    }
}

/// Takes what the browser's side wants sent, and its keys.
fn pump(dtls: &mut dyn Dtls, sent: &mut Vec<Vec<u8>>) -> Option<Sender> {
    let mut buffer = [0; 2_048];
    let mut sender = None;
    loop {
        match dtls.poll_output(&mut buffer) {
            Output::Send(datagram) => sent.push(datagram.to_vec()),
            Output::Certificate(_) => {}
            Output::Keys(profile, material) => {
                let (keys, salts) = material.split_at(2 * profile.key_length());
                let (key, salt) = (&keys[..profile.key_length()], &salts[..profile.salt_length()]);
                sender = MasterKey::new(profile, key, salt).as_ref().map(Sender::new);
            }
            Output::Wait(_) => return sender,
        }
    }
}

fn config() -> EngineConfig {
    EngineConfig {
        candidates: vec![BROWSER],
        interfaces: vec![Interface {
            name: "trunk".to_owned(),
            networks: Vec::new(),
            advertised: PLAIN_PEER.ip(),
            range: 0,
        }],
        ranges: vec![40_000..=40_001],
        identity: Arc::new(DimplIdentity::generate().unwrap()),
        media_timeout: Duration::from_secs(60),
        port_quarantine: Duration::ZERO,
        max_sessions: 1,
        seed: [3; 32],
    }
}

fn session(identity: &DimplIdentity) -> SessionSpec {
    let codecs = vec![Codec { name: "PCMU".to_owned(), clock_rate: 8_000, channels: 1, receive: 0, send: 0 }];
    let browser = WebRtcLeg {
        remote: Some(WebRtcRemote {
            ufrag: "brws".to_owned(),
            password: "a-browser's-password-of-32-chars".to_owned(),
            fingerprints: vec![identity.fingerprint()],
        }),
        dtls: DtlsRole::Passive,
        codecs: codecs.clone(),
        direction: Direction::SendRecv,
    };
    let trunk = RtpLeg {
        interface: None,
        peer: None,
        remote: Some(RtpRemote { rtp: PLAIN_PEER, rtcp: PLAIN_PEER }),
        codecs,
        direction: Direction::SendRecv,
        learn: Learn::Never,
    };
    SessionSpec {
        id: SessionId("call".to_owned()),
        revision: 1,
        a: LegSpec::WebRtc(browser),
        b: LegSpec::Rtp(trunk),
    }
}

/// 20 ms of G.711.
pub fn rtp(sequence: u16) -> [u8; 172] {
    let mut packet = [0xFF; 172];
    let header = relay_core::rtp::Outgoing {
        marker: false,
        payload_type: 0,
        sequence,
        timestamp: u32::from(sequence).wrapping_mul(160),
        ssrc: 9,
    };
    packet[..12].copy_from_slice(&header.bytes());
    packet
}

pub const BROWSER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7)), 50_000);
pub const PLAIN_PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9)), 6_000);
