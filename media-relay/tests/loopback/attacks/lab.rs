//! A relay, a phone, a trunk, and strangers.

use std::net::{SocketAddr, UdpSocket};
use std::ops::RangeInclusive;

use media_relay::{Events, Relay};
use relay_api::{LegDescription, LegStatistics, SessionDescription, SessionSpec};

use super::phone::Phone;
use crate::peer::Peer;
use crate::sound::{Tone, is_tone};
use crate::{relay, rtp_leg, spec};

pub const BROWSER: f64 = 440.0;
pub const TRUNK: f64 = 1_000.0;
pub const STRANGER: f64 = 2_000.0;

pub struct Lab {
    pub relay: Relay,
    pub events: Events,
    pub phone: Phone,
    pub peer: Peer,
    pub spec: SessionSpec,
    pub description: SessionDescription,
    browser_tone: Tone,
    trunk_tone: Tone,
}

impl Lab {
    /// A session of which nothing was sent yet.
    pub async fn start(ports: RangeInclusive<u16>) -> Self {
        let (relay, events) = relay(ports);
        let (mut phone, peer) = (Phone::new().await, Peer::new().await);
        let spec = spec("attacked", 1, phone.leg(), rtp_leg(Some(peer.remote())));
        let description = relay.put(spec.clone()).await.unwrap();
        phone.learn(&description);
        let (browser_tone, trunk_tone) = (Tone::new(BROWSER), Tone::new(TRUNK));
        Self { relay, events, phone, peer, spec, description, browser_tone, trunk_tone }
    }

    /// The same, and connected.
    pub async fn call(ports: RangeInclusive<u16>) -> Self {
        let mut lab = Self::start(ports).await;
        lab.phone.connect(&lab.description).await;
        lab
    }

    /// A later revision, as a re-INVITE makes it.
    pub async fn change(&mut self, change: impl FnOnce(&mut SessionSpec)) {
        self.spec.revision += 1;
        change(&mut self.spec);
        self.description = self.relay.put(self.spec.clone()).await.unwrap();
        self.phone.learn(&self.description);
    }

    /// Twenty frames cross each way; each is heard, and nothing else is.
    pub async fn sound_crosses(&mut self) {
        for _ in 0..20 {
            self.trunk_speaks().await;
            self.browser_speaks().await;
        }
    }

    pub async fn trunk_speaks(&mut self) {
        self.peer.send(self.trunk(), 0, &self.trunk_tone.frame()).await;
        assert!(is_tone(&self.phone.hear().await, TRUNK), "the browser heard somebody else");
    }

    pub async fn browser_speaks(&mut self) {
        let frame = self.browser_tone.frame();
        self.phone.say(&frame).await;
        loop {
            let heard = self.peer.receive().await.payload;
            if heard.iter().any(|code| *code != 0xFF) {
                return assert!(is_tone(&heard, BROWSER), "the trunk heard somebody else");
            }
        }
    }

    /// Waits until the relay has read this many datagrams.
    pub async fn until_read(&self, datagrams: u64) {
        while self.relay.totals().received < datagrams {
            tokio::task::yield_now().await;
        }
    }

    pub async fn statistics(&self) -> [LegStatistics; 2] {
        let statistics = self.relay.statistics(&self.spec.id).await.unwrap();
        [statistics.a, statistics.b]
    }

    /// Where the relay hears the trunk.
    pub fn trunk(&self) -> SocketAddr {
        let LegDescription::Rtp { rtp, .. } = self.description.b else { panic!("not a plain leg") };
        rtp
    }

    /// Where the relay hears browsers.
    pub fn mux(&self) -> SocketAddr {
        self.relay.browser_addresses()[0]
    }
}

/// Packets of what was received.
pub fn lost(leg: LegStatistics) -> Option<i64> {
    leg.received.quality.map(|quality| quality.lost_packets)
}

/// Somebody who knows every port and address, but is not where the SDP says.
pub struct Stranger(UdpSocket);

impl Stranger {
    pub fn new() -> Self {
        Self::at("127.0.0.1:0".parse().unwrap())
    }

    pub fn at(address: SocketAddr) -> Self {
        let socket = UdpSocket::bind(address).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self(socket)
    }

    pub fn sends(&self, datagram: &[u8], to: SocketAddr) {
        self.0.send_to(datagram, to).unwrap();
    }

    /// Octets that came to it.
    pub fn received(&self) -> usize {
        let mut buffer = [0; 2_048];
        std::iter::from_fn(|| self.0.recv_from(&mut buffer).ok()).map(|(length, _)| length).sum()
    }
}
