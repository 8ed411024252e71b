//! A browser whose every datagram the test decides: made of the relay's own parts, so that a test can stop between ICE
//! and DTLS, and send from its address what somebody who forges that address would.

use std::net::SocketAddr;
use std::time::Instant;

use relay_api::{Direction, DtlsRole, LegDescription, LegSpec, SessionDescription, WebRtcLeg, WebRtcRemote};
use relay_core::demux::{self, Kind};
use relay_core::dtls::{DimplIdentity, Dtls, Identity, Output};
use relay_core::rtp::Outgoing;
use relay_core::srtp::{MasterKey, OVERHEAD, Profile, Receiver, Sender};
use relay_core::stun::{Check, Key, MESSAGE_SIZE};
use tokio::net::UdpSocket;
use tokio::time::timeout_at;

pub struct Phone {
    pub socket: UdpSocket,
    relay: SocketAddr,
    identity: DimplIdentity,
    dtls: Box<dyn Dtls>,
    pub ufrag: String,
    pub relay_ufrag: String,
    relay_password: String,
    transaction: u8,
    keys: Option<(Sender, Receiver)>,
    sequence: u16,
    last_heard: Option<u16>,
}

/// What a datagram of the relay was.
enum Got {
    Stun([u8; 2]),
    Sound(Vec<u8>),
    Other,
}

impl Phone {
    /// A DTLS client that knows nothing of the relay yet.
    pub async fn new() -> Self {
        let identity = DimplIdentity::generate().unwrap();
        Self {
            socket: UdpSocket::bind("127.0.0.1:0").await.unwrap(),
            relay: SocketAddr::from(([127, 0, 0, 1], 0)),
            dtls: identity.start(DtlsRole::Active, Instant::now()),
            identity,
            ufrag: "brws".to_owned(),
            relay_ufrag: String::new(),
            relay_password: String::new(),
            transaction: 0,
            keys: None,
            sequence: 65_500,
            last_heard: None,
        }
    }

    /// The leg as signalling would describe it.
    pub fn leg(&self) -> LegSpec {
        LegSpec::WebRtc(WebRtcLeg {
            remote: Some(WebRtcRemote {
                ufrag: self.ufrag.clone(),
                password: "a/browser/password/of/ice/chars".to_owned(),
                fingerprints: vec![self.identity.fingerprint()],
            }),
            dtls: DtlsRole::Passive,
            codecs: vec![crate::pcmu()],
            direction: Direction::SendRecv,
        })
    }

    /// Takes what signalling would tell of the relay.
    pub fn learn(&mut self, description: &SessionDescription) {
        let LegDescription::WebRtc { ufrag, password, candidates, .. } = &description.a else {
            panic!("not a browser's leg")
        };
        (self.relay_ufrag, self.relay_password) = (ufrag.clone(), password.clone());
        self.relay = candidates[0];
    }

    /// ICE and DTLS.
    pub async fn connect(&mut self, description: &SessionDescription) {
        self.learn(description);
        self.check().await;
        self.shake_hands().await;
    }

    /// A check as this phone sends it.
    pub fn written_check(&mut self) -> Vec<u8> {
        let username = format!("{}:{}", self.relay_ufrag, self.ufrag);
        self.check_as(&username, &self.relay_password.clone())
    }

    /// A check with other credentials.
    pub fn check_as(&mut self, username: &str, password: &str) -> Vec<u8> {
        self.transaction += 1;
        let check =
            Check { username, transaction: [self.transaction; 12], use_candidate: true, controlling: true };
        let mut out = [0; MESSAGE_SIZE];
        let length = check.write(&Key::new(password), &mut out);
        out[..length].to_vec()
    }

    /// Checks its path, nominates it, and waits for the success.
    pub async fn check(&mut self) {
        let check = self.written_check();
        self.send(&check).await;
        while !matches!(self.next().await, Got::Stun([1, 1])) {}
    }

    /// Sends what DTLS has to say now: the ClientHello, if nothing was said yet.
    pub async fn speak_dtls(&mut self) {
        self.dtls.handle_timeout(Instant::now()).unwrap();
        self.flush().await;
    }

    /// Goes on with the handshake to its end.
    pub async fn shake_hands(&mut self) {
        self.speak_dtls().await;
        while self.keys.is_none() {
            self.next().await;
        }
    }

    /// Sends 20 ms of sound.
    pub async fn say(&mut self, payload: &[u8]) {
        let packet = self.sealed(payload);
        self.send(&packet).await;
    }

    /// The next packet of this phone's stream, protected.
    pub fn sealed(&mut self, payload: &[u8]) -> Vec<u8> {
        self.sequence = self.sequence.wrapping_add(1);
        let header = Outgoing {
            marker: false,
            payload_type: 0,
            sequence: self.sequence,
            timestamp: u32::from(self.sequence) * 160,
            ssrc: 7,
        };
        let mut packet = [&header.bytes()[..], payload].concat();
        let clear = 0..packet.len();
        packet.resize(packet.len() + OVERHEAD, 0);
        let sealed = self.keys.as_mut().unwrap().0.protect(&mut packet, clear).unwrap();
        packet[sealed].to_vec()
    }

    /// A receiver report without blocks, protected.
    pub fn sealed_report(&mut self) -> Vec<u8> {
        let mut packet = vec![0x80, 201, 0, 1, 0, 0, 0, 7];
        packet.resize(8 + OVERHEAD, 0);
        let length = self.keys.as_mut().unwrap().0.protect_rtcp(&mut packet, 8).unwrap();
        packet.truncate(length);
        packet
    }

    /// The next sound heard; none may be missing before it.
    pub async fn hear(&mut self) -> Vec<u8> {
        let packet = self.hear_packet().await;
        let sequence = u16::from_be_bytes([packet[2], packet[3]]);
        assert!(self.last_heard.is_none_or(|last| sequence == last.wrapping_add(1)), "a gap");
        self.last_heard = Some(sequence);
        packet[12..].to_vec()
    }

    /// The next packet of sound, whatever was lost before it.
    pub async fn hear_packet(&mut self) -> Vec<u8> {
        loop {
            if let Got::Sound(packet) = self.next().await {
                return packet;
            }
        }
    }

    pub fn send(&self, datagram: &[u8]) -> impl Future<Output = ()> {
        // Not all of the phone can be shared between threads.
        let (socket, relay) = (&self.socket, self.relay);
        async move { _ = socket.send_to(datagram, relay).await.unwrap() }
    }

    /// Takes the relay's next datagram, repeating flights meanwhile.
    async fn next(&mut self) -> Got {
        loop {
            let until = self.flush().await;
            let mut buffer = [0; 2_048];
            match timeout_at(until.into(), self.socket.recv_from(&mut buffer)).await {
                Ok(received) => {
                    let (length, from) = received.unwrap();
                    assert_eq!(from, self.relay);
                    return self.take(&mut buffer[..length]);
                }
                Err(_) => self.dtls.handle_timeout(Instant::now()).unwrap(),
            }
        }
    }

    fn take(&mut self, datagram: &mut [u8]) -> Got {
        match (demux::kind(datagram), &mut self.keys) {
            (Kind::Stun, _) => Got::Stun([datagram[0], datagram[1]]),
            (Kind::Dtls, _) => {
                self.dtls.handle_input(datagram, Instant::now()).unwrap();
                Got::Other
            }
            (Kind::Rtp, Some((_, receiver))) => {
                let length = receiver.unprotect(datagram).expect("authentic");
                Got::Sound(datagram[..length].to_vec())
            }
            (Kind::Rtp | Kind::Rtcp | Kind::Unknown, _) => Got::Other,
        }
    }

    /// Sends what DTLS wants sent; when it wants to be woken.
    async fn flush(&mut self) -> Instant {
        let mut buffer = [0; 2_048];
        loop {
            match self.dtls.poll_output(&mut buffer) {
                Output::Send(datagram) => _ = self.socket.send_to(datagram, self.relay).await.unwrap(),
                Output::Certificate(_) => {}
                Output::Keys(profile, material) => self.keys = Some(keys(profile, &material)),
                Output::Wait(until) => return until,
            }
        }
    }
}

/// RFC 5764 §4.2, as the DTLS client splits it.
fn keys(profile: Profile, material: &[u8]) -> (Sender, Receiver) {
    let (keys, salts) = material.split_at(2 * profile.key_length());
    let (client_key, server_key) = keys.split_at(profile.key_length());
    let (client_salt, server_salt) = salts.split_at(profile.salt_length());
    let master = |key, salt| MasterKey::new(profile, key, salt).unwrap();
    (Sender::new(&master(client_key, client_salt)), Receiver::new(&master(server_key, server_salt)))
}
