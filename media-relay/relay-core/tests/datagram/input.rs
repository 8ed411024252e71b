//! The entry of the fuzz target: the first octet says where the rest arrives and from whom.

#[path = "turn.rs"] // the fuzz target is in another folder
mod turn;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use relay_api::{
    Codec, Direction, DtlsRole, Fingerprint, Learn, LegDescription, LegSpec, RtpLeg, RtpRemote, SessionId,
    SessionSpec, WebRtcLeg, WebRtcRemote,
};
use relay_core::dtls::DimplIdentity;
use relay_core::srtp::{MasterKey, Profile, Receiver};
use relay_core::{Engine, EngineConfig, Interface, Io, PortPair, SocketId, demux, rtcp, rtp, stun};

/// Breaks when a rule is broken.
pub fn run(octets: &[u8]) {
    let Some((way, datagram)) = octets.split_first() else { return };
    parts(datagram);
    if way & TURN != 0 {
        return turn::run(*way, datagram);
    }
    RELAY.with_borrow_mut(|relay| relay.receives(*way, datagram));
}

/// Each parser by itself.
fn parts(datagram: &[u8]) {
    demux::kind(datagram);
    if let Some(request) = stun::Request::parse(datagram) {
        assert!(datagram.len() >= 20 && datagram.len().is_multiple_of(4));
        assert!(!request.is_authentic(&stun::Key::new("nobody knows this password")));
        let mut out = [0; stun::MESSAGE_SIZE];
        let length = request.accept(peer(), &stun::Key::new("ours"), &mut out);
        assert!(length <= 2 * datagram.len(), "amplified");
    }
    if let Some(header) = rtp::Header::parse(datagram) {
        assert!(header.payload.start >= rtp::MINIMUM && header.payload.end <= datagram.len());
        assert_eq!(rtp::header_length(datagram), Some(header.payload.start));
    }
    let mut items = 0;
    rtcp::read(datagram, |_| items += 1);
    assert!(items <= datagram.len() / 24 + datagram.len() / 8);
    for profile in [Profile::AeadAes128Gcm, Profile::Aes128CmSha1] {
        let master = MasterKey::new(profile, &[1; 16], &[2; 14][..profile.salt_length()]).expect("lengths");
        let mut receiver = Receiver::new(&master);
        assert_eq!(receiver.unprotect(&mut datagram.to_vec()), None, "forged");
        assert_eq!(receiver.unprotect_rtcp(&mut datagram.to_vec()), None, "forged");
    }
}

/// A relay with one call that waits for its browser.
struct Relay {
    engine: Engine,
    io: Watch,
    pair: PortPair,
    now: Instant,
}

/// Sees that nothing goes to strangers.
struct Watch;

impl Io for Watch {
    fn open(&mut self, _pair: PortPair) -> bool {
        true
    }

    fn close(&mut self, _pair: PortPair) {}

    fn transmit(&mut self, socket: SocketId, to: SocketAddr, _datagram: &[u8]) {
        assert!(!matches!(socket, SocketId::Mux(_)), "nobody has authenticated");
        assert_eq!(to.ip(), peer().ip());
    }
}

thread_local! {
    static RELAY: RefCell<Relay> = RefCell::new(Relay::new());
}

impl Relay {
    fn new() -> Self {
        let now = Instant::now();
        let config = EngineConfig {
            candidates: vec![stranger()],
            interfaces: vec![Interface {
                name: "trunk".to_owned(),
                networks: Vec::new(),
                advertised: peer().ip(),
                range: 0,
            }],
            ranges: vec![40_000..=40_001],
            identity: Arc::new(DimplIdentity::generate().expect("a certificate")),
            media_timeout: Duration::from_secs(60),
            port_quarantine: Duration::ZERO,
            max_sessions: 1,
            seed: [3; 32],
        };
        let mut engine = Engine::new(config, now);
        let description = engine.put(call(), now, &mut Watch).expect("a session");
        let LegDescription::Rtp { rtp, .. } = description.b else { panic!("a plain leg") };
        Self { engine, io: Watch, pair: PortPair { range: 0, rtp: rtp.port() }, now }
    }

    fn receives(&mut self, way: u8, datagram: &[u8]) {
        let socket = match way & 3 {
            0 => SocketId::Mux(0),
            1 => SocketId::Rtp(self.pair),
            _ => SocketId::Rtcp(self.pair),
        };
        let source = match way & 4 {
            0 => peer(),
            _ => stranger(),
        };
        let mut buffer = datagram.to_vec();
        buffer.resize(datagram.len() + 64, 0);
        self.now += Duration::from_millis(1);
        self.engine.handle_input(socket, source, &mut buffer, datagram.len(), self.now, &mut self.io);
        self.engine.handle_timeout(self.now, &mut self.io);
        while self.engine.poll_event().is_some() {}
        assert_eq!(self.engine.totals().paths, 0);
    }
}

fn call() -> SessionSpec {
    let codec = |name: &str, payload_type| Codec {
        name: name.to_owned(),
        clock_rate: 8_000,
        channels: 1,
        receive: payload_type,
        send: payload_type,
    };
    let codecs = vec![codec("PCMU", 0), codec("telephone-event", 101)];
    let fingerprint = Fingerprint { algorithm: "sha-256".to_owned(), value: vec!["00"; 32].join(":") };
    let browser = WebRtcLeg {
        remote: Some(WebRtcRemote {
            ufrag: "brws".to_owned(),
            password: "a-browser's-password-of-32-chars".to_owned(),
            fingerprints: vec![fingerprint],
        }),
        dtls: DtlsRole::Passive,
        codecs: codecs.clone(),
        direction: Direction::SendRecv,
    };
    let trunk = RtpLeg {
        interface: None,
        peer: None,
        remote: Some(RtpRemote { rtp: peer(), rtcp: peer() }),
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

fn peer() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 9], 6_000))
}

fn stranger() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 66], 6_000))
}

/// Of the first octet: at a TURN listener.
const TURN: u8 = 8;
