//! What was found, and the order in which a call tries it: RFC 2782, RFC 3263 §4.2.

use std::cmp::Reverse;
use std::net::SocketAddr;

use super::Transport;

/// The servers of a target, as its zone has them. Each call draws an order of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Servers {
    /// The lowest priority first.
    pub(super) groups: Vec<Group>,
    pub(super) step: Step,
}

/// By which step of RFC 3263 servers were found, the best first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// By SRV records.
    Service,
    /// By the addresses of the name itself.
    #[default]
    Host,
}

/// Servers of one priority, among which calls are spread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group(pub(super) Vec<Server>);

/// A server with its addresses, in the order to be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) weight: u16,
    pub(super) candidates: Vec<Candidate>,
}

/// Somewhere to send to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Candidate {
    /// How.
    pub transport: Transport,
    /// Where.
    pub address: SocketAddr,
}

impl Servers {
    /// A host's addresses, in the order to be tried.
    pub fn of_host(candidates: Vec<Candidate>) -> Self {
        Self { groups: vec![Group(vec![Server { weight: 0, candidates }])], step: Step::Host }
    }

    /// The addresses for one call, best first, each once, [`MOST_CANDIDATES`] at most. `random` gives uniform 32-bit
    /// numbers.
    pub fn draw(&self, mut random: impl FnMut() -> u32) -> Vec<Candidate> {
        listed(self.groups.iter().flat_map(|group| group.draw(&mut random)))
    }

    /// The same without chance, for the log: among equals the likeliest first.
    pub fn by_weight(&self) -> Vec<Candidate> {
        listed(self.groups.iter().flat_map(|Group(servers)| {
            let mut servers: Vec<&Server> = servers.iter().collect();
            servers.sort_by_key(|server| Reverse(server.weight));
            servers
        }))
    }

    /// Is this one of their addresses?
    pub fn contains(&self, address: SocketAddr) -> bool {
        let mut servers = self.groups.iter().flat_map(|Group(servers)| servers);
        servers.any(|server| server.candidates.iter().any(|candidate| candidate.address == address))
    }

    /// By which step they were found.
    pub fn step(&self) -> Step {
        self.step
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.groups.iter().all(|Group(servers)| servers.iter().all(|server| server.candidates.is_empty()))
    }
}

impl Group {
    /// RFC 2782, "Usage rules": at random by weight.
    fn draw(&self, random: &mut dyn FnMut() -> u32) -> Vec<&Server> {
        let mut left: Vec<&Server> = self.0.iter().collect();
        // Those of weight 0 stand first, so that they have a small chance at all.
        left.sort_by_key(|server| server.weight != 0);
        let mut order = Vec::with_capacity(left.len());
        while left.len() > 1 {
            order.push(left.remove(drawn(&left, random)));
        }
        order.append(&mut left);
        order
    }
}

/// The place of the first whose running sum reaches a number drawn from 0 to the sum of all weights.
fn drawn(left: &[&Server], random: &mut dyn FnMut() -> u32) -> usize {
    let sum: u64 = left.iter().map(|server| u64::from(server.weight)).sum();
    // At most 32 weights of 16 bits: the product stays below 2^54.
    let drawn = (u64::from(random()) * (sum + 1)) >> 32;
    let mut running = 0;
    left.iter()
        .map(|server| {
            running += u64::from(server.weight);
            running
        })
        .position(|reached| reached >= drawn)
        .unwrap_or(0)
}

fn listed<'a>(servers: impl Iterator<Item = &'a Server>) -> Vec<Candidate> {
    let mut list = Vec::new();
    for candidate in servers.flat_map(|server| &server.candidates) {
        if list.len() < MOST_CANDIDATES && !list.contains(candidate) {
            list.push(*candidate);
        }
    }
    list
}

/// Addresses that are ever tried for one name.
pub const MOST_CANDIDATES: usize = 32;
