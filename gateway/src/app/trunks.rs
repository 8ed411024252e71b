//! The trunks as this node sees them: whose addresses are trusted, where each is now, which address failed lately.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sip_core::call::MAX_CANDIDATES;
use sip_core::time::Instant;

use super::Trunk;

pub(super) struct Trunks {
    trunks: Vec<State>,
}

struct State {
    trunk: Trunk,
    /// Of all its hosts, in the order of the hosts.
    addresses: Mutex<Vec<Address>>,
}

#[derive(Clone)]
struct Address {
    /// Index of the host that it was found for.
    host: usize,
    address: SocketAddr,
    rest: Rest,
}

/// Whether calls may go to an address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rest {
    /// They may.
    None,
    /// It failed: not before this unless every other one failed too (RFC 3263 §4.3).
    Failed(Instant),
    /// It asked for it: not before this at all (RFC 3261 §21.5.4).
    Asked(Instant),
}

impl Trunks {
    pub(super) fn new(trunks: &[Trunk]) -> Self {
        let state = |trunk: &Trunk| State { trunk: trunk.clone(), addresses: Mutex::default() };
        Self { trunks: trunks.iter().map(state).collect() }
    }

    /// The trunk whose requests may come from this address.
    pub(super) fn trusting(&self, address: IpAddr) -> Option<&Trunk> {
        self.trunks.iter().map(|state| &state.trunk).find(|trunk| trunk.trusts(address))
    }

    pub(super) fn named(&self, name: &str) -> Option<&Trunk> {
        self.state(name).map(|state| &state.trunk)
    }

    /// RFC 5922 §7.2: the certificate must be for the name that was configured, not for what DNS made of it.
    pub(super) fn server_name(&self, name: &str, address: SocketAddr) -> Option<Arc<str>> {
        let state = self.state(name)?;
        let at = lock(&state.addresses).iter().find(|a| a.address == address).map_or(0, |a| a.host);
        let host = state.trunk.hosts.get(at)?;
        let bare = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
        let host = bare.map_or(host.as_str(), |(host, _)| host);
        Some(host.trim_start_matches('[').trim_end_matches(']').into())
    }

    /// What the resolver found for one of the trunk's hosts, best first. An address that failed lately stays so; one of a
    /// family in which we cannot send does not count.
    pub(super) fn resolved(&self, name: &str, host: usize, found: &[SocketAddr]) {
        let Some(state) = self.state(name) else { return };
        let canonical = |address: &SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        let found: Vec<SocketAddr> = found.iter().map(canonical).collect();
        if !found.is_empty() && !found.iter().any(|address| state.trunk.reaches(address.ip())) {
            tracing::warn!(trunk = name, ?found, "no listener sends to addresses of this family");
        }
        let mut addresses = lock(&state.addresses);
        let rest = |address| addresses.iter().find(|a| a.address == address).map_or(Rest::None, |a| a.rest);
        let found: Vec<Address> = found
            .iter()
            .filter(|address| state.trunk.reaches(address.ip()))
            .take(MAX_ADDRESSES)
            .map(|&address| Address { host, address, rest: rest(address) })
            .collect();
        addresses.retain(|a| a.host != host);
        addresses.extend(found);
        addresses.sort_by_key(|a| a.host);
    }

    /// Where to send a new call, best first: the addresses that did not fail lately, or else the one that failed first.
    pub(super) fn candidates(&self, name: &str, now: Instant) -> Vec<SocketAddr> {
        let Some(state) = self.state(name) else { return Vec::new() };
        let addresses = lock(&state.addresses);
        let ready = addresses.iter().filter(|a| a.rest.is_over(now)).map(|a| a.address);
        let ready: Vec<SocketAddr> = ready.take(MAX_CANDIDATES).collect();
        if !ready.is_empty() {
            return ready;
        }
        let failed = addresses.iter().filter(|a| matches!(a.rest, Rest::Failed(_)));
        failed.min_by_key(|a| a.rest).map(|a| a.address).into_iter().collect()
    }

    /// An address did not answer, or asked not to be called for so many seconds.
    pub(super) fn pass_over(&self, address: SocketAddr, seconds: Option<u32>, now: Instant) {
        let rest = match seconds {
            Some(seconds) => Rest::Asked(now + Duration::from_secs(seconds.into()).min(LONGEST_REST)),
            None => Rest::Failed(now + REST),
        };
        for state in &self.trunks {
            for known in lock(&state.addresses).iter_mut().filter(|a| a.address == address) {
                known.rest = rest;
            }
        }
    }

    fn state(&self, name: &str) -> Option<&State> {
        self.trunks.iter().find(|state| *state.trunk.name == *name)
    }
}

impl Rest {
    fn is_over(self, now: Instant) -> bool {
        match self {
            Self::None => true,
            Self::Failed(until) | Self::Asked(until) => until <= now,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long a failed address is passed over.
const REST: Duration = Duration::from_secs(30);
/// An address that asks for more is tried again after this.
const LONGEST_REST: Duration = Duration::from_secs(3_600);
/// Of one host; more are not looked at.
const MAX_ADDRESSES: usize = 16;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use sip_core::routing::Transport;

    use super::*;

    fn trunks() -> Trunks {
        let trunk = Trunk {
            name: "pbx".into(),
            hosts: vec!["a.example".into(), "b.example:5070".into()],
            transport: Transport::Tls,
            told: vec!["192.0.2.1:5061".parse().unwrap()],
            ways: Vec::new(),
            interface: None,
            codecs: Vec::new(),
            cidrs: Vec::new(),
            learn: relay_api::Learn::Never,
            first_reply: Duration::from_secs(1),
        };
        let trunks = Trunks::new(&[trunk]);
        trunks.resolved("pbx", 1, &[address(3)]);
        trunks.resolved("pbx", 0, &[address(1), address(2)]);
        trunks
    }

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([203, 0, 113, last], 5061))
    }

    const NOW: Instant = Instant::START;

    #[test]
    fn hosts_are_tried_in_their_order() {
        let trunks = trunks();
        assert_eq!(trunks.candidates("pbx", NOW), [1, 2, 3].map(address));
        assert_eq!(trunks.candidates("other", NOW), []);
        assert_eq!(trunks.server_name("pbx", address(2)).as_deref(), Some("a.example"));
        assert_eq!(trunks.server_name("pbx", address(3)).as_deref(), Some("b.example"));
    }

    #[test]
    fn addresses_of_a_family_in_which_we_cannot_send_are_not_tried() {
        let trunks = trunks();
        let six: SocketAddr = "[2001:db8::1]:5061".parse().unwrap();
        trunks.resolved("pbx", 0, &[six, address(1)]);
        assert_eq!(trunks.candidates("pbx", NOW), [1, 3].map(address));
        let trunk = Trunk {
            told: vec![six],
            hosts: vec!["[2001:db8::1]:5061".into()],
            ..trunks.trunks[0].trunk.clone()
        };
        let trunks = Trunks::new(&[trunk]);
        trunks.resolved("pbx", 0, &[six]);
        assert_eq!(trunks.candidates("pbx", NOW), [six]);
        assert_eq!(trunks.server_name("pbx", six).as_deref(), Some("2001:db8::1"));
    }

    #[test] // RFC 3263 §4.3
    fn a_failed_address_rests() {
        let trunks = trunks();
        trunks.pass_over(address(1), None, NOW);
        assert_eq!(trunks.candidates("pbx", NOW), [2, 3].map(address));
        trunks.resolved("pbx", 0, &[address(2), address(1)]);
        assert_eq!(trunks.candidates("pbx", NOW), [2, 3].map(address), "also when it is found again");
        assert_eq!(trunks.candidates("pbx", NOW + REST), [2, 1, 3].map(address));
    }

    #[test]
    fn when_all_failed_the_first_of_them_is_tried() {
        let trunks = trunks();
        trunks.pass_over(address(2), None, NOW);
        for last in [1, 3] {
            trunks.pass_over(address(last), None, NOW + Duration::from_secs(1));
        }
        assert_eq!(trunks.candidates("pbx", NOW + Duration::from_secs(2)), [address(2)]);
    }

    #[test] // RFC 3261 §21.5.4
    fn an_address_that_asked_for_rest_is_left_in_peace() {
        let trunks = trunks();
        for last in [1, 2, 3] {
            trunks.pass_over(address(last), Some(60), NOW);
        }
        assert_eq!(trunks.candidates("pbx", NOW + Duration::from_secs(59)), []);
        assert_eq!(trunks.candidates("pbx", NOW + Duration::from_secs(60)).len(), 3);
        trunks.pass_over(address(1), Some(u32::MAX), NOW);
        assert_eq!(trunks.candidates("pbx", NOW + LONGEST_REST).len(), 3, "but not for ever");
    }
}
