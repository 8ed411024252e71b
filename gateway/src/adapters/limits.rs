//! What one listener allows its peers: connections, time, bytes and messages.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use daemon::network::network_of;
use tokio::time::Instant;

use super::refusal::Refusal;

/// Bounds of one listener, or of the connections we dial.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections in all; further ones are closed unread.
    pub connections: usize,
    /// Of these, such that have not identified themselves; further ones are closed unread.
    pub strangers: usize,
    /// Connections from one IPv4 address or one IPv6 /64; further ones are closed unread.
    pub connections_per_address: usize,
    /// From accepting to the end of TLS and the HTTP upgrade; for a connection we dial, until TLS is done.
    pub handshake: Duration,
    /// By then a connection has identified itself: a trunk by a first message, a browser by what
    /// [`Transport::authenticated`](crate::ports::transport::Transport::authenticated) reports.
    pub identification: Duration,
    /// From the first byte of a message to its last.
    pub frame: Duration,
    /// For the peer to take one message from us.
    pub write: Duration,
    /// Quiet time after which we ask for a sign of life: a WebSocket ping, or CRLF CRLF on TCP and TLS (RFC 5626 §4.4.1,
    /// which a peer has to know).
    pub ping_after: Option<Duration>,
    /// How long we wait for that sign.
    pub pong_within: Duration,
    /// Quiet time after which a connection is closed; `None` leaves that to pings.
    pub idle: Option<Duration>,
    /// Bytes of one message; decided on its header.
    pub message: usize,
    /// Messages a connection may send; more wait in the peer's socket. `None`: as fast as we work.
    pub rate: Option<Rate>,
    /// Messages that all connections of one IPv4 address or IPv6 /64 may send together which have not identified themselves.
    pub strangers_rate: Option<Rate>,
    /// Bytes waiting to be written to one connection; when more come the connection is closed.
    pub queue_bytes: usize,
    /// Messages waiting to be written to one connection; when more come the connection is closed.
    pub queue_messages: usize,
    /// Bytes of datagrams being worked on at a time, with what the work on each takes; further ones are dropped and counted.
    pub datagram_bytes: usize,
    /// The same for datagrams of one IPv4 address or one IPv6 /64.
    pub datagram_bytes_per_address: usize,
}

impl Limits {
    /// For browsers.
    pub fn browser() -> Self {
        Self {
            connections: 10_000,
            strangers: 7_500,
            connections_per_address: 100,
            handshake: Duration::from_secs(10),
            identification: Duration::from_secs(30),
            frame: Duration::from_secs(10),
            write: Duration::from_secs(7),
            ping_after: Some(Duration::from_secs(25)),
            pong_within: Duration::from_secs(15),
            idle: None,
            message: 65_536,
            rate: Some(Rate { per_second: 100, burst: 400 }),
            strangers_rate: Some(Rate { per_second: 200, burst: 800 }),
            // With one message on its way, in clear and in TLS records, 256 KiB at most.
            queue_bytes: 128 * 1024,
            queue_messages: 256,
            datagram_bytes: 16 * 1024 * 1024,
            datagram_bytes_per_address: 4 * 1024 * 1024,
        }
    }

    /// For trunks: few peers with many calls on one connection.
    pub fn trunk() -> Self {
        Self {
            connections: 1_000,
            strangers: 750,
            ping_after: None,
            idle: Some(Duration::from_secs(600)),
            rate: None,
            strangers_rate: None,
            queue_bytes: 4 * 1024 * 1024,
            queue_messages: 8_192,
            ..Self::browser()
        }
    }
}

/// A token bucket's measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// For long.
    pub per_second: u32,
    /// At once, after a pause.
    pub burst: u32,
}

/// A token bucket kept as one point in time (the generic cell rate algorithm).
#[derive(Debug)]
pub(crate) struct Bucket {
    interval: Duration,
    credit: Duration,
    full_at: Instant,
}

impl Bucket {
    pub(crate) fn new(rate: Rate, now: Instant) -> Self {
        let interval = Duration::from_secs(1) / rate.per_second.max(1);
        Self { interval, credit: interval * rate.burst.max(1), full_at: now }
    }

    /// Takes one token; call it when [`Bucket::ready_at`] allows.
    pub(crate) fn take(&mut self, now: Instant) {
        self.full_at = self.full_at.max(now) + self.interval;
    }

    /// When the next token is there, if not now.
    pub(crate) fn ready_at(&self, now: Instant) -> Option<Instant> {
        let empty_at = now + self.credit;
        (self.full_at + self.interval > empty_at).then(|| now + (self.full_at + self.interval - empty_at))
    }
}

/// Counts the connections of one listener.
#[derive(Debug)]
pub(crate) struct Gate {
    total: usize,
    strangers: usize,
    per_address: usize,
    strangers_rate: Option<Rate>,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    strangers: usize,
    by_address: HashMap<IpAddr, Address>,
}

/// The connections of one address.
#[derive(Debug)]
struct Address {
    open: usize,
    /// Of those that have not identified themselves.
    bucket: Option<Bucket>,
}

impl Gate {
    pub(crate) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            total: limits.connections,
            strangers: limits.strangers,
            strangers_rate: limits.strangers_rate,
            per_address: limits.connections_per_address,
            open: Mutex::default(),
        })
    }

    /// Lets one more connection in, or says why not.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Admission, Refusal> {
        let address = network_of(address);
        let mut open = self.open();
        let here = open.by_address.get(&address).map_or(0, |here| here.open);
        if here >= self.per_address {
            return Err(Refusal::AddressFull);
        }
        if open.total >= self.total || open.strangers >= self.strangers {
            return Err(Refusal::Full);
        }
        open.total += 1;
        open.strangers += 1;
        let bucket = || self.strangers_rate.map(|rate| Bucket::new(rate, Instant::now()));
        open.by_address.entry(address).or_insert_with(|| Address { open: 0, bucket: bucket() }).open += 1;
        Ok(Admission { gate: Arc::clone(self), address, standing: Standing::Stranger })
    }

    fn leave(&self, address: IpAddr, standing: Standing) {
        let mut open = self.open();
        open.total -= 1;
        open.strangers -= usize::from(standing == Standing::Stranger);
        if let Some(here) = open.by_address.get_mut(&address) {
            here.open -= 1;
            if here.open == 0 {
                open.by_address.remove(&address);
            }
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One admitted connection; dropping it makes room.
#[derive(Debug)]
pub(crate) struct Admission {
    gate: Arc<Gate>,
    address: IpAddr,
    standing: Standing,
}

/// Whether a connection has identified itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Stranger,
    Known,
}

impl Admission {
    /// The peer has shown who it is: it takes no stranger's place any more.
    pub(crate) fn identify(&mut self) {
        if self.standing == Standing::Stranger {
            self.standing = Standing::Known;
            self.gate.open().strangers -= 1;
        }
    }

    /// When a stranger's next message may be read, if not now: the strangers of one address share their rate.
    pub(crate) fn ready_at(&self, now: Instant) -> Option<Instant> {
        let open = self.gate.open();
        let bucket = open.by_address.get(&self.address)?.bucket.as_ref()?;
        // They wait together: each looks again after a while, not all of them for every token.
        bucket.ready_at(now).map(|at| at.max(now + LOOK_AGAIN))
    }

    /// A stranger's message was read.
    pub(crate) fn take(&self, now: Instant) {
        if let Some(bucket) =
            self.gate.open().by_address.get_mut(&self.address).and_then(|here| here.bucket.as_mut())
        {
            bucket.take(now);
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.gate.leave(self.address, self.standing);
    }
}

/// How long a stranger waits at least when the others of its address were faster.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn gate(connections: usize, connections_per_address: usize) -> Arc<Gate> {
        Gate::new(&Limits {
            connections,
            strangers: connections,
            connections_per_address,
            ..Limits::browser()
        })
    }

    #[test]
    fn the_caps_hold_per_address_and_in_total_and_free_themselves() {
        let gate = gate(3, 2);
        let (a, b) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let first = gate.admit(a).unwrap();
        let _second = gate.admit(a).unwrap();
        assert_eq!(gate.admit(a).unwrap_err(), Refusal::AddressFull);
        let _third = gate.admit(b).unwrap();
        assert_eq!(gate.admit(b).unwrap_err(), Refusal::Full);
        drop(first);
        assert!(gate.admit(a).is_ok());
        assert!(gate.open.lock().unwrap().by_address.len() <= 2);
    }

    #[test]
    fn a_whole_ipv6_subnet_is_one_address_and_a_mapped_ipv4_is_itself() {
        let gate = gate(10, 1);
        let _first = gate.admit("2001:db8::1".parse().unwrap()).unwrap();
        assert!(gate.admit("2001:db8::ffff:2".parse().unwrap()).is_err());
        assert!(gate.admit("2001:db8:0:1::1".parse().unwrap()).is_ok());
        let _fourth = gate.admit("::ffff:192.0.2.1".parse().unwrap()).unwrap();
        assert!(gate.admit("192.0.2.1".parse().unwrap()).is_err());
        assert!(gate.admit("::ffff:192.0.2.2".parse().unwrap()).is_ok());
    }

    #[test]
    fn strangers_take_half_of_the_places_and_give_theirs_back_when_they_are_known() {
        let gate = Gate::new(&Limits { connections: 4, strangers: 2, ..Limits::browser() });
        let address = "192.0.2.1".parse().unwrap();
        let mut first = gate.admit(address).unwrap();
        let _second = gate.admit(address).unwrap();
        assert!(gate.admit(address).is_err(), "two strangers");
        first.identify();
        first.identify();
        let third = gate.admit(address).unwrap();
        assert!(gate.admit(address).is_err());
        drop((first, third));
        let open = gate.open();
        assert_eq!((open.total, open.strangers), (1, 1));
    }

    #[test]
    fn the_strangers_of_one_address_share_their_rate() {
        let rate = Some(Rate { per_second: 10, burst: 4 });
        let gate = Gate::new(&Limits { strangers_rate: rate, ..Limits::browser() });
        let (flood, other) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let (one, twin, other) =
            (gate.admit(flood).unwrap(), gate.admit(flood).unwrap(), gate.admit(other).unwrap());
        let now = Instant::now() + Duration::from_secs(1);
        for _ in 0..4 {
            assert_eq!(one.ready_at(now), None);
            one.take(now);
        }
        assert_eq!(twin.ready_at(now), Some(now + Duration::from_millis(100)));
        assert_eq!(other.ready_at(now), None);
    }

    #[test]
    fn a_bucket_lets_a_burst_through_and_then_the_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(Rate { per_second: 10, burst: 3 }, start);
        for _ in 0..3 {
            assert_eq!(bucket.ready_at(start), None);
            bucket.take(start);
        }
        assert_eq!(bucket.ready_at(start), Some(start + Duration::from_millis(100)));
        let later = start + Duration::from_millis(100);
        assert_eq!(bucket.ready_at(later), None);
        bucket.take(later);
        assert!(bucket.ready_at(later).is_some());
        assert_eq!(bucket.ready_at(start + Duration::from_secs(60)), None);
    }
}
