//! Who is this? Digest by RFC 7616 and RFC 8760, the same for known and unknown users.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use daemon::network::network_of;
use sip_core::auth::server::Realm;
use sip_core::auth::{self, Verdict, server};
use sip_core::message::{Name, Status};
use sip_core::time::Instant;

use super::ingress::Request;
use super::redact::Number;
use super::{Node, Runtime};
use crate::ports::transport::ConnectionId;

impl<R: Runtime> Node<R> {
    /// The user who signed this request; `None` after it has been answered.
    pub(super) fn authenticate(&self, request: &Request) -> Option<String> {
        let Some(authorization) = self.authorization(request) else {
            self.challenge(request, false);
            return None;
        };
        let address = request.source.remote.ip();
        let now = self.0.runtime.now();
        if self.0.failed_logins.are_too_many(address, now) {
            self.refuse(request, Status::FORBIDDEN);
            return None;
        }
        let Some(connection) = request.source.connection else {
            self.refuse(request, Status::FORBIDDEN);
            return None;
        };
        let unix_now = self.0.runtime.unix_now();
        let Ok(name) = auth::username(&authorization) else {
            self.refuse(request, Status::BAD_REQUEST);
            return None;
        };
        let secret = self.0.ports.users.secret(&name);
        let (method, uri) = (request.message.method().as_str(), request.message.uri().unwrap_or_default());
        let sealer = &self.0.identity.nonces;
        let binding = self.binding(connection);
        let realm = self.realm(&binding);
        let verdict =
            server::verify(sealer, &realm, &authorization, (method, uri), secret.as_ref(), unix_now);
        match verdict {
            Verdict::Accepted { username, nonce_id, nc } => {
                if self.0.flows.uses_nonce(connection, nonce_id, nc) {
                    return Some(username);
                }
                // The same count again, or a nonce that a later one has replaced: a replay, or a client that lost count.
                self.challenge(request, true);
            }
            Verdict::Stale => self.challenge(request, true),
            Verdict::Refused(reason) => {
                self.0.metrics.failed_logins.inc();
                self.0.failed_logins.count(address, now);
                tracing::info!(user = %Number(&name), %address, ?reason, "login refused");
                self.challenge(request, false);
            }
        }
        None
    }

    /// 401 with a challenge for each algorithm, strongest first (RFC 8760 §2.4). We are the user agent server of what
    /// browsers ask, so it is never 407 (RFC 3261 §22.2).
    pub(super) fn challenge(&self, request: &Request, stale: bool) {
        let Some((connection, number)) =
            request.source.connection.and_then(|c| Some((c, self.0.flows.next_challenge(c)?)))
        else {
            return self.refuse(request, Status::FORBIDDEN);
        };
        let mut chance = [0; 4];
        self.0.runtime.random(&mut chance);
        let salt = auth::Salt { number, chance: u32::from_be_bytes(chance) };
        let (binding, now) = (self.binding(connection), self.0.runtime.unix_now());
        let challenges = server::challenge(&self.0.identity.nonces, &self.realm(&binding), salt, stale, now);
        let response =
            self.answer(&request.message, Status::UNAUTHORIZED).headers(Name::WwwAuthenticate, challenges);
        self.reply_with(request, response);
    }

    /// A nonce is good on the connection that it was given on alone: what is known of its uses lives and ends with that.
    fn binding(&self, connection: ConnectionId) -> [u8; 16] {
        (u128::from(self.0.identity.node) << 64 | u128::from(connection.0)).to_be_bytes()
    }

    fn realm<'a>(&'a self, binding: &'a [u8]) -> Realm<'a> {
        Realm {
            name: &self.0.settings.domain,
            algorithms: &self.0.settings.algorithms,
            binding,
            lifetime: self.0.settings.nonce_lifetime,
        }
    }

    fn authorization(&self, request: &Request) -> Option<String> {
        request.message.headers(Name::Authorization).next().map(str::to_string)
    }
}

/// Failed logins by IPv4 address and IPv6 /64, so that guessing passwords is slow. The user is never locked out: other
/// addresses go on.
pub(super) struct FailedLogins {
    a_minute: u32,
    by_network: Mutex<HashMap<IpAddr, Window>>,
}

struct Window {
    since: Instant,
    count: u32,
}

impl FailedLogins {
    pub(super) fn new(a_minute: u32) -> Self {
        Self { a_minute, by_network: Mutex::default() }
    }

    fn are_too_many(&self, address: IpAddr, now: Instant) -> bool {
        self.with(|windows| {
            let window = windows.get(&network_of(address));
            window.is_some_and(|window| !window.is_over(now) && window.count >= self.a_minute)
        })
    }

    fn count(&self, address: IpAddr, now: Instant) {
        self.with(|windows| {
            let network = network_of(address);
            if windows.len() >= MAX_NETWORKS && !windows.contains_key(&network) {
                forget_oldest(windows);
            }
            let window = windows.entry(network).or_insert(Window { since: now, count: 0 });
            if window.is_over(now) {
                *window = Window { since: now, count: 0 };
            }
            window.count = window.count.saturating_add(1);
        });
    }

    pub(super) fn sweep(&self, now: Instant) {
        self.with(|windows| windows.retain(|_, window| !window.is_over(now)));
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<IpAddr, Window>) -> T) -> T {
        act(&mut self.by_network.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Window {
    fn is_over(&self, now: Instant) -> bool {
        now - self.since >= MINUTE
    }
}

/// A network gets a further window in the same minute only after each of [`MAX_NETWORKS`] others began one.
fn forget_oldest(windows: &mut HashMap<IpAddr, Window>) {
    let oldest = windows.iter().min_by_key(|(_, window)| window.since);
    if let Some(network) = oldest.map(|(network, _)| *network) {
        windows.remove(&network);
    }
}

const MINUTE: Duration = Duration::from_secs(60);
/// Networks with failed logins in the last minute that are remembered; for one more the oldest is forgotten, so that nobody
/// is refused because of others.
const MAX_NETWORKS: usize = 10_000;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const ATTACKER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 1));

    #[test]
    fn guesses_are_judged_again_after_a_minute() {
        let failed = FailedLogins::new(2);
        let at = |seconds| Instant::START + Duration::from_secs(seconds);
        failed.count(ATTACKER, at(0));
        assert!(!failed.are_too_many(ATTACKER, at(1)));
        failed.count(ATTACKER, at(1));
        assert!(failed.are_too_many(ATTACKER, at(59)));
        assert!(!failed.are_too_many(ATTACKER, at(60)));
    }

    #[test]
    fn another_address_of_the_same_subnet_brings_no_more_guesses() {
        let failed = FailedLogins::new(1);
        let address = |text: &str| text.parse().unwrap();
        failed.count(address("2001:db8::1"), Instant::START);
        assert!(failed.are_too_many(address("2001:db8::ffff:2"), Instant::START));
        assert!(!failed.are_too_many(address("2001:db8:0:1::1"), Instant::START));
    }

    #[test]
    fn guesses_from_more_addresses_than_are_remembered_count_too() {
        let failed = FailedLogins::new(2);
        let address = |n: u32| IpAddr::V4(std::net::Ipv4Addr::from_bits(0x0A00_0000 + n));
        let at = |n: u32| Instant::START + Duration::from_micros(n.into());
        let (second, last) = (1, MAX_NETWORKS as u32);
        for n in 0..=last {
            failed.count(address(n), at(n));
        }
        assert_eq!(failed.with(|windows| windows.len()), MAX_NETWORKS);
        for n in [second, last] {
            assert!(!failed.are_too_many(address(n), at(last)), "nobody is refused because of others");
            failed.count(address(n), at(last));
            assert!(failed.are_too_many(address(n), at(last)));
        }
    }
}
