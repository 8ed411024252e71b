//! What the application needs to know, as plain values; `wiring` makes them from the configuration.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use sip_core::auth::Algorithm;
use sip_core::call::{Policy, Ring, Way};
use sip_core::message::Limits;
use sip_core::registrar;
use sip_core::routing::Transport;
use sip_core::sdp::CodecName;
use sip_core::transaction::Timing;

use super::turn::TurnServers;

/// Everything that decides how messages are treated.
#[derive(Clone, Debug)]
pub struct AppSettings {
    /// Domain of all users; also the digest realm.
    pub domain: String,
    /// Digest algorithms offered, strongest first.
    pub algorithms: Vec<Algorithm>,
    /// How long a digest nonce is good.
    pub nonce_lifetime: Duration,
    /// Failed logins a minute, user and address that are judged.
    pub failed_logins_per_minute: u32,
    /// Failed logins a minute and address that are judged, of all users that have not logged in there.
    pub failed_logins_per_address: u32,
    /// How long registrations last, and how many a user has.
    pub registrar: registrar::Policy,
    /// Codecs towards browsers.
    pub browser_codecs: Vec<CodecName>,
    /// Call timing and what crosses from leg to leg.
    pub calls: Policy,
    /// Calls at a time of one user.
    pub calls_per_user: usize,
    /// Where numbers go.
    pub dialplan: Dialplan,
    /// SIP peers.
    pub trunks: Vec<Trunk>,
    /// What registered browsers are told about TURN.
    pub turn: Option<TurnServers>,
    /// Bounds of a message.
    pub limits: Limits,
    /// Transaction timers.
    pub timing: Timing,
    /// Bytes that transactions may hold.
    pub transaction_bytes: usize,
    /// Calls of usual size at a time.
    pub calls_at_a_time: usize,
}

/// Where numbers go.
#[derive(Clone, Debug, Default)]
pub struct Dialplan {
    /// Number that plays back what it hears.
    pub echo: Option<String>,
    /// Number that plays a melody.
    pub tone: Option<String>,
    /// May browsers call each other directly?
    pub between_users: bool,
    /// How the browsers of one user ring.
    pub ring: Ring,
    /// Name of the trunk for every other number.
    pub trunk: Option<String>,
}

/// A SIP peer that is callable and may call.
#[derive(Clone, Debug)]
pub struct Trunk {
    /// For the log and metrics.
    pub name: Arc<str>,
    /// Its hosts as configured, each with its port if there is one; later ones are tried when those before failed. The
    /// first is the host of its Request-URIs.
    pub hosts: Vec<String>,
    /// How it is reached.
    pub transport: Transport,
    /// Our address in Via and Contact towards it: of each family in which it can be reached.
    pub told: Vec<SocketAddr>,
    /// By what its Contact may be followed, and what our Via says there: its own transport, and the others that we have a
    /// listener for and that are no worse.
    pub ways: Vec<Way>,
    /// The relay's interface for its sound; without one the relay goes by its address.
    pub interface: Option<String>,
    /// Codecs, best first.
    pub codecs: Vec<CodecName>,
    /// Where its requests come from.
    pub cidrs: Vec<ipnet::IpNet>,
    /// Which sources of RTP are believed.
    pub learn: relay_api::Learn,
    /// How long an INVITE may stay without any response before the next address is tried.
    pub first_reply: Duration,
    /// Over which transports it is heard.
    pub over: Heard,
}

/// Over which transports a trunk is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Over every listener for trunks.
    OverAll,
    /// It has to show a certificate, so its address alone says nothing.
    OverTlsAlone,
}

impl Trunk {
    /// Is what comes over this transport from an address of its own?
    pub fn is_heard_over(&self, protocol: Transport) -> bool {
        match self.over {
            Heard::OverAll => true,
            Heard::OverTlsAlone => protocol == Transport::Tls,
        }
    }

    /// May requests of this trunk come from `address`? An IPv4 address mapped into IPv6 is judged as IPv4.
    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.cidrs.iter().any(|cidr| cidr.contains(&address))
    }

    /// Can we send there?
    pub fn reaches(&self, address: IpAddr) -> bool {
        self.told.iter().any(|told| told.is_ipv4() == address.is_ipv4())
    }

    /// Our `host:port` in Via and Contact towards this address of it.
    pub fn local(&self, address: IpAddr) -> String {
        let of_family = self.told.iter().find(|told| told.is_ipv4() == address.is_ipv4());
        of_family.or(self.told.first()).map(SocketAddr::to_string).unwrap_or_default()
    }
}
