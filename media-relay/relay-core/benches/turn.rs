//! What TURN costs without system calls: `cargo bench -p relay-core --bench turn`.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "benchmarks")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use divan::{Bencher, black_box};
use hmac::{Hmac, KeyInit, Mac};
use md5::Digest;
use relay_api::turn::{Credentials, Secret};
use relay_core::turn::{Client, Config, Io, LocalPeer, Quotas, Relayed, RelayedPort, Server};
use sha1::Sha1;

fn main() {
    divan::main();
}

const UNIX: u64 = 1_790_000_000;
const ALLOCATE: u8 = 3;
const REFRESH: u8 = 4;
const CHANNEL_BIND: u8 = 9;
const TRANSPORT_UDP: &[u8] = b"\x00\x19\x00\x04\x11\0\0\0";
const NO_LIFETIME: &[u8] = b"\x00\x0d\x00\x04\0\0\0\0";
/// Channel 0x4000 to 127.0.0.1:4000, XORed with the cookie.
const CHANNEL: &[u8] = b"\x00\x0c\x00\x04\x40\0\0\0\x00\x12\x00\x08\0\x01\x2e\xb2\x5e\x12\xa4\x43";

/// Keeps the last message to a client.
#[derive(Default)]
struct Wire(Vec<u8>);

impl Io for Wire {
    fn open(&mut self, _: RelayedPort) -> bool {
        true
    }

    fn close(&mut self, _: RelayedPort) {}

    fn send_to_client(&mut self, _: &Client, message: &[u8]) {
        self.0.clear();
        self.0.extend_from_slice(black_box(message));
    }

    fn send_to_peer(&mut self, _: RelayedPort, _: SocketAddr, payload: &[u8]) {
        black_box(payload);
    }
}

struct Phone {
    server: Server,
    wire: Wire,
    now: Instant,
    client: Client,
    credentials: Credentials,
    nonce: Vec<u8>,
}

impl Phone {
    fn new() -> Self {
        let now = Instant::now();
        let secret = Secret::new("secret").unwrap();
        let credentials = secret.issue("alice", UNIX + 600);
        let localhost = "127.0.0.1".parse().unwrap();
        let config = Config {
            realm: "north".to_owned(),
            secrets: vec![secret],
            relayed: vec![Relayed { advertised: localhost, ports: 50_000..=59_999 }],
            listeners: Vec::new(),
            local: vec![LocalPeer { address: SocketAddr::new(localhost, 4_000), mux: 0 }],
            peers: Vec::new(),
            bytes_per_second: u32::MAX,
            port_quarantine: Duration::ZERO,
            nonce_key: [1; 32],
            seed: [2; 32],
        };
        let server = Server::new(config, Box::new(Quotas::new(100, 100)), now);
        let client = Client::Udp { listener: 0, address: "192.0.2.1:40000".parse().unwrap() };
        let mut phone = Self { server, wire: Wire::default(), now, client, credentials, nonce: Vec::new() };
        phone.sends(&message(ALLOCATE, TRANSPORT_UDP));
        phone.nonce = phone.wire.0[phone.wire.0.len() - 24..].to_vec();
        phone
    }

    fn sends(&mut self, message: &[u8]) {
        black_box(self.server.handle_input(self.client, message, self.now, UNIX, &mut self.wire));
    }

    fn signed(&self, method: u8, attributes: &[u8]) -> Vec<u8> {
        let mut all = attributes.to_vec();
        let parts = [(6, self.credentials.username.as_bytes()), (0x14, b"north"), (0x15, &self.nonce)];
        for (kind, value) in parts {
            all.extend([0, kind, 0, value.len() as u8]);
            all.extend(value);
            all.resize(all.len().next_multiple_of(4), 0);
        }
        let mut message = message(method, &all);
        message[3] += 24;
        let Credentials { username, password } = &self.credentials;
        let key = md5::Md5::digest(format!("{username}:north:{password}"));
        let mut mac = Hmac::<Sha1>::new_from_slice(&key).unwrap();
        mac.update(&message);
        message.extend([0, 8, 0, 20]);
        message.extend(mac.finalize().into_bytes());
        message
    }
}

fn message(method: u8, attributes: &[u8]) -> Vec<u8> {
    let head = [0, method, 0, attributes.len() as u8, 0x21, 0x12, 0xA4, 0x42];
    [&head[..], &[7; 12], attributes].concat()
}

#[divan::bench]
fn allocate_and_release(bencher: Bencher<'_, '_>) {
    let mut phone = Phone::new();
    let (allocate, release) = (phone.signed(ALLOCATE, TRANSPORT_UDP), phone.signed(REFRESH, NO_LIFETIME));
    bencher.bench_local(|| {
        phone.sends(&allocate);
        phone.sends(&release);
    });
    assert!(phone.server.totals().granted > 0);
}

#[divan::bench]
fn channel_data_to_the_engine(bencher: Bencher<'_, '_>) {
    let mut phone = bound();
    let packet = [&[0x40, 0, 0, 172][..], &[0x80; 172]].concat();
    bencher.bench_local(|| phone.sends(black_box(&packet)));
    assert!(phone.server.totals().from_clients > 0);
}

#[divan::bench]
fn channel_data_from_the_engine(bencher: Bencher<'_, '_>) {
    let mut phone = bound();
    phone.sends(&[&[0x40, 0, 0, 172][..], &[0x80; 172]].concat());
    let relayed = (50_000..=59_999).map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let relayed = relayed.into_iter().find(|address| phone.server.relays(*address)).unwrap();
    bencher.bench_local(|| {
        phone.server.from_engine(0, relayed, black_box(&[0x80; 172]), phone.now, &mut phone.wire);
    });
    assert!(phone.server.totals().to_clients > 0);
}

/// With a channel to the engine.
fn bound() -> Phone {
    let mut phone = Phone::new();
    for message in [phone.signed(ALLOCATE, TRANSPORT_UDP), phone.signed(CHANNEL_BIND, CHANNEL)] {
        phone.sends(&message);
    }
    phone
}
