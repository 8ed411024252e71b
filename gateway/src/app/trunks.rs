//! The trunks as this node sees them: whose addresses are trusted, where each is now, which address failed lately.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sip_core::call::MAX_CANDIDATES;
use sip_core::routing::locate::Servers;
use sip_core::time::Instant;

use super::Trunk;
use crate::ports::transport::Source;

pub(super) struct Trunks {
    trunks: Vec<State>,
}

struct State {
    trunk: Trunk,
    known: Mutex<Known>,
}

/// What is known of a trunk's addresses.
#[derive(Default)]
struct Known {
    /// Of each host, in the order of the hosts.
    servers: Vec<Servers>,
    /// Addresses that calls may have to leave alone.
    rests: HashMap<SocketAddr, Rest>,
}

/// Why calls may not go to an address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rest {
    /// It failed: not before this unless every other one failed too (RFC 3263 §4.3).
    Failed(Instant),
    /// It asked for it: not before this at all (RFC 3261 §21.5.4).
    Asked(Instant),
}

impl Trunks {
    pub(super) fn new(trunks: &[Trunk]) -> Self {
        let state = |trunk: &Trunk| {
            let servers = vec![Servers::default(); trunk.hosts.len()];
            State { trunk: trunk.clone(), known: Mutex::new(Known { servers, ..Known::default() }) }
        };
        Self { trunks: trunks.iter().map(state).collect() }
    }

    /// The trunk whose requests may come from this address.
    pub(super) fn trusting(&self, address: IpAddr) -> Option<&Trunk> {
        self.trunks.iter().map(|state| &state.trunk).find(|trunk| trunk.trusts(address))
    }

    /// Is it a trunk that this message comes from?
    pub(super) fn trusts(&self, source: &Source) -> bool {
        self.trusting(source.remote.ip()).is_some_and(|trunk| trunk.is_heard_over(source.protocol))
    }

    pub(super) fn named(&self, name: &str) -> Option<&Trunk> {
        self.state(name).map(|state| &state.trunk)
    }

    /// RFC 5922 §7.2: the certificate must be for the name that was configured, not for what DNS made of it.
    pub(super) fn server_name(&self, name: &str, address: SocketAddr) -> Option<Arc<str>> {
        let state = self.state(name)?;
        let at = lock(&state.known).servers.iter().position(|servers| servers.contains(address));
        let at = at.unwrap_or(0);
        let host = state.trunk.hosts.get(at)?;
        let bare = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
        let host = bare.map_or(host.as_str(), |(host, _)| host);
        Some(host.trim_start_matches('[').trim_end_matches([']', '.']).into())
    }

    /// What the resolver found for one of the trunk's hosts. An address that failed lately stays so; one of a family in which
    /// we cannot send does not count.
    pub(super) fn resolved(&self, name: &str, host: usize, found: &Servers) {
        let Some(state) = self.state(name) else { return };
        let addresses = found.by_weight();
        if !addresses.is_empty() && !addresses.iter().any(|found| state.trunk.reaches(found.address.ip())) {
            tracing::warn!(trunk = name, ?addresses, "no listener sends to addresses of this family");
        }
        if let Some(found) = addresses.iter().find(|found| self.trusting(found.address.ip()).is_none()) {
            tracing::warn!(trunk = name, address = %found.address, "its requests will be refused: it is not in cidrs");
        }
        let known = &mut *lock(&state.known);
        let Some(servers) = known.servers.get_mut(host) else { return };
        servers.clone_from(found);
        known.rests.retain(|address, _| known.servers.iter().any(|servers| servers.contains(*address)));
    }

    /// Where to send a new call, best first, drawn anew for each: the addresses that did not fail lately, or else the one
    /// that failed first.
    pub(super) fn candidates(
        &self,
        name: &str,
        now: Instant,
        mut random: impl FnMut() -> u32,
    ) -> Vec<SocketAddr> {
        let Some(state) = self.state(name) else { return Vec::new() };
        let known = lock(&state.known);
        let mut drawn = Vec::new();
        for servers in &known.servers {
            let addresses = servers.draw(&mut random).into_iter().map(|candidate| candidate.address);
            drawn.extend(addresses.filter(|address| state.trunk.reaches(address.ip())).take(MAX_ADDRESSES));
        }
        let may_be_called =
            |address: &SocketAddr| known.rests.get(address).is_none_or(|rest| rest.is_over(now));
        let ready = drawn.iter().copied().filter(may_be_called);
        let ready: Vec<SocketAddr> = ready.take(MAX_CANDIDATES).collect();
        if !ready.is_empty() {
            return ready;
        }
        let resting = drawn.iter().filter_map(|address| Some((known.rests.get(address)?, *address)));
        let failed = resting.filter(|(rest, _)| matches!(rest, Rest::Failed(_)));
        failed.min_by_key(|(rest, _)| **rest).map(|(_, address)| address).into_iter().collect()
    }

    /// Every address of every trunk, and whether calls go there.
    pub(super) fn addresses(&self, now: Instant) -> Vec<(Arc<str>, SocketAddr, bool)> {
        let of = |state: &State| {
            let known = lock(&state.known);
            let is_up = |address: &SocketAddr| known.rests.get(address).is_none_or(|rest| rest.is_over(now));
            let found = known.servers.iter().flat_map(Servers::by_weight).map(|found| found.address);
            let reached = found.filter(|address| state.trunk.reaches(address.ip()));
            let shown = reached.map(|address| (Arc::clone(&state.trunk.name), address, is_up(&address)));
            shown.collect::<Vec<_>>()
        };
        self.trunks.iter().flat_map(of).collect()
    }

    /// An address did not answer, or asked not to be called for so many seconds.
    pub(super) fn pass_over(&self, address: SocketAddr, seconds: Option<u32>, now: Instant) {
        let rest = match seconds {
            Some(seconds) => Rest::Asked(now + Duration::from_secs(seconds.into()).min(LONGEST_REST)),
            None => Rest::Failed(now + REST),
        };
        for state in &self.trunks {
            let mut known = lock(&state.known);
            if known.servers.iter().any(|servers| servers.contains(address)) {
                known.rests.insert(address, rest);
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
    use sip_core::routing::locate::{Answers, Candidate, Srv, Target, servers};

    use super::*;
    use crate::app::Heard;

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
            over: Heard::OverAll,
        };
        let trunks = Trunks::new(&[trunk]);
        trunks.resolved("pbx", 1, &found(&[address(3)]));
        trunks.resolved("pbx", 0, &found(&[address(1), address(2)]));
        trunks
    }

    /// As of a host with these addresses.
    fn found(addresses: &[SocketAddr]) -> Servers {
        let to = |&address: &SocketAddr| Candidate { transport: Transport::Tls, address };
        Servers::of_host(addresses.iter().map(to).collect())
    }

    /// As of two hosts to which calls are spread evenly.
    fn spread(addresses: [SocketAddr; 2]) -> Servers {
        let target = Target::new("pbx.example", None, Transport::Tls);
        let mut answers = Answers::default();
        let record = |address: SocketAddr| Srv {
            priority: 1,
            weight: 1,
            port: address.port(),
            target: format!("{}.example", address.ip()),
        };
        answers.srv("_sips._tcp.pbx.example".into(), addresses.map(record).to_vec());
        for address in addresses {
            answers.addresses(format!("{}.example", address.ip()), vec![address.ip()]);
        }
        servers(&target, &answers)
    }

    fn candidates(trunks: &Trunks, now: Instant) -> Vec<SocketAddr> {
        trunks.candidates("pbx", now, || 0)
    }

    #[test] // RFC 2782, RFC 3263 §4.2
    fn each_call_draws_among_the_servers_of_one_priority() {
        let trunks = trunks();
        trunks.resolved("pbx", 0, &spread([address(1), address(2)]));
        assert_eq!(trunks.candidates("pbx", NOW, || 0), [1, 2, 3].map(address));
        assert_eq!(trunks.candidates("pbx", NOW, || u32::MAX), [2, 1, 3].map(address));
        trunks.pass_over(address(2), None, NOW);
        assert_eq!(trunks.candidates("pbx", NOW, || u32::MAX), [1, 3].map(address), "§4.3 goes first");
    }

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([203, 0, 113, last], 5061))
    }

    const NOW: Instant = Instant::START;

    #[test]
    fn hosts_are_tried_in_their_order() {
        let trunks = trunks();
        assert_eq!(candidates(&trunks, NOW), [1, 2, 3].map(address));
        assert_eq!(trunks.candidates("other", NOW, || 0), []);
        assert_eq!(trunks.server_name("pbx", address(2)).as_deref(), Some("a.example"));
        assert_eq!(trunks.server_name("pbx", address(3)).as_deref(), Some("b.example"));
    }

    #[test]
    fn addresses_of_a_family_in_which_we_cannot_send_are_not_tried() {
        let trunks = trunks();
        let six: SocketAddr = "[2001:db8::1]:5061".parse().unwrap();
        trunks.resolved("pbx", 0, &found(&[six, address(1)]));
        assert_eq!(candidates(&trunks, NOW), [1, 3].map(address));
        let trunk = Trunk {
            told: vec![six],
            hosts: vec!["[2001:db8::1]:5061".into()],
            ..trunks.trunks[0].trunk.clone()
        };
        let trunks = Trunks::new(&[trunk]);
        trunks.resolved("pbx", 0, &found(&[six]));
        assert_eq!(candidates(&trunks, NOW), [six]);
        assert_eq!(trunks.server_name("pbx", six).as_deref(), Some("2001:db8::1"));
    }

    #[test] // RFC 3263 §4.3
    fn a_failed_address_rests() {
        let trunks = trunks();
        trunks.pass_over(address(1), None, NOW);
        assert_eq!(candidates(&trunks, NOW), [2, 3].map(address));
        trunks.resolved("pbx", 0, &found(&[address(2), address(1)]));
        assert_eq!(candidates(&trunks, NOW), [2, 3].map(address), "also when it is found again");
        assert_eq!(candidates(&trunks, NOW + REST), [2, 1, 3].map(address));
    }

    #[test]
    fn when_all_failed_the_first_of_them_is_tried() {
        let trunks = trunks();
        trunks.pass_over(address(2), None, NOW);
        for last in [1, 3] {
            trunks.pass_over(address(last), None, NOW + Duration::from_secs(1));
        }
        assert_eq!(candidates(&trunks, NOW + Duration::from_secs(2)), [address(2)]);
    }

    #[test] // RFC 3261 §21.5.4
    fn an_address_that_asked_for_rest_is_left_in_peace() {
        let trunks = trunks();
        for last in [1, 2, 3] {
            trunks.pass_over(address(last), Some(60), NOW);
        }
        assert_eq!(candidates(&trunks, NOW + Duration::from_secs(59)), []);
        assert_eq!(candidates(&trunks, NOW + Duration::from_secs(60)).len(), 3);
        trunks.pass_over(address(1), Some(u32::MAX), NOW);
        assert_eq!(candidates(&trunks, NOW + LONGEST_REST).len(), 3, "but not for ever");
    }
}
