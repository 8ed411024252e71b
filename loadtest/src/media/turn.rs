//! A TURN client (RFC 8656) over UDP: an allocation and a channel.

use super::link::Link;
use super::stun::{Builder, Message, read_xor_address, xor_address};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest, Md5};
use ring::hmac;
use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A client of one TURN server.
pub struct Client {
    link: Link,
    username: String,
    password: String,
    /// Realm and nonce, and the key they give (RFC 8489 §9.2.2).
    challenge: Option<(Vec<u8>, Vec<u8>, [u8; 16])>,
}

impl Client {
    /// A client with credentials made of the server's secret, each a user of its own.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn new(server: SocketAddr, secret: &str, number: usize) -> io::Result<Self> {
        let link = Link::new()?;
        link.connect(server)?;
        link.socket().set_nonblocking(false)?;
        link.socket().set_read_timeout(Some(TIMEOUT))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let username = format!("{}:load{number}", now + 3_600);
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
        let password = BASE64_STANDARD.encode(hmac::sign(&key, username.as_bytes()));
        Ok(Self { link, username, password, challenge: None })
    }

    /// Allocates: first without credentials, as clients do, then with them; the relayed address.
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub fn allocate(&mut self) -> io::Result<SocketAddrV4> {
        let udp = [17, 0, 0, 0];
        if self.challenge.is_none() {
            let answer = self.ask(ALLOCATE, &[(REQUESTED_TRANSPORT, &udp)])?;
            let message = Message::parse(&answer).ok_or_else(|| io::Error::other("no STUN"))?;
            let part = |kind| message.attribute(kind).map(<[u8]>::to_vec);
            let (realm, nonce) = part(REALM)
                .zip(part(NONCE))
                .ok_or_else(|| io::Error::other("the TURN server does not ask for credentials"))?;
            let mut key = Md5::new();
            key.update(self.username.as_bytes());
            key.update(b":");
            key.update(&realm);
            key.update(b":");
            key.update(self.password.as_bytes());
            self.challenge = Some((realm, nonce, key.finalize().into()));
        }
        let answer = self.granted(ALLOCATE, &[(REQUESTED_TRANSPORT, &udp)])?;
        let relayed = Message::parse(&answer).and_then(|message| message.attribute(XOR_RELAYED_ADDRESS));
        relayed.and_then(read_xor_address).ok_or_else(|| io::Error::other("no relayed address"))
    }

    /// Binds the channel to a peer, which permits the peer too.
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub fn bind_channel(&mut self, peer: SocketAddrV4) -> io::Result<()> {
        let [high, low] = CHANNEL.to_be_bytes();
        let attributes: [(u16, &[u8]); 2] =
            [(CHANNEL_NUMBER, &[high, low, 0, 0]), (XOR_PEER_ADDRESS, &xor_address(peer))];
        self.granted(CHANNEL_BIND, &attributes).map(drop)
    }

    /// From now on all goes through the channel.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn into_link(mut self) -> io::Result<Link> {
        self.link.socket().set_nonblocking(true)?;
        self.link.through(CHANNEL);
        Ok(self.link)
    }

    fn granted(&mut self, kind: u16, attributes: &[(u16, &[u8])]) -> io::Result<Vec<u8>> {
        let answer = self.ask(kind, attributes)?;
        match Message::parse(&answer) {
            Some(message) if message.kind == kind | SUCCESS => Ok(answer),
            message => {
                let code = message.and_then(|message| message.attribute(ERROR_CODE)).map(<[u8]>::to_vec);
                Err(io::Error::other(format!("the TURN server refuses {kind:#06x}: {code:?}")))
            }
        }
    }

    /// One request and its answer, repeated when it is lost.
    fn ask(&mut self, kind: u16, attributes: &[(u16, &[u8])]) -> io::Result<Vec<u8>> {
        let mut transaction = [0; 12];
        getrandom::fill(&mut transaction).map_err(io::Error::other)?;
        let mut request = Builder::new(kind, transaction);
        for (kind, value) in attributes {
            request = request.with(*kind, value);
        }
        let request = match &self.challenge {
            None => request.finished(),
            Some((realm, nonce, key)) => request
                .with(USERNAME, self.username.as_bytes())
                .with(REALM, realm)
                .with(NONCE, nonce)
                .with_integrity(key)
                .finished(),
        };
        let mut buffer = [0; 2_048];
        for _ in 0..ATTEMPTS {
            self.link.socket().send(&request)?;
            while let Ok(length) = self.link.socket().recv(&mut buffer) {
                let answer = &buffer[..length];
                if Message::parse(answer).is_some_and(|message| message.transaction == transaction) {
                    return Ok(answer.to_vec());
                }
            }
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "the TURN server does not answer"))
    }
}

const TIMEOUT: Duration = Duration::from_millis(500);
const ATTEMPTS: u32 = 5;
/// RFC 8656 §12: the first one.
const CHANNEL: u16 = 0x4000;

const ALLOCATE: u16 = 0x0003;
const CHANNEL_BIND: u16 = 0x0009;
const SUCCESS: u16 = 0x0100;
const USERNAME: u16 = 0x0006;
const ERROR_CODE: u16 = 0x0009;
const CHANNEL_NUMBER: u16 = 0x000C;
const XOR_PEER_ADDRESS: u16 = 0x0012;
const REALM: u16 = 0x0014;
const NONCE: u16 = 0x0015;
const XOR_RELAYED_ADDRESS: u16 = 0x0016;
const REQUESTED_TRANSPORT: u16 = 0x0019;
