//! When two URIs are the same (RFC 3261 §19.1.4, RFC 5954 §4.2).
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{Scheme, Uri, host_ip, unescape};
use crate::message::Params;

impl Uri<'_> {
    /// Equivalence as RFC 3261 §19.1.4 and RFC 5954 §4.2 define it. It is not transitive.
    pub fn equivalent(&self, other: &Uri<'_>) -> bool {
        self.scheme.same(other.scheme)
            && same_unescaped(self.user, other.user)
            && same_unescaped(self.password, other.password)
            && same_host(self.host, other.host)
            && self.port == other.port
            && same_params(self.params, other.params)
            && same_headers(self.headers, other.headers)
    }
}

impl Scheme<'_> {
    fn same(self, other: Scheme<'_>) -> bool {
        match (self, other) {
            (Scheme::Sip, Scheme::Sip) | (Scheme::Sips, Scheme::Sips) | (Scheme::Tel, Scheme::Tel) => true,
            (Scheme::Other(a), Scheme::Other(b)) => a.eq_ignore_ascii_case(b),
            (Scheme::Sip | Scheme::Sips | Scheme::Tel | Scheme::Other(_), _) => false,
        }
    }
}

fn same_unescaped(a: Option<&str>, b: Option<&str>) -> bool {
    a.map(unescape) == b.map(unescape)
}

// RFC 5954 §4.2: addresses are equal when their octets are, however they are written.
fn same_host(a: &str, b: &str) -> bool {
    match (host_ip(a), host_ip(b)) {
        (Some(a), Some(b)) => a == b,
        (Some(_), None) | (None, Some(_)) => false,
        (None, None) => unescape(a).eq_ignore_ascii_case(&unescape(b)),
    }
}

// RFC 3261 §19.1.4: these must be on both sides or on none; any other that is on one side only is ignored.
const BOTH_OR_NONE: [&str; 5] = ["user", "ttl", "method", "maddr", "transport"];

fn same_params(a: Params<'_>, b: Params<'_>) -> bool {
    let (a, b) = (sorted_params(a), sorted_params(b));
    agrees(&a, &b) && agrees(&b, &a)
}

type Sorted = Vec<(String, String)>;

/// RFC 3261 §19.1.1 allows a name once; of several the first counts.
fn sorted_params(params: Params<'_>) -> Sorted {
    let mut sorted: Vec<_> = params
        .iter()
        .map(|(name, value)| {
            (unescape(name).to_ascii_lowercase(), unescape(value.unwrap_or("")).to_ascii_lowercase())
        })
        .collect();
    sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
    sorted.dedup_by(|(later, _), (first, _)| later == first);
    sorted
}

fn agrees(a: &Sorted, b: &Sorted) -> bool {
    a.iter().all(|(name, value)| match b.binary_search_by(|(candidate, _)| candidate.as_str().cmp(name)) {
        Ok(at) => b.get(at).is_some_and(|(_, other)| other == value),
        Err(_) => !BOTH_OR_NONE.contains(&name.as_str()),
    })
}

fn same_headers(a: Option<&str>, b: Option<&str>) -> bool {
    let sorted = |headers: Option<&str>| {
        let mut pieces: Vec<_> = headers
            .unwrap_or("")
            .split('&')
            .map(|piece| {
                let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
                (unescape(name).to_ascii_lowercase(), unescape(value).into_owned())
            })
            .collect();
        pieces.sort_unstable();
        pieces
    };
    sorted(a) == sorted(b)
}
