//! What a relay is told at its start.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use daemon::config::Addresses;
use ipnet::IpNet;
use relay_core::Interface;

use crate::bound::{ListenerKind, Refused};
use crate::turn::Bound as TurnAddresses;
use crate::turn::config::TurnConfig;

/// Everything a relay needs to know. Addresses that peers are told come from here alone.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where browsers reach us: one socket per worker for each entry. At least one.
    pub browser: Vec<BrowserListener>,
    /// Where plain RTP peers reach us. Empty if there are none.
    pub rtp: Vec<RtpInterface>,
    /// Silence on a leg that should speak, after which `MediaTimeout` is told.
    pub media_timeout: Duration,
    /// How long a port rests before another session gets it.
    pub port_quarantine: Duration,
    /// Over all workers; more are refused with `RelayError::Full`.
    pub max_sessions: usize,
    /// Worker threads, at least one.
    pub workers: usize,
    /// The TURN server, if there is to be one.
    pub turn: Option<TurnConfig>,
}

impl Config {
    /// The figures that suit most: 60 s of silence, 5 s of port rest, 4,000 sessions, one worker.
    pub fn new(browser: BrowserListener) -> Self {
        Self {
            browser: vec![browser],
            rtp: Vec::new(),
            media_timeout: Duration::from_secs(60),
            port_quarantine: Duration::from_secs(5),
            max_sessions: 4_000,
            workers: 1,
            turn: None,
        }
    }

    /// What can be told wrong without asking the operating system.
    pub(crate) fn check(&self) -> Result<(), StartError> {
        if self.browser.iter().all(|listener| listener.advertised.is_empty()) {
            return Err(StartError::NoBrowserListener);
        }
        if self.browser.len() > MAX_ADDRESSES || self.interfaces().len() > MAX_ADDRESSES {
            return Err(StartError::TooManyAddresses { max: MAX_ADDRESSES });
        }
        if self.workers == 0 || self.workers > MAX_WORKERS {
            return Err(StartError::Workers { max: MAX_WORKERS });
        }
        let advertised = self.browser.iter().flat_map(|listener| &listener.advertised);
        let of_rtp = self.rtp.iter().flat_map(|interface| &interface.addresses).map(|one| &one.advertised);
        for &address in advertised.chain(of_rtp) {
            if address.is_unspecified() || address.is_multicast() {
                return Err(StartError::Advertised { address });
            }
        }
        for (index, interface) in self.rtp.iter().enumerate() {
            if self.rtp[..index].iter().any(|other| other.name == interface.name) {
                return Err(StartError::DuplicateInterface { name: interface.name.clone() });
            }
        }
        let ranges = self.ranges();
        for (index, range) in ranges.iter().enumerate() {
            if let Some(other) = ranges[..index].iter().find(|other| range.is_in_the_way_of(other)) {
                return Err(StartError::Overlap { one: other.clone(), other: range.clone() });
            }
        }
        self.turn.as_ref().map_or(Ok(()), TurnConfig::check)
    }

    /// Where TURN clients are to reach it.
    pub(crate) fn turn_addresses(&self) -> TurnAddresses {
        self.turn.as_ref().map(TurnConfig::addresses).unwrap_or_default()
    }

    /// The ports of all interfaces, each range once.
    pub(crate) fn ranges(&self) -> Vec<BoundRange> {
        let mut ranges = Vec::new();
        for range in self.rtp.iter().flat_map(RtpInterface::ranges) {
            if !ranges.contains(&range) {
                ranges.push(range);
            }
        }
        ranges
    }

    /// The interfaces as the engine knows them, with their places in [`Config::ranges`].
    pub(crate) fn interfaces(&self) -> Vec<Interface> {
        let ranges = self.ranges();
        let addresses = self.rtp.iter().flat_map(|interface| {
            interface
                .addresses
                .iter()
                .zip(interface.ranges())
                .map(move |(one, range)| (interface, one, range))
        });
        let interface = |(interface, address, range): (&RtpInterface, &Addresses, BoundRange)| Interface {
            name: interface.name.clone(),
            networks: interface.networks.clone(),
            advertised: address.advertised,
            range: ranges.iter().position(|one| *one == range).unwrap_or_default() as u8,
        };
        addresses.map(interface).collect()
    }
}

/// A UDP address shared by all browsers of a worker (ICE, DTLS, SRTP: RFC 7983).
#[derive(Clone, Debug)]
pub struct BrowserListener {
    /// The first worker binds this, the next one the port after it; port 0 takes any port for each.
    pub bind: SocketAddr,
    /// What browsers are told, best first, with the port that was bound. Never the unspecified address.
    pub advertised: Vec<IpAddr>,
}

/// Addresses and UDP ports for some of the plain RTP peers.
#[derive(Clone, Debug)]
pub struct RtpInterface {
    /// What `RtpLeg::interface` names.
    pub name: String,
    /// Where ports are bound and what peers are told: one address, or one of each family.
    pub addresses: Vec<Addresses>,
    /// The peers that it is for, by `RtpLeg::peer`; the longest prefix counts. An interface without networks is for those
    /// that no other is for.
    pub networks: Vec<IpNet>,
    /// Used in pairs: even for RTP, the next one for RTCP (RFC 3550 §11). Shared out among the workers; shared with
    /// interfaces that have the same ports at the same bound address.
    pub ports: RangeInclusive<u16>,
}

impl RtpInterface {
    /// In the order of its addresses.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = BoundRange> {
        self.addresses.iter().map(|one| BoundRange { bind: one.bind, ports: self.ports.clone() })
    }
}

/// Ports at one of this machine's addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundRange {
    /// The address; the unspecified one stands for all of its family.
    pub bind: IpAddr,
    /// The ports.
    pub ports: RangeInclusive<u16>,
}

impl BoundRange {
    /// Have they ports in common without being the same?
    pub(crate) fn is_in_the_way_of(&self, other: &Self) -> bool {
        let (a, b) = (&self.ports, &other.ports);
        self != other && is_same_place(self.bind, other.bind) && a.start() <= b.end() && b.start() <= a.end()
    }
}

impl fmt::Display for BoundRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {} of {}", self.ports.start(), self.ports.end(), self.bind)
    }
}

/// Can a port not be bound at both?
pub fn is_same_place(a: IpAddr, b: IpAddr) -> bool {
    a == b || (a.is_ipv4() == b.is_ipv4() && (a.is_unspecified() || b.is_unspecified()))
}

/// Why the relay could not start: the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No address for browsers.
    #[error("no address for browsers is configured")]
    NoBrowserListener,
    /// An address that no peer can send to.
    #[error("{address} cannot be advertised to peers; configure an address they can reach")]
    Advertised {
        /// The offender.
        address: IpAddr,
    },
    /// Two interfaces of the same name.
    #[error("the RTP interface {name:?} is configured twice")]
    DuplicateInterface {
        /// The name.
        name: String,
    },
    /// Two interfaces that take each other's ports.
    #[error("the ports {one} and {other} overlap; they have to be the same or apart")]
    Overlap {
        /// Of the first.
        one: BoundRange,
        /// Of the second.
        other: BoundRange,
    },
    /// More than sockets can be told apart.
    #[error("a relay has at most {max} addresses for browsers and {max} for RTP")]
    TooManyAddresses {
        /// The most.
        max: usize,
    },
    /// Too few ports for the workers.
    #[error("the ports {range} are too few: each worker needs a pair, even and odd")]
    PortRange {
        /// The ports.
        range: BoundRange,
    },
    /// No worker.
    #[error("a relay needs between 1 and {max} workers")]
    Workers {
        /// The most.
        max: usize,
    },
    /// The operating system refused the socket.
    #[error("cannot bind {address} for browsers: {source}")]
    Bind {
        /// What was tried.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// Something is missing for TURN.
    #[error("TURN cannot start: {what}")]
    Turn {
        /// What.
        what: &'static str,
    },
    /// The operating system refused a socket for TURN.
    #[error("cannot bind {address} for TURN: {source}")]
    BindTurn {
        /// What was tried.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// No epoll, no thread, or no randomness.
    #[error("the operating system refused: {0}")]
    System(#[from] io::Error),
    /// The key or certificate could not be made.
    #[error("no DTLS certificate could be made: {0}")]
    Certificate(String),
}

impl From<Refused> for StartError {
    fn from(Refused { listener, address, error: source }: Refused) -> Self {
        match listener {
            ListenerKind::Browser => Self::Bind { address, source },
            ListenerKind::TurnUdp | ListenerKind::TurnTcp | ListenerKind::TurnTls => {
                Self::BindTurn { address, source }
            }
        }
    }
}

/// The least that [`Config::media_timeout`] may be where it is configured: a pause in what is said is no silence.
pub const MIN_MEDIA_TIMEOUT: Duration = Duration::from_secs(1);
/// More threads than any machine this runs on has cores; guards against a slipped digit.
pub(crate) const MAX_WORKERS: usize = 256;
/// Of each kind: an octet counts them.
const MAX_ADDRESSES: usize = 256;
