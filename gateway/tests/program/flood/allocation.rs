//! A user's TURN client over UDP (RFC 8656 §7, §8), as much as an allocation takes.

use std::net::{IpAddr, SocketAddr};

use md5::{Digest, Md5};
use ring::hmac;
use serde_json::Value;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::REPEAT;

pub struct TurnClient {
    socket: UdpSocket,
    username: String,
    password: String,
    transaction: u64,
}

/// A response: its type, and the realm and nonce of a challenge.
struct Response {
    kind: [u8; 2],
    realm: Vec<u8>,
    nonce: Vec<u8>,
}

impl TurnClient {
    /// With the credentials that a registered browser was told.
    pub async fn new(from: IpAddr, to: SocketAddr, told: &Value) -> Self {
        let socket = UdpSocket::bind((from, 0)).await.unwrap();
        socket.connect(to).await.unwrap();
        let text = |name: &str| told[name].as_str().unwrap().to_owned();
        Self { socket, username: text("username"), password: text("credential"), transaction: 0 }
    }

    /// Allocates, and lets it go again: a challenge, a success, and the end.
    pub async fn allocates(&mut self) {
        let challenge = self.ask(ALLOCATE, &UDP, None).await;
        assert_eq!(challenge.kind, [0x01, 0x13], "an Allocate without credentials is challenged");
        let granted = self.ask(ALLOCATE, &UDP, Some(&challenge)).await;
        assert_eq!(granted.kind, [0x01, 0x03], "the allocation is granted");
        let ended = self.ask(REFRESH, &NO_LIFETIME, Some(&challenge)).await;
        assert_eq!(ended.kind, [0x01, 0x04], "the allocation ends");
    }

    /// A request with its repeats (RFC 8489 §6.2.1), and the response to it.
    async fn ask(&mut self, kind: [u8; 2], attribute: &[u8], challenge: Option<&Response>) -> Response {
        self.transaction += 1;
        let request = self.request(kind, attribute, challenge);
        let mut buffer = [0; 2_048];
        for _ in 0..SENT {
            self.socket.send(&request).await.unwrap();
            while let Ok(received) = timeout(REPEAT, self.socket.recv(&mut buffer)).await {
                let message = &buffer[..received.unwrap()];
                if message[8..20] == request[8..20] {
                    return Response::parse(message);
                }
            }
        }
        panic!("no answer of TURN to {kind:?}");
    }

    fn request(&self, kind: [u8; 2], attribute: &[u8], challenge: Option<&Response>) -> Vec<u8> {
        let mut message = [&kind[..], &[0, 0], &MAGIC, &[0; 4], &self.transaction.to_be_bytes()].concat();
        message.extend_from_slice(attribute);
        if let Some(Response { realm, nonce, .. }) = challenge {
            for (number, value) in [(0x0006, self.username.as_bytes()), (0x0014, realm), (0x0015, nonce)] {
                push(&mut message, number, value);
            }
            // RFC 8489 §14.5: the length counts the attribute that is about to come.
            set_length(&mut message, 24);
            let realm = String::from_utf8_lossy(realm);
            let key = Md5::digest(format!("{}:{realm}:{}", self.username, self.password));
            let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key);
            let tag = hmac::sign(&key, &message);
            push(&mut message, 0x0008, tag.as_ref());
        }
        set_length(&mut message, 0);
        message
    }
}

impl Response {
    fn parse(message: &[u8]) -> Self {
        let (mut realm, mut nonce) = (Vec::new(), Vec::new());
        let mut rest = &message[20..];
        while let [a, b, c, d, more @ ..] = rest {
            let length = usize::from(u16::from_be_bytes([*c, *d]));
            match u16::from_be_bytes([*a, *b]) {
                0x0014 => realm = more[..length].to_vec(),
                0x0015 => nonce = more[..length].to_vec(),
                _ => {}
            }
            rest = more.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        Self { kind: [message[0], message[1]], realm, nonce }
    }
}

/// RFC 8489 §14: padded to four octets.
fn push(message: &mut Vec<u8>, number: u16, value: &[u8]) {
    message.extend_from_slice(&number.to_be_bytes());
    message.extend_from_slice(&(value.len() as u16).to_be_bytes());
    message.extend_from_slice(value);
    message.resize(message.len().next_multiple_of(4), 0);
}

fn set_length(message: &mut [u8], more: usize) {
    let length = (message.len() - 20 + more) as u16;
    message[2..4].copy_from_slice(&length.to_be_bytes());
}

/// Times that a request is sent, Rc of RFC 8489 §6.2.1.
const SENT: usize = 7;
const MAGIC: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];
const ALLOCATE: [u8; 2] = [0x00, 0x03];
const REFRESH: [u8; 2] = [0x00, 0x04];
/// REQUESTED-TRANSPORT.
const UDP: [u8; 8] = [0x00, 0x19, 0, 4, 17, 0, 0, 0];
/// LIFETIME of 0 s.
const NO_LIFETIME: [u8; 8] = [0x00, 0x0D, 0, 4, 0, 0, 0, 0];
