//! What a relay is told at its start.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::turn::config::TurnConfig;

/// Everything a relay needs to know. Addresses that peers are told come from here alone; none is ever guessed.
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
        if self.workers == 0 || self.workers > MAX_WORKERS {
            return Err(StartError::Workers { max: MAX_WORKERS });
        }
        let advertised = self.browser.iter().flat_map(|listener| &listener.advertised);
        for &address in advertised.chain(self.rtp.iter().map(|interface| &interface.advertised)) {
            if address.is_unspecified() || address.is_multicast() {
                return Err(StartError::Advertised { address });
            }
        }
        for (index, interface) in self.rtp.iter().enumerate() {
            if self.rtp[..index].iter().any(|other| other.name == interface.name) {
                return Err(StartError::DuplicateInterface { name: interface.name.clone() });
            }
        }
        self.turn.as_ref().map_or(Ok(()), TurnConfig::check)
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

/// A range of UDP ports for plain RTP peers.
#[derive(Clone, Debug)]
pub struct RtpInterface {
    /// What `RtpLeg::interface` names.
    pub name: String,
    /// Where ports are bound.
    pub bind: IpAddr,
    /// What peers are told. Never the unspecified address.
    pub advertised: IpAddr,
    /// Used in pairs: even for RTP, the next one for RTCP (RFC 3550 §11). Shared out among the workers.
    pub ports: RangeInclusive<u16>,
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
    /// Too few ports for the workers.
    #[error("the RTP interface {name:?} needs at least one pair of ports, even and odd, for each worker")]
    PortRange {
        /// The interface.
        name: String,
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

/// More threads than any machine this runs on has cores; guards against a slipped digit.
pub(crate) const MAX_WORKERS: usize = 256;
