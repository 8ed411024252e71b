//! The node of production on a seeded machine with a network that loses, repeats, delays and reorders.
//!
//! Whatever happens: both legs of every call end, nothing is left in the store, at the relay or in the transaction
//! layer, CSeq rises, nothing is sent into a dialog that is over, nothing of a browser's leg reaches a trunk.

#![expect(clippy::unwrap_used, reason = "tests")]

mod agent;
mod failover;
mod network;
mod relay;
mod trust;

use std::sync::Arc;
use std::time::Duration;

use gateway::adapters::memory::{Capacity, MemoryStore};
use gateway::app::metrics::Metrics;
use gateway::app::{AppSettings, Dialplan, Heard, Identity, Node, Ports, Trunk};
use gateway::ports::runtime::Runtime;
use gateway::ports::store::{Sizes, StateStore};
use gateway::ports::transport::ConnectionId;
use gateway::ports::users::Users;
use gateway::runtime::sim::Simulated;
use prometheus::Registry;
use sip_core::auth::{Algorithm, NonceSealer, Secret};
use sip_core::call::{Ring, Way};
use sip_core::routing::locate::{Candidate, Servers};
use sip_core::routing::{Sealer, Transport};
use sip_core::sdp::CodecName;

use agent::{Agent, Habits, Persona};
use network::{Faults, Network, Place};
use relay::Books;

/// One world: a node, a trunk and browsers.
struct World {
    machine: Simulated,
    network: Network,
    node: Node<Simulated>,
    store: Arc<MemoryStore>,
    books: Arc<Books>,
    browsers: Vec<Agent>,
    trunk: Agent,
    /// At further addresses of the trunk.
    others: Vec<Agent>,
}

#[test]
fn on_a_good_network_every_call_is_answered_and_ends() {
    let habits = Habits { refuses: 0, never_answers: 0, gives_up: 0, holds: 0, hangs_up: 100 };
    let world = World::new(1, Faults { lost: 0, doubled: 0, delay: 5 }, habits);
    world.live(6);
    world.ends_clean();
    assert!(world.answered() >= 12, "both sides of six calls answer: {}", world.answered());
}

#[test]
fn whatever_the_network_does_every_call_ends_and_nothing_is_left() {
    let mut answered = 0;
    for seed in seeds() {
        let habits = Habits { refuses: 15, never_answers: 10, gives_up: 25, holds: 40, hangs_up: 60 };
        let world = World::new(seed, Faults { lost: 15, doubled: 10, delay: 700 }, habits);
        world.live(4);
        world.ends_clean_with(seed);
        answered += world.answered();
    }
    assert!(answered > 0, "the simulation must reach answered calls");
}

#[test]
fn a_browser_that_vanishes_takes_its_calls_along() {
    for seed in seeds().step_by(4) {
        let habits = Habits { refuses: 0, never_answers: 20, gives_up: 0, holds: 20, hangs_up: 20 };
        let world = World::new(seed, Faults { lost: 5, doubled: 5, delay: 200 }, habits);
        world.call_around(4);
        world.machine.run_for(Duration::from_millis(world.machine.below(12_000)));
        world.network.leave(place_of_browser(0));
        world.machine.run_for(QUIET);
        let left = world.left();
        assert_eq!(left, Left::default(), "seed {seed}");
        assert!(world.trunk.complaints().is_empty(), "seed {seed}: {:?}", world.trunk.complaints());
    }
}

impl World {
    fn new(seed: u64, faults: Faults, habits: Habits) -> Self {
        let machine = Simulated::new(seed);
        let network = Network::new(machine.clone(), faults);
        let store = Arc::new(MemoryStore::new(Capacity { calls: 1_000, users: 1_000 }));
        let books = Arc::new(Books::default());
        let node = Node::new(
            machine.clone(),
            settings(),
            Identity { node: 1, sealer: Sealer::new(1, &[7; 32]), nonces: NonceSealer::new(&[9; 32]) },
            Ports {
                store: Arc::clone(&store) as Arc<dyn StateStore>,
                relay: Arc::clone(&books) as Arc<_>,
                users: Arc::new(Everybody),
                transport: Arc::new(network.clone()),
            },
            Metrics::new(&Registry::new()),
        );
        network.connect_node(node.clone());
        node.trunk_resolved("pbx", 0, &servers(&[TRUNK]));
        let serving = node.clone();
        machine.spawn(async move { serving.serve().await });

        let browser = |i: u64| Persona {
            name: format!("browser{i}"),
            place: place_of_browser(i),
            password: Some("secret".into()),
            habits,
        };
        let browsers: Vec<Agent> =
            (0..3).map(|i| Agent::new(machine.clone(), network.clone(), browser(i))).collect();
        let trunk = Agent::new(machine.clone(), network.clone(), pbx(TRUNK, habits));
        for browser in &browsers {
            browser.register();
        }
        let registered =
            machine.run_until(Duration::from_secs(60), || browsers.iter().all(Agent::is_registered));
        assert!(registered, "seed {seed}: every browser registers");
        Self { machine, network, node, store, books, browsers, trunk, others: Vec::new() }
    }

    /// `calls` calls each way between trunk and browsers and among browsers, one after the other.
    fn live(&self, calls: u64) {
        self.call_around(calls);
        self.machine.run_for(QUIET);
    }

    fn call_around(&self, calls: u64) {
        for i in 0..calls {
            match i % 3 {
                0 => self.browser(i).call("+4930123456"),
                1 => self.trunk.call(&format!("browser{}", i % 3)),
                _ => self.browser(i).call(&format!("browser{}", (i + 1) % 3)),
            }
            self.machine.run_for(Duration::from_millis(self.machine.below(4_000)));
        }
    }

    fn browser(&self, i: u64) -> &Agent {
        &self.browsers[i as usize % self.browsers.len()]
    }

    fn answered(&self) -> u64 {
        self.agents().map(Agent::answered).sum()
    }

    fn agents(&self) -> impl Iterator<Item = &Agent> {
        self.browsers.iter().chain([&self.trunk]).chain(&self.others)
    }

    fn ends_clean(&self) {
        self.ends_clean_with(0);
    }

    fn ends_clean_with(&self, seed: u64) {
        let complaints: Vec<String> = self.agents().flat_map(Agent::complaints).collect();
        assert!(complaints.is_empty(), "seed {seed}:\n{}", complaints.join("\n"));
        assert_eq!(self.left(), Left::default(), "seed {seed}");
        assert_eq!(self.books.wrong(), Vec::<String>::new(), "seed {seed}");
    }

    fn left(&self) -> Left {
        let (store, node) = (Arc::clone(&self.store), self.node.clone());
        let seen = Arc::new(std::sync::Mutex::new(None));
        let result = Arc::clone(&seen);
        self.machine.spawn(async move {
            let Sizes { calls, timers, .. } = store.sizes().await.unwrap();
            let (_, transactions) = node.under_way().await;
            *result.lock().unwrap() = Some((calls, timers, transactions));
        });
        self.machine.run_until(Duration::from_secs(1), || seen.lock().unwrap().is_some());
        let (calls, timers, transactions) = seen.lock().unwrap().expect("the memory store answers at once");
        Left { calls, timers, transactions, sessions: self.books.open() }
    }
}

/// What the resolver finds for a host with these addresses.
fn servers(addresses: &[&str]) -> Servers {
    let to = |address: &&str| Candidate { transport: Transport::Udp, address: address.parse().unwrap() };
    Servers::of_host(addresses.iter().map(to).collect())
}

fn pbx(address: &str, habits: Habits) -> Persona {
    Persona { name: "pbx".into(), place: Place::Udp(address.parse().unwrap()), password: None, habits }
}

/// What is still there.
#[derive(Debug, Default, PartialEq)]
struct Left {
    calls: usize,
    timers: usize,
    transactions: usize,
    sessions: usize,
}

/// Everybody's password is `secret`; users are named `browser…`.
struct Everybody;

impl Users for Everybody {
    fn secret(&self, name: &str) -> Option<Secret> {
        name.starts_with("browser").then(|| Secret::password("secret"))
    }
}

fn settings() -> AppSettings {
    AppSettings {
        domain: "localhost".into(),
        algorithms: vec![Algorithm::Sha256, Algorithm::Md5],
        nonce_lifetime: Duration::from_secs(3_600),
        failed_logins_per_minute: 20,
        failed_logins_per_address: 100,
        registrar: Default::default(),
        browser_codecs: vec![CodecName::Opus, CodecName::Pcmu, CodecName::TelephoneEvent],
        calls: Default::default(),
        calls_per_user: 10,
        dialplan: Dialplan {
            echo: None,
            tone: None,
            between_users: true,
            ring: Ring::InTurn,
            trunk: Some("pbx".into()),
        },
        trunks: vec![Trunk {
            name: "pbx".into(),
            hosts: vec!["pbx.example.com".into()],
            transport: Transport::Udp,
            told: vec!["192.0.2.1:5060".parse().unwrap()],
            ways: vec![Way { transport: Transport::Udp, local: "192.0.2.1:5060".parse().unwrap() }],
            interface: None,
            codecs: vec![CodecName::Pcmu, CodecName::TelephoneEvent],
            cidrs: vec!["203.0.113.0/24".parse().unwrap()],
            learn: relay_api::Learn::Never,
            first_reply: Duration::from_millis(2_400),
            over: Heard::OverAll,
        }],
        turn: None,
        limits: Default::default(),
        timing: Default::default(),
        transaction_bytes: 64 * 1_024 * 1_024,
        calls_at_a_time: 1_000,
    }
}

fn place_of_browser(i: u64) -> Place {
    Place::Connection(ConnectionId(i + 1))
}

/// `SIMULATION_SEED=17` runs one, `SIMULATION_SEEDS=5000` so many.
fn seeds() -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match number("SIMULATION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SIMULATION_SEEDS").unwrap_or(200),
    }
}

const TRUNK: &str = "203.0.113.5:5060";
/// Longer than everything of the gateway and of the agents that ends by a timer: ringing, its CANCEL, a BYE.
const QUIET: Duration = Duration::from_secs(400);
