//! Failed logins, counted so that guessing passwords is slow and shuts out the guesser alone.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use daemon::network::network_of;
use sip_core::time::Instant;

/// By user and network (an IPv4 address or an IPv6 /64), and by network alone with a wider bound: many people share an address,
/// and one wrong phone among them is no attack. Nobody is shut out for what comes from elsewhere.
pub(super) struct FailedLogins {
    /// A minute, of one user from one network.
    of_user: u32,
    /// A minute, of all users from one network.
    of_network: u32,
    hasher: RandomState,
    tables: Mutex<Tables>,
}

#[derive(Default)]
struct Tables {
    users: HashMap<UserThere, Window>,
    networks: HashMap<IpAddr, Window>,
    /// Who had the right answer, and when last.
    known: HashMap<UserThere, Instant>,
}

/// A user's name, as a hash so that long ones cost nothing, and a network.
type UserThere = (u64, IpAddr);

struct Window {
    since: Instant,
    count: u32,
}

impl FailedLogins {
    pub(super) fn new(of_user: u32, of_network: u32) -> Self {
        Self { of_user, of_network, hasher: RandomState::new(), tables: Mutex::default() }
    }

    /// May this user's answer from there be judged?
    ///
    /// # Errors
    /// How long not.
    pub(super) fn judge(&self, user: &str, address: IpAddr, now: Instant) -> Result<(), Duration> {
        let there = self.there(user, address);
        self.with(|tables| {
            let full = |window: Option<&Window>, bound| window.and_then(|window| window.full_for(bound, now));
            let known = tables.known.get(&there).is_some_and(|last| now - *last < KNOWN_FOR);
            let network = tables.networks.get(&there.1).filter(|_| !known);
            let wait = full(tables.users.get(&there), self.of_user).or(full(network, self.of_network));
            wait.map_or(Ok(()), Err)
        })
    }

    pub(super) fn failed(&self, user: &str, address: IpAddr, now: Instant) {
        let there = self.there(user, address);
        self.with(|tables| {
            count(&mut tables.users, there, now);
            count(&mut tables.networks, there.1, now);
        });
    }

    pub(super) fn succeeded(&self, user: &str, address: IpAddr, now: Instant) {
        let there = self.there(user, address);
        self.with(|tables| {
            make_room(&mut tables.known, &there, |last| *last);
            tables.known.insert(there, now);
        });
    }

    pub(super) fn sweep(&self, now: Instant) {
        self.with(|tables| {
            tables.users.retain(|_, window| !window.is_over(now));
            tables.networks.retain(|_, window| !window.is_over(now));
            tables.known.retain(|_, last| now - *last < KNOWN_FOR);
        });
    }

    fn there(&self, user: &str, address: IpAddr) -> UserThere {
        (self.hasher.hash_one(user), network_of(address))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Tables) -> T) -> T {
        act(&mut self.tables.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Window {
    fn is_over(&self, now: Instant) -> bool {
        now - self.since >= MINUTE
    }

    /// How long nothing more is judged.
    fn full_for(&self, bound: u32, now: Instant) -> Option<Duration> {
        let left = MINUTE.checked_sub(now - self.since).filter(|left| !left.is_zero())?;
        (self.count >= bound).then_some(left)
    }
}

fn count<K: Hash + Eq + Copy>(windows: &mut HashMap<K, Window>, of: K, now: Instant) {
    make_room(windows, &of, |window| window.since);
    let window = windows.entry(of).or_insert(Window { since: now, count: 0 });
    if window.is_over(now) {
        *window = Window { since: now, count: 0 };
    }
    window.count = window.count.saturating_add(1);
}

/// Forgets the oldest, so that nobody is refused because of others: one who guesses gets a further window in the same minute
/// only after each of [`MAX_REMEMBERED`] others began one.
fn make_room<K: Hash + Eq + Copy, V>(table: &mut HashMap<K, V>, coming: &K, age: impl Fn(&V) -> Instant) {
    if table.len() < MAX_REMEMBERED || table.contains_key(coming) {
        return;
    }
    let oldest = table.iter().min_by_key(|(_, value)| age(value)).map(|(key, _)| *key);
    if let Some(oldest) = oldest {
        table.remove(&oldest);
    }
}

const MINUTE: Duration = Duration::from_secs(60);
/// Longer than registrations last between two refreshes.
const KNOWN_FOR: Duration = Duration::from_secs(3_600);
/// In each table.
const MAX_REMEMBERED: usize = 10_000;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const NAT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 1));

    fn at(seconds: u64) -> Instant {
        Instant::START + Duration::from_secs(seconds)
    }

    #[test]
    fn a_user_s_guesses_are_judged_again_after_a_minute() {
        let failed = FailedLogins::new(2, 10);
        failed.failed("bob", NAT, at(0));
        assert_eq!(failed.judge("bob", NAT, at(1)), Ok(()));
        failed.failed("bob", NAT, at(1));
        assert_eq!(failed.judge("bob", NAT, at(50)), Err(Duration::from_secs(10)));
        assert_eq!(failed.judge("alice", NAT, at(50)), Ok(()), "who shares the address");
        assert_eq!(failed.judge("bob", "198.51.100.2".parse().unwrap(), at(50)), Ok(()), "from elsewhere");
        assert_eq!(failed.judge("bob", NAT, at(60)), Ok(()));
    }

    #[test]
    fn many_users_guessed_from_one_address_are_bounded_too_but_for_those_who_log_in_there() {
        let failed = FailedLogins::new(2, 5);
        failed.succeeded("alice", NAT, at(0));
        for user in ["a", "b", "c", "d", "e"] {
            assert_eq!(failed.judge(user, NAT, at(1)), Ok(()));
            failed.failed(user, NAT, at(1));
        }
        assert!(failed.judge("f", NAT, at(2)).is_err());
        assert_eq!(failed.judge("alice", NAT, at(2)), Ok(()));
        assert_eq!(failed.judge("f", "198.51.100.2".parse().unwrap(), at(2)), Ok(()));
        for _ in 0..2 {
            failed.failed("alice", NAT, at(2));
        }
        assert!(failed.judge("alice", NAT, at(3)).is_err(), "to be known is no leave to guess");
    }

    #[test]
    fn another_address_of_the_same_subnet_brings_no_more_guesses() {
        let failed = FailedLogins::new(1, 10);
        let address = |text: &str| text.parse().unwrap();
        failed.failed("bob", address("2001:db8::1"), at(0));
        assert!(failed.judge("bob", address("2001:db8::ffff:2"), at(0)).is_err());
        assert!(failed.judge("bob", address("2001:db8:0:1::1"), at(0)).is_ok());
    }

    #[test]
    fn guesses_from_more_addresses_than_are_remembered_count_too() {
        let failed = FailedLogins::new(2, 10);
        let address = |n: u32| IpAddr::V4(std::net::Ipv4Addr::from_bits(0x0A00_0000 + n));
        let at = |n: u32| Instant::START + Duration::from_micros(n.into());
        let (second, last) = (1, MAX_REMEMBERED as u32);
        for n in 0..=last {
            failed.failed("bob", address(n), at(n));
        }
        assert_eq!(failed.with(|tables| tables.users.len()), MAX_REMEMBERED);
        for n in [second, last] {
            assert!(failed.judge("bob", address(n), at(last)).is_ok(), "nobody is refused because of others");
            failed.failed("bob", address(n), at(last));
            assert!(failed.judge("bob", address(n), at(last)).is_err());
        }
    }
}
