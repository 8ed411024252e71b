//! `[turn]`: the keys of the TURN server, the same for the relay's program and for the one inside the gateway.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration as Time;

use daemon::config::look;
use daemon::config::{Addresses, Field, PortRange, Reader, Value};
use daemon::section;
use relay_api::turn::Secret;
use relay_core::turn::PeerRule;
use rustls::ServerConfig;

use super::access::read_secrets;
use super::config::{RelayedRange, TurnConfig};
use super::listeners::Bound;

section! {
    /// The TURN server, for browsers whose firewall lets no UDP through ([guide](turn.md)). It runs if it has a listener.
    Turn at "turn" {
        /// Where clients reach it by UDP.
        udp: Vec<SocketAddr> = Vec::new(),
        /// Where clients reach it by TCP.
        tcp: Vec<SocketAddr> = Vec::new(),
        /// Where clients reach it by TLS.
        tls: Vec<SocketAddr> = Vec::new(),
        /// Addresses that clients are told instead of those of the listeners, so that no rule of `peers` covers a listener.
        advertised: Vec<IpAddr> = Vec::new(),
        /// PEM file with the certificate chain of the TLS listeners.
        certificate_file: Option<PathBuf> = None,
        /// PEM file with the private key.
        key_file: Option<PathBuf> = None,
        /// File with the secrets that credentials are made with, one a line, 16 characters or more each: coturn's `static-auth-secret`. Several let them be changed without a gap; the first makes new ones.
        secrets_file: Option<PathBuf> = None,
        /// Name of the realm; with more than eight characters the smallest Allocate gets 400 instead of 401.
        realm: String = "relay".into(),
        /// Where peers see clients.
        relayed_address: Addresses = Addresses { bind: IpAddr::V4(Ipv4Addr::LOCALHOST), advertised: IpAddr::V4(Ipv4Addr::LOCALHOST) },
        /// A UDP port for each allocation.
        relayed_ports: PortRange = PortRange { first: 50_000, last: 59_999 },
        /// Peers besides the relay's own addresses for browsers: those of the other relays of a pool, such as `"192.0.2.16/28:3478-3485"`.
        peers: Vec<Peers> = Vec::new(),
        /// Allocations of one user; more get 486.
        allocations_per_user: u32 = 8,
        /// Allocations in all; more get 486.
        allocations: u32 = 4_000,
        /// Of each allocation and direction; more is dropped.
        bytes_per_second: u32 = 125_000,
        /// TCP and TLS connections from one IPv4 address or one IPv6 /64; more are closed at once.
        connections_per_address: u32 = 64,
        /// TCP and TLS connections in all; more are closed at once.
        connections: u32 = 2_000,
    }
}

/// Peers that the configuration permits, written `network:first-last` or `network:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peers(pub PeerRule);

impl Turn {
    /// Has it a listener of its own?
    pub fn is_on(&self) -> bool {
        !(self.udp.is_empty() && self.tcp.is_empty() && self.tls.is_empty())
    }

    /// Every path in it, for those that are relative.
    pub fn paths(&mut self) -> [&mut Option<PathBuf>; 3] {
        [&mut self.certificate_file, &mut self.key_file, &mut self.secrets_file]
    }

    /// PEM chain and key, if they are named.
    pub fn certificate_files(&self) -> Option<(&Path, &Path)> {
        self.certificate_file.as_deref().zip(self.key_file.as_deref())
    }

    /// Looks at the files that it names.
    pub fn look(&self, reader: &mut Reader, now: Time) {
        look::certificate(reader, "turn", self.certificate_files(), now);
        if let Some(file) = &self.secrets_file {
            look::file(reader, "turn.secrets_file", read_secrets(file).map(drop));
        }
    }

    /// Its listeners over UDP, each with its key.
    pub fn udp_listeners(&self) -> impl Iterator<Item = (&'static str, SocketAddr)> {
        self.udp.iter().map(|at| ("turn.udp", *at))
    }

    /// Its listeners over TCP, each with its key.
    pub fn tcp_listeners(&self) -> impl Iterator<Item = (&'static str, SocketAddr)> {
        let tls = self.tls.iter().map(|at| ("turn.tls", *at));
        self.tcp.iter().map(|at| ("turn.tcp", *at)).chain(tls)
    }

    /// The same, as a relay is told.
    pub fn addresses(&self) -> Bound {
        Bound { udp: self.udp.clone(), tcp: self.tcp.clone(), tls: self.tls.clone() }
    }

    /// What no single key can know.
    pub fn check(&self, reader: &mut Reader) {
        if self.certificate_file.is_some() != self.key_file.is_some() {
            reader.mistake("turn", "certificate_file and key_file go together: set both or neither");
        }
        if self.certificate_file.is_some() && self.tls.is_empty() {
            reader.mistake("turn.certificate_file", "is of no use: only listeners of turn.tls show it");
        }
        if self.realm.chars().count() > MOST_REALM {
            reader.mistake("turn.realm", format!("expected at most {MOST_REALM} characters"));
        }
        let positive = [
            ("allocations_per_user", self.allocations_per_user),
            ("allocations", self.allocations),
            ("bytes_per_second", self.bytes_per_second),
            ("connections_per_address", self.connections_per_address),
            ("connections", self.connections),
        ];
        for (key, _) in positive.iter().filter(|(_, value)| *value == 0) {
            reader.mistake(format!("turn.{key}"), "expected at least 1");
        }
    }

    /// What the relay is started with.
    pub fn config(&self, secrets: Vec<Secret>, certificate: Option<Arc<ServerConfig>>) -> TurnConfig {
        let relayed = RelayedRange {
            bind: self.relayed_address.bind,
            advertised: self.relayed_address.advertised,
            ports: self.relayed_ports.first..=self.relayed_ports.last,
        };
        TurnConfig {
            udp: self.udp.clone(),
            tcp: self.tcp.clone(),
            tls: self.tls.clone(),
            certificate,
            advertised: self.advertised.clone(),
            peers: self.peers.iter().map(|peers| peers.0.clone()).collect(),
            allocations_per_user: self.allocations_per_user,
            allocations: self.allocations,
            bytes_per_second: self.bytes_per_second,
            streams_per_address: self.connections_per_address,
            streams: self.connections,
            ..TurnConfig::new(&self.realm, secrets, relayed)
        }
    }

    /// Whether something differs that counts only after a restart.
    pub fn needs_restart(&self, new: &Self) -> bool {
        let mut fixed = [self.clone(), new.clone()];
        fixed.iter_mut().flat_map(Turn::paths).for_each(|path| *path = None);
        fixed[0] != fixed[1]
    }
}

impl Field for Peers {
    const KIND: &'static str = "CIDR:ports";

    fn read(value: &Value) -> Result<Self, String> {
        let text = String::read(value)?;
        let parsed = text.rsplit_once(':').and_then(|(network, ports)| {
            let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
            let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
            let rule = PeerRule { network: network.parse().ok()?, ports: first..=last };
            (first > 0 && first <= last).then_some(Self(rule))
        });
        parsed.ok_or_else(|| "expected a network and ports such as \"192.0.2.16/28:3478-3485\"".to_owned())
    }

    fn show(&self) -> String {
        let PeerRule { network, ports } = &self.0;
        format!("`\"{network}:{}-{}\"`", ports.start(), ports.end())
    }
}

/// Characters: RFC 8489 §14.9.
const MOST_REALM: usize = 127;
