//! A relay under control on loopback.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use daemon::config::Addresses;
use media_relay::control::{self, Control, ControlSettings, Protection, ProtectionFiles};
use media_relay::{BrowserListener, Config, Relay, RtpInterface};
use relay_api::control::Epoch;
use relay_api::{Codec, Direction, Learn, LegSpec, RtpLeg, RtpRemote, Service, SessionId, SessionSpec};
use tokio::net::TcpListener;

use crate::client::{Answer, exchange, request};

pub const ORPHANED_AFTER: Duration = Duration::from_secs(120);

pub struct Lab {
    pub control: Control,
    pub at: SocketAddr,
    _folder: Option<tempfile::TempDir>,
}

impl Lab {
    /// Open to all on loopback, with RTP ports of its own and room for this many sessions.
    pub async fn start(ports: RangeInclusive<u16>, max_sessions: usize) -> Self {
        Self::with(ports, max_sessions, Protection::default()).await
    }

    /// Only for who has one of these tokens.
    pub async fn with_tokens(ports: RangeInclusive<u16>, tokens: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokens");
        std::fs::write(&file, tokens).unwrap();
        let files = ProtectionFiles { tokens: Some(&file), ..ProtectionFiles::default() };
        let mut lab = Self::with(ports, 10, Protection::read(files).unwrap()).await;
        lab._folder = Some(folder);
        lab
    }

    pub async fn with(ports: RangeInclusive<u16>, max_sessions: usize, protection: Protection) -> Self {
        let localhost = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let bind = SocketAddr::new(localhost, 0);
        let mut config = Config::new(BrowserListener { bind, advertised: vec![localhost] });
        config.rtp.push(RtpInterface {
            name: "trunk".into(),
            addresses: vec![Addresses::of(localhost)],
            networks: Vec::new(),
            ports,
        });
        config.max_sessions = max_sessions;
        let (relay, events) = Relay::start(config).unwrap();
        let settings = ControlSettings { max_sessions: max_sessions as u64, orphaned_after: ORPHANED_AFTER };
        let control = Control::new(relay, Epoch("first".into()), settings);
        let teller = control.clone();
        tokio::spawn(async move { teller.tell_events(events, |_| {}).await });
        let listener = TcpListener::bind(bind).await.unwrap();
        let at = listener.local_addr().unwrap();
        let protection = Arc::new(ArcSwap::from_pointee(protection));
        let router = control::router(control.clone(), Arc::clone(&protection));
        tokio::spawn(control::serve(listener, router, protection, control.clone()));
        Self { control, at, _folder: None }
    }

    pub async fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        exchange(self.at, &request(method, path, "", body)).await
    }

    pub async fn put(&self, spec: &SessionSpec) -> Answer {
        let body = serde_json::to_string(spec).unwrap();
        self.ask("PUT", &format!("/v1/sessions/{}", spec.id.0), &body).await
    }
}

/// A trunk's leg and an echo behind it.
pub fn echo(id: &str, revision: u64, remote: Option<SocketAddr>) -> SessionSpec {
    let codec = |name: &str, number| Codec {
        name: name.to_owned(),
        clock_rate: 8_000,
        channels: 1,
        receive: number,
        send: number,
    };
    let leg = RtpLeg {
        interface: None,
        peer: None,
        remote: remote.map(|rtp| RtpRemote { rtp, rtcp: rtp }),
        codecs: vec![codec("PCMU", 0), codec("telephone-event", 101)],
        direction: Direction::SendRecv,
        learn: Learn::Never,
    };
    SessionSpec {
        id: SessionId(id.into()),
        revision,
        a: LegSpec::Rtp(leg),
        b: LegSpec::Service(Service::Echo),
    }
}

/// An RTP packet of PCMU (RFC 3550 §5.1).
pub fn sound(sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 160).to_be_bytes());
    packet.extend(7_u32.to_be_bytes());
    packet.extend([0x55; 160]);
    packet
}
