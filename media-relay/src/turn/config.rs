//! What TURN is told at its start.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;

use relay_api::turn::Secret;
use relay_core::turn::{PeerRule, Relayed};

use super::listeners::Bound;
use crate::config::StartError;
use crate::worker::share;

/// The TURN server. Every worker listens at every address; the operating system shares clients out among them. Others come
/// by [`Relay::serve_turn`](crate::Relay::serve_turn).
#[derive(Clone, Debug)]
pub struct TurnConfig {
    /// RFC 8489 §14.9; short ones keep challenges small.
    pub realm: String,
    /// Credentials made with any of them count: several while they are rotated ([`Relay::set_turn_secrets`]).
    ///
    /// [`Relay::set_turn_secrets`]: crate::Relay::set_turn_secrets
    pub secrets: Vec<Secret>,
    /// Where clients reach us by UDP.
    pub udp: Vec<SocketAddr>,
    /// Where clients reach us by TCP.
    pub tcp: Vec<SocketAddr>,
    /// Where clients reach us by TLS; needs `certificate`.
    pub tls: Vec<SocketAddr>,
    /// For TLS connections.
    pub certificate: Option<Arc<rustls::ServerConfig>>,
    /// What clients are told instead of the bound addresses. Our own listeners are never peers.
    pub advertised: Vec<IpAddr>,
    /// Where peers see clients: at most one of each address family.
    pub relayed: Vec<RelayedRange>,
    /// Peers besides our own browser-facing addresses, which are peers always.
    pub peers: Vec<PeerRule>,
    /// Allocations for each user, over all workers; more get 486.
    pub allocations_per_user: u32,
    /// Allocations in all; more get 486.
    pub allocations: u32,
    /// For each allocation and direction, in octets of payload per second; more is dropped.
    pub bytes_per_second: u32,
    /// TCP and TLS connections from one IPv4 address or one IPv6 /64; more are closed at once.
    pub streams_per_address: u32,
    /// TCP and TLS connections in all; more are closed at once.
    pub streams: u32,
}

/// An address and ports for allocations.
#[derive(Clone, Debug)]
pub struct RelayedRange {
    /// Where ports are bound.
    pub bind: IpAddr,
    /// What clients and peers are told. Never the unspecified address.
    pub advertised: IpAddr,
    /// One for each allocation. Shared out among the workers in pairs, even and odd.
    pub ports: RangeInclusive<u16>,
}

impl TurnConfig {
    /// The figures that suit most: 8 allocations a user, 4,000 in all, 125 kB/s each, 64 connections an address,
    /// 4,000 in all. Without listeners.
    pub fn new(realm: &str, secrets: Vec<Secret>, relayed: RelayedRange) -> Self {
        Self {
            realm: realm.to_owned(),
            secrets,
            udp: Vec::new(),
            tcp: Vec::new(),
            tls: Vec::new(),
            certificate: None,
            advertised: Vec::new(),
            relayed: vec![relayed],
            peers: Vec::new(),
            allocations_per_user: 8,
            allocations: 4_000,
            bytes_per_second: 125_000,
            streams_per_address: 64,
            streams: 2_000,
        }
    }

    /// Where clients are to reach it.
    pub(crate) fn addresses(&self) -> Bound {
        Bound { udp: self.udp.clone(), tcp: self.tcp.clone(), tls: self.tls.clone() }
    }

    /// What can be told wrong without asking the operating system.
    pub(crate) fn check(&self) -> Result<(), StartError> {
        let wrong = |what| Err(StartError::Turn { what });
        let listeners = [&self.udp, &self.tcp, &self.tls];
        if self.secrets.is_empty() {
            return wrong("it needs a secret");
        }
        if listeners.iter().any(|addresses| addresses.len() > MOST_LISTENERS) {
            return wrong("it has too many listeners");
        }
        if !self.tls.is_empty() && self.certificate.is_none() {
            return wrong("its TLS listeners need a certificate");
        }
        let of_family =
            |is_ipv4| self.relayed.iter().filter(|one| one.advertised.is_ipv4() == is_ipv4).count();
        if self.relayed.is_empty() || of_family(true) > 1 || of_family(false) > 1 {
            return wrong("it needs one relayed address, or one of each family");
        }
        for relayed in &self.relayed {
            let address = relayed.advertised;
            if address.is_unspecified() || address.is_multicast() {
                return Err(StartError::Advertised { address });
            }
            if address.is_ipv4() != relayed.bind.is_ipv4() {
                return wrong("a relayed address is bound in another family than it is advertised in");
            }
        }
        Ok(())
    }

    /// Whether an allocation could have this address: it would never be a peer.
    pub(crate) fn relays_at(&self, address: SocketAddr) -> bool {
        self.relayed.iter().any(|one| one.advertised == address.ip() && one.ports.contains(&address.port()))
    }

    /// The n-th worker's share of the relayed ports.
    pub(super) fn relayed_of(&self, number: usize, workers: usize) -> Result<Vec<Relayed>, StartError> {
        let too_few =
            StartError::Turn { what: "it needs at least one pair of relayed ports for each worker" };
        let shares = self.relayed.iter().map(|relayed| {
            let ports = share(&relayed.ports, number, workers)?;
            Some(Relayed { advertised: relayed.advertised, ports })
        });
        shares.collect::<Option<_>>().ok_or(too_few)
    }
}

/// Of each kind.
const MOST_LISTENERS: usize = 64;
