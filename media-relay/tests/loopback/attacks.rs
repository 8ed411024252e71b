//! Strangers on the relay's ports: nothing of theirs is heard, nothing is sent to them, the call goes on.

use std::net::{SocketAddr, UdpSocket};

use relay_api::{DtlsRole, LegDescription};

use crate::browser::Browser;
use crate::calls::pace;
use crate::peer::Peer;
use crate::sound::{Tone, is_tone};
use crate::{relay, rtp_leg, spec};

#[tokio::test(flavor = "multi_thread")]
async fn injected_rtp_is_never_heard_and_sound_never_leaks() {
    let (relay, _events) = relay(24_070..=24_079);
    let (mut browser, mut peer) = (Browser::new().await, Peer::new().await);
    let wanted = spec("injected", 1, browser.leg(DtlsRole::Passive), rtp_leg(Some(peer.remote())));
    let description = relay.put(wanted.clone()).await.unwrap();
    let LegDescription::Rtp { rtp: trunk, .. } = description.b else { panic!("not a plain leg") };
    let mux = relay.browser_addresses()[0];
    let mut stranger = Stranger::new().await;

    stranger.attacks(trunk, mux); // before anything
    browser.accept(&description.a, DtlsRole::Passive).await;
    browser.connected().await;
    stranger.attacks(trunk, mux); // while both are silent

    let (mut tone, mut pace, mut heard) = (Tone::new(1_000.0), pace(), 0);
    while heard < 100 {
        tokio::select! {
            _ = pace.tick() => {
                peer.send(trunk, 0, &tone.frame()).await;
                stranger.attacks(trunk, mux); // mid-call
            }
            packet = browser.hear() => {
                assert!(is_tone(&packet.payload, 1_000.0), "the browser heard the stranger");
                heard += 1;
            }
        }
    }
    // All of them are counted, as soon as they are read.
    while relay.statistics(&wanted.id).await.unwrap().b.wrong_source < u64::from(stranger.rtp_sent) {
        tokio::task::yield_now().await;
    }
    assert_eq!(stranger.received(), 0);
}

/// Somebody who knows every port and address, but is not where the SDP says.
struct Stranger {
    socket: UdpSocket,
    peer: Peer,
    rtp_sent: u32,
    tone: Tone,
}

impl Stranger {
    async fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { socket, peer: Peer::new().await, rtp_sent: 0, tone: Tone::new(2_000.0) }
    }

    fn attacks(&mut self, trunk: SocketAddr, mux: SocketAddr) {
        let packet = self.peer.packet(0, &self.tone.frame());
        self.socket.send_to(&packet, trunk).unwrap();
        self.rtp_sent += 1;
        for datagram in [&packet[..], CLIENT_HELLO, BINDING_REQUEST, b"\x80\xc8\x00\x06rubbish"] {
            self.socket.send_to(datagram, mux).unwrap();
        }
    }

    fn received(&self) -> usize {
        let mut buffer = [0; 2_048];
        std::iter::from_fn(|| self.socket.recv_from(&mut buffer).ok()).count()
    }
}

/// The head of a ClientHello: enough to be answered by who answers strangers.
const CLIENT_HELLO: &[u8] =
    b"\x16\xfe\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x36\x01\x00\x00\x2a\x00\x00\x00\x00\
    \x00\x00\x00\x2a\xfe\xfd0123456789abcdef0123456789abcdef\x00\x00\x00\x02\x00\x00\x01\x00";

/// A Binding request without credentials.
const BINDING_REQUEST: &[u8] = b"\x00\x01\x00\x00\x21\x12\xa4\x42abcdefghijkl";
