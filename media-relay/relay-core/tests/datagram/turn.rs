//! The TURN server's part of the target: one that nobody has credentials for.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use relay_api::turn::Secret;
use relay_core::turn::{
    Client, Config, Io, LARGEST_FRAME, LocalPeer, Quotas, Relayed, RelayedPort, Server, Totals, frame_length,
};

/// Takes a message: as a datagram, or as what a stream begins with.
pub fn run(way: u8, message: &[u8]) {
    if let Ok(Some(length)) = frame_length(message) {
        assert!((4..=LARGEST_FRAME).contains(&length));
    }
    SERVER.with_borrow_mut(|server| server.receives(way, message));
}

struct Turn {
    server: Server,
    now: Instant,
}

/// Sees that nothing is opened, that strangers get small answers, and peers nothing.
struct Watch {
    client: Client,
    largest: usize,
}

impl Io for Watch {
    fn open(&mut self, _port: RelayedPort) -> bool {
        panic!("nobody has authenticated")
    }

    fn close(&mut self, _port: RelayedPort) {
        panic!("nothing was opened")
    }

    fn send_to_client(&mut self, client: &Client, message: &[u8]) {
        assert_eq!(*client, self.client);
        assert!(message.len() <= self.largest, "amplified");
    }

    fn send_to_peer(&mut self, _port: RelayedPort, _peer: SocketAddr, _payload: &[u8]) {
        panic!("nobody has authenticated")
    }
}

thread_local! {
    static SERVER: RefCell<Turn> = RefCell::new(Turn::new());
}

impl Turn {
    fn new() -> Self {
        let now = Instant::now();
        let config = Config {
            realm: "north".to_owned(),
            secrets: vec![Secret::new("a secret that nobody knows, surely").expect("long enough")],
            relayed: vec![Relayed { advertised: relayed().ip(), ports: 50_000..=50_009 }],
            listeners: vec![SocketAddr::from(([192, 0, 2, 1], 3_478))],
            local: vec![LocalPeer { address: SocketAddr::from(([192, 0, 2, 1], 4_000)), mux: 0 }],
            peers: Vec::new(),
            bytes_per_second: 10_000,
            port_quarantine: Duration::ZERO,
            nonce_key: [9; 32],
            seed: [7; 32],
        };
        Self { server: Server::new(config, Box::new(Quotas::new(3, 8)), now), now }
    }

    fn receives(&mut self, way: u8, message: &[u8]) {
        let address = SocketAddr::from(([192, 0, 2, 66], 6_000));
        let client = match way & 1 {
            0 => Client::Udp { listener: 0, address },
            _ => Client::Stream { id: 1, address },
        };
        let mut io = Watch { client, largest: LARGEST_ANSWER.min(AMPLIFICATION * (message.len() + HEADERS)) };
        self.now += Duration::from_millis(1);
        assert_eq!(self.server.handle_input(client, message, self.now, UNIX, &mut io), None);
        self.server.from_engine(0, relayed(), message, self.now, &mut io);
        self.server.handle_timeout(self.now, &mut io);
        let Totals { allocations, ports, granted, from_clients, .. } = self.server.totals();
        assert_eq!((allocations, ports, granted, from_clients), (0, 0, 0, 0));
    }
}

fn relayed() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 50_000))
}

const UNIX: u64 = 1_790_000_000;
/// On the wire: what is sent for one octet received.
const AMPLIFICATION: usize = 2;
/// IPv4 and UDP.
const HEADERS: usize = 28;
/// A challenge with nonce and realm.
const LARGEST_ANSWER: usize = 160;
