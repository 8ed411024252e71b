//! What is to be found.

use std::net::IpAddr;

use super::Transport;

/// What is to be found. It comes out of the configuration, never out of a message, and so does its transport: nothing is left for
/// NAPTR to say (RFC 3263 §4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub(super) host: Host,
    pub(super) port: Option<u16>,
    pub(super) transport: Transport,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    Address(IpAddr),
    /// Written with a final dot: this name and no other (RFC 1034 §3.1).
    Absolute(String),
    /// To be tried as it stands, and then perhaps as the beginning of a longer name.
    Relative(String),
}

impl Target {
    /// `host` is a name or an address (IPv6 with or without brackets).
    pub fn new(host: &str, port: Option<u16>, transport: Transport) -> Self {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let host = match (bare.parse(), bare.strip_suffix('.')) {
            (Ok(address), _) => Host::Address(IpAddr::to_canonical(&address)),
            (Err(_), Some(absolute)) => Host::Absolute(absolute.to_ascii_lowercase()),
            (Err(_), None) => Host::Relative(bare.to_ascii_lowercase()),
        };
        Self { host, port, transport }
    }

    /// The targets that it may stand for, in the order in which they are to be looked up: as it stands, and, if it has fewer
    /// than `ndots` dots, completed by each of the `search` domains (resolv.conf(5)). None of them is completed further.
    /// A name that is not there by one of them may be by the next; one that was not answered may not, lest a hiccup of a
    /// name server send calls to another domain's host.
    pub fn completions<'a>(&'a self, search: &'a [String], ndots: usize) -> impl Iterator<Item = Self> + 'a {
        let short = match &self.host {
            Host::Relative(name) if name.bytes().filter(|byte| *byte == b'.').count() < ndots => Some(name),
            Host::Relative(_) | Host::Absolute(_) | Host::Address(_) => None,
        };
        let completed = short.into_iter().flat_map(move |name| {
            search.iter().map(move |domain| format!("{name}.{}", domain.trim_matches('.')))
        });
        std::iter::once(self.as_it_stands()).chain(completed.map(|name| self.absolute(name)))
    }

    /// Is it one word, as names are within a domain? Some name servers fail at these instead of saying that there is none.
    pub fn is_single_word(&self) -> bool {
        matches!(&self.host, Host::Relative(name) if !name.contains('.'))
    }

    /// The name that is looked up for it.
    pub fn name(&self) -> Option<&str> {
        match &self.host {
            Host::Address(_) => None,
            Host::Absolute(name) | Host::Relative(name) => Some(name),
        }
    }

    fn as_it_stands(&self) -> Self {
        match &self.host {
            Host::Relative(name) => self.absolute(name.clone()),
            Host::Absolute(_) | Host::Address(_) => self.clone(),
        }
    }

    fn absolute(&self, name: String) -> Self {
        Self { host: Host::Absolute(name), ..self.clone() }
    }
}
