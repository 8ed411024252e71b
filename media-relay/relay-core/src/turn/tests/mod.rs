//! Scripted traces through a server: phones that speak STUN, a driver that only records, a clock that the script moves.
#![expect(clippy::unwrap_used, reason = "tests")]

mod attacks;
mod credentials;
mod relaying;
mod requests;
mod vectors;
mod walk;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use super::message::{LIFETIME, NONCE, REALM, RESERVATION_TOKEN, XOR_PEER_ADDRESS, XOR_RELAYED_ADDRESS};
use super::*;
use crate::stun::{Attribute, ERROR_CODE, Key, USERNAME, Writer, XOR_MAPPED_ADDRESS, read_xor_address};

const UNIX: u64 = 1_790_000_000;
const QUARANTINE: Duration = Duration::from_secs(5);
const RATE: u32 = 10_000;

const BINDING: [u8; 2] = [0, 1];
const ALLOCATE: [u8; 2] = [0, 3];
const REFRESH: [u8; 2] = [0, 4];
const SEND: [u8; 2] = [0, 0x16];
const CREATE_PERMISSION: [u8; 2] = [0, 8];
const CHANNEL_BIND: [u8; 2] = [0, 9];

type Attributes<'a> = &'a [(u16, &'a [u8])];

const TRANSPORT_UDP: (u16, &[u8]) = (0x0019, &[17, 0, 0, 0]);
const EVEN: (u16, &[u8]) = (0x0018, &[0]);
const EVEN_AND_NEXT: (u16, &[u8]) = (0x0018, &[0x80]);
const NO_LIFETIME: (u16, &[u8]) = (LIFETIME, &[0, 0, 0, 0]);

/// A driver that records.
#[derive(Default)]
struct Recorder {
    to_clients: Vec<(Client, Vec<u8>)>,
    to_peers: Vec<(RelayedPort, SocketAddr, Vec<u8>)>,
    open: HashSet<RelayedPort>,
    is_taken: bool,
}

impl Io for Recorder {
    fn open(&mut self, port: RelayedPort) -> bool {
        !self.is_taken && self.open.insert(port)
    }

    fn close(&mut self, port: RelayedPort) {
        assert!(self.open.remove(&port), "closed what was not open");
    }

    fn send_to_client(&mut self, client: &Client, message: &[u8]) {
        self.to_clients.push((*client, message.to_vec()));
    }

    fn send_to_peer(&mut self, port: RelayedPort, peer: SocketAddr, payload: &[u8]) {
        assert!(self.open.contains(&port), "sent from nowhere");
        self.to_peers.push((port, peer, payload.to_vec()));
    }
}

/// A count that the script can look at.
#[derive(Clone)]
struct Shared(Arc<Mutex<Quotas>>);

impl Quota for Shared {
    fn take(&mut self, user: &[u8]) -> bool {
        self.0.lock().unwrap().take(user)
    }

    fn give_back(&mut self, user: &[u8]) {
        self.0.lock().unwrap().give_back(user);
    }
}

struct Rig {
    server: Server,
    io: Recorder,
    quotas: Shared,
    now: Instant,
    start: Instant,
    to_engine: Option<ToEngine>,
}

impl Rig {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config {
            realm: "north".to_owned(),
            secrets: vec![secret("old"), secret("new")],
            relayed: vec![
                Relayed { advertised: ip("198.51.100.1"), ports: 50_000..=50_019 },
                Relayed { advertised: ip("2001:db8::1"), ports: 50_000..=50_009 },
            ],
            listeners: vec![address("198.51.100.1:3478"), address("0.0.0.0:3479")],
            local: vec![
                LocalPeer { address: local(), mux: 0 },
                LocalPeer { address: address("10.0.0.1:4000"), mux: 0 },
                LocalPeer { address: address("[2001:db8::1]:4000"), mux: 1 },
            ],
            peers: vec![PeerRule { network: "203.0.113.0/24".parse().unwrap(), ports: 6_000..=6_999 }],
            bytes_per_second: RATE,
            port_quarantine: QUARANTINE,
            nonce_key: [9; 32],
            seed: [7; 32],
        };
        change(&mut config);
        let now = Instant::now();
        let quotas = Shared(Arc::new(Mutex::new(Quotas::new(3, 8))));
        let server = Server::new(config, Box::new(quotas.clone()), now);
        Self { server, io: Recorder::default(), quotas, now, start: now, to_engine: None }
    }

    fn unix_now(&self) -> u64 {
        UNIX + (self.now - self.start).as_secs()
    }

    /// Hands in a message; what the server sent to the client for it.
    fn receives(&mut self, client: Client, message: &[u8]) -> Option<Vec<u8>> {
        let unix_now = self.unix_now();
        self.to_engine = self.server.handle_input(client, message, self.now, unix_now, &mut self.io);
        let sent = self.io.to_clients.pop();
        assert!(self.io.to_clients.is_empty(), "more than one answer");
        sent.map(|(to, message)| {
            assert_eq!(to, client);
            message
        })
    }

    /// Lets time pass, timer by timer.
    fn after(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.server.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.server.handle_timeout(self.now, &mut self.io);
        }
        self.now = end;
    }

    /// What a client does about a request: it answers a challenge and tries again.
    fn ask(&mut self, phone: &mut Phone, kind: [u8; 2], attributes: Attributes<'_>) -> Reply {
        let reply = self.ask_once(phone, kind, attributes);
        if ![401, 438].contains(&reply.code) || reply.nonce.is_empty() || reply.nonce == phone.nonce {
            return reply;
        }
        phone.nonce = reply.nonce;
        self.ask_once(phone, kind, attributes)
    }

    fn ask_once(&mut self, phone: &mut Phone, kind: [u8; 2], attributes: Attributes<'_>) -> Reply {
        let request = phone.request(kind, attributes);
        let answer = self.receives(phone.client, &request).expect("an answer");
        Reply::read(&answer, &request, Some(&phone.key))
    }

    fn allocate(&mut self, phone: &mut Phone) -> SocketAddr {
        let reply = self.ask(phone, ALLOCATE, &[TRANSPORT_UDP]);
        assert_eq!(reply.code, 0);
        reply.relayed.unwrap()
    }

    fn permit(&mut self, phone: &mut Phone, peer: SocketAddr) -> u16 {
        let peer = phone.next_xor(peer);
        self.ask_once(phone, CREATE_PERMISSION, &[(XOR_PEER_ADDRESS, &peer)]).code
    }

    fn bind(&mut self, phone: &mut Phone, channel: u16, peer: SocketAddr) -> u16 {
        let peer = phone.next_xor(peer);
        let [high, low] = channel.to_be_bytes();
        self.ask_once(phone, CHANNEL_BIND, &[(0x000C, &[high, low, 0, 0]), (XOR_PEER_ADDRESS, &peer)]).code
    }

    fn is_empty(&self) -> bool {
        let totals = self.server.totals();
        (totals.allocations, totals.ports) == (0, 0)
            && self.server.by_client.is_empty()
            && self.server.reservations.is_empty()
            && self.io.open.is_empty()
            && self.quotas.0.lock().unwrap().held() == 0
            && self.server.poll_timeout().is_none()
    }
}

/// A TURN client.
struct Phone {
    client: Client,
    username: String,
    key: Key,
    nonce: Vec<u8>,
    transaction: u8,
}

impl Phone {
    fn new(number: u8, user: &str) -> Self {
        let credentials = secret("new").issue(user, UNIX + 600);
        Self::with(udp(number), &credentials.username, &credentials.password)
    }

    fn with(client: Client, username: &str, password: &str) -> Self {
        Self {
            client,
            username: username.to_owned(),
            key: key(username, "north", password),
            nonce: Vec::new(),
            transaction: 0,
        }
    }

    /// A request with the next transaction id; signed, once a nonce is known.
    fn request(&mut self, kind: [u8; 2], attributes: Attributes<'_>) -> Vec<u8> {
        self.transaction += 1;
        let mut out = [0; 2_048];
        let mut writer = Writer::new(&mut out, kind, [self.transaction; 12]);
        for (kind, value) in attributes {
            writer.attribute(*kind, value);
        }
        if !self.nonce.is_empty() {
            writer.attribute(USERNAME, self.username.as_bytes());
            writer.attribute(REALM, b"north");
            writer.attribute(NONCE, &self.nonce);
            writer.integrity(&self.key);
        }
        let length = writer.end();
        out[..length].to_vec()
    }

    /// An address as the next message would hold it.
    fn next_xor(&self, address: SocketAddr) -> Vec<u8> {
        xor(address, self.transaction + 1)
    }

    fn indication(&mut self, peer: SocketAddr, payload: &[u8]) -> Vec<u8> {
        self.transaction += 1;
        let mut out = [0; 2_048];
        let mut writer = Writer::new(&mut out, SEND, [self.transaction; 12]);
        writer.xor_address(XOR_PEER_ADDRESS, peer);
        writer.attribute(super::message::DATA, payload);
        let length = writer.end();
        out[..length].to_vec()
    }
}

/// An answer; code 0 is success.
#[derive(Debug, Default)]
struct Reply {
    code: u16,
    nonce: Vec<u8>,
    realm: Vec<u8>,
    relayed: Option<SocketAddr>,
    mapped: Option<SocketAddr>,
    lifetime: Option<u32>,
    token: Option<[u8; 8]>,
    unknown: Vec<u8>,
    is_signed: bool,
}

impl Reply {
    /// Breaks when the answer does not fit the request, or is signed with another key.
    fn read(answer: &[u8], request: &[u8], key: Option<&Key>) -> Self {
        assert_eq!(answer[4..20], request[4..20], "another transaction");
        assert_eq!(usize::from(u16::from_be_bytes([answer[2], answer[3]])), answer.len() - 20);
        assert_eq!((answer[0] & 1, answer[1] & 0x0F), (1, request[1] & 0x0F));
        let mut reply = Self::default();
        let transaction = answer[8..20].try_into().unwrap();
        let mut rest = &answer[20..];
        while let Some((attribute, after)) = Attribute::split(rest) {
            let before = &answer[..answer.len() - rest.len()];
            rest = after;
            match attribute.kind {
                ERROR_CODE => {
                    reply.code = u16::from(attribute.value[2]) * 100 + u16::from(attribute.value[3])
                }
                NONCE => reply.nonce = attribute.value.to_vec(),
                REALM => reply.realm = attribute.value.to_vec(),
                XOR_RELAYED_ADDRESS => reply.relayed = read_xor_address(attribute.value, &transaction),
                XOR_MAPPED_ADDRESS => reply.mapped = read_xor_address(attribute.value, &transaction),
                LIFETIME => reply.lifetime = Some(u32::from_be_bytes(attribute.value.try_into().unwrap())),
                RESERVATION_TOKEN => reply.token = Some(attribute.value.try_into().unwrap()),
                0x000A => reply.unknown = attribute.value.to_vec(),
                0x0008 => {
                    reply.is_signed = true;
                    assert!(key.unwrap().made(attribute.value.try_into().unwrap(), before), "another key");
                }
                0x8028 => assert!(crate::stun::is_fingerprint(attribute.value, before)),
                other => panic!("unexpected attribute {other:#06x}"),
            }
        }
        assert_eq!(answer[1] & 0x10 != 0, reply.code != 0, "class and ERROR-CODE");
        reply
    }
}

fn xor(address: SocketAddr, transaction: u8) -> Vec<u8> {
    let mut out = [0; 64];
    let mut writer = Writer::new(&mut out, BINDING, [transaction; 12]);
    writer.xor_address(XOR_PEER_ADDRESS, address);
    let length = writer.end();
    out[24..length].to_vec()
}

fn channel_data(channel: u16, payload: &[u8]) -> Vec<u8> {
    [&super::channel::header(channel, payload.len() as u16), payload].concat()
}

fn key(username: &str, realm: &str, password: &str) -> Key {
    use md5::Digest;
    Key::of(&md5::Md5::digest(format!("{username}:{realm}:{password}")))
}

fn secret(text: &str) -> Secret {
    Secret::new(text).unwrap()
}

fn udp(number: u8) -> Client {
    Client::Udp { listener: 0, address: SocketAddr::from(([192, 0, 2, number], 40_000)) }
}

fn stream(id: u64) -> Client {
    Client::Stream { id, address: address("192.0.2.99:40000") }
}

/// A media address of this process.
fn local() -> SocketAddr {
    address("198.51.100.1:4000")
}

/// A peer that the configuration lists.
fn listed() -> SocketAddr {
    address("203.0.113.5:6000")
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}
