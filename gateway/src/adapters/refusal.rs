//! Connections that a door does not let in: each is counted by its reason, and told now and then.

use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::Arc;

use daemon::seldom::Seldom;
use tokio::time::Instant;

use super::counters::Counters;

/// Why a connection, or its request for a WebSocket, was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// From outside every trunk's networks.
    Stranger,
    /// Too many connections.
    Full,
    /// Too many connections of its address.
    AddressFull,
    /// A proxy did not say for whom it connects.
    Proxy,
    /// The TLS handshake failed.
    Tls,
    /// The handshakes took too long.
    TooSlow,
    /// No HTTP.
    Http,
    /// A WebSocket is asked for at another path.
    Path,
    /// No opening handshake of a WebSocket (RFC 6455 §4.2.1).
    Handshake,
    /// Another version of WebSocket.
    Version,
    /// A page that may not connect.
    Origin,
    /// The subprotocol is not `sip` (RFC 7118 §4.1).
    Subprotocol,
}

impl Refusal {
    const ALL: [Self; 12] = [
        Self::Stranger,
        Self::Full,
        Self::AddressFull,
        Self::Proxy,
        Self::Tls,
        Self::TooSlow,
        Self::Http,
        Self::Path,
        Self::Handshake,
        Self::Version,
        Self::Origin,
        Self::Subprotocol,
    ];

    /// A word for logs and metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stranger => "stranger",
            Self::Full => "full",
            Self::AddressFull => "address_full",
            Self::Proxy => "proxy",
            Self::Tls => "tls",
            Self::TooSlow => "too_slow",
            Self::Http => "http",
            Self::Path => "path",
            Self::Handshake => "handshake",
            Self::Version => "version",
            Self::Origin => "origin",
            Self::Subprotocol => "subprotocol",
        }
    }

    fn key(self) -> Option<&'static str> {
        match self {
            Self::Stranger => Some("cidrs of [[trunk]]"),
            Self::AddressFull => Some("limits.connections_per_address"),
            Self::Proxy => Some("listen.proxy_protocol"),
            Self::Path => Some("browser.path"),
            Self::Origin => Some("browser.origins"),
            Self::Full
            | Self::Tls
            | Self::TooSlow
            | Self::Http
            | Self::Handshake
            | Self::Version
            | Self::Subprotocol => None,
        }
    }
}

/// What one door refused.
#[derive(Debug)]
pub(crate) struct Refusals {
    listener: Arc<str>,
    counters: Arc<Counters>,
    lines: [Seldom<Instant>; Refusal::ALL.len()],
}

impl Refusals {
    pub(crate) fn new(listener: &Arc<str>, counters: &Arc<Counters>) -> Self {
        Self { listener: Arc::clone(listener), counters: Arc::clone(counters), lines: Default::default() }
    }

    /// One that is worth no line.
    pub(crate) fn count(&self, why: Refusal) {
        self.counters.note_refused(&self.listener, why);
    }

    /// `detail` may be the peer's own words.
    pub(crate) fn note(&self, why: Refusal, remote: SocketAddr, detail: impl Display) {
        self.count(why);
        let line = Refusal::ALL.iter().zip(&self.lines).find(|(reason, _)| **reason == why);
        if let Some(more) = line.and_then(|(_, line)| line.allows(Instant::now())) {
            let (listener, reason) = (&*self.listener, why.as_str());
            let detail: String = detail.to_string().chars().take(LONGEST_DETAIL).collect();
            tracing::info!(listener, reason, %remote, ?detail, key = why.key(), more, "connection refused");
        }
    }
}

/// Characters of a peer's words.
const LONGEST_DETAIL: usize = 200;
