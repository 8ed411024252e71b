//! STUN messages: Binding, and the requests of RFC 8656 §7–§12.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::allocation::{Allocation, Granted};
use super::channel::CHANNELS;
use super::credentials::{self, Owner};
use super::message::{EvenPort, Kind, Message, Method};
use super::reply::{self, Challenge, Refusal, Success};
use super::{Client, Io, RelayedPort, Server, ToEngine};
use crate::stun::Key;

/// A port kept for the client's next allocation.
pub(super) struct Reservation {
    pub(super) token: [u8; 8],
    pub(super) port: RelayedPort,
    pub(super) expires: Instant,
    username: Box<[u8]>,
}

/// A message with all that decides about it.
struct Arrival<'a> {
    client: Client,
    message: Message<'a>,
    /// In octets.
    length: usize,
    now: Instant,
    /// In seconds.
    unix_now: u64,
}

impl Server {
    /// Takes a datagram of a client, or a whole frame of its stream. A packet for a media address of this process is
    /// for the caller to hand to the engine. `unix_now` in seconds.
    pub fn handle_input(
        &mut self,
        client: Client,
        datagram: &[u8],
        now: Instant,
        unix_now: u64,
        io: &mut dyn Io,
    ) -> Option<ToEngine> {
        if let Some(0x40..=0x7F) = datagram.first() {
            return self.channel_data(&client, datagram, now, io);
        }
        let Some(message) = Message::parse(datagram) else {
            self.totals.dropped += 1;
            return None;
        };
        if message.kind == Kind::Send {
            return self.send(&client, &message, datagram, now, io);
        }
        self.request(&Arrival { client, message, length: datagram.len(), now, unix_now }, io);
        None
    }

    fn request(&mut self, arrival: &Arrival<'_>, io: &mut dyn Io) {
        let (key, result) = match arrival.message.kind {
            Kind::Send => return,
            Kind::Binding if arrival.message.unknown().is_empty() => (None, Ok(Success::Bound)),
            Kind::Binding => (None, Err(Refusal::UnknownAttribute)),
            Kind::Request(method) => self.authenticated(arrival, method, io),
        };
        match result {
            Ok(success) => self.accept(arrival, &success, key.as_ref(), io),
            Err(refusal) => self.refuse(arrival, refusal, key.as_ref(), io),
        }
    }

    /// Carries out a request of somebody who has credentials; the key is for the answer.
    fn authenticated(
        &mut self,
        arrival: &Arrival<'_>,
        method: Method,
        io: &mut dyn Io,
    ) -> (Option<Key>, Result<Success, Refusal>) {
        let slot = self.by_client.get(&arrival.client).copied();
        let owner = slot.map(|slot| &self.allocations[slot].owner);
        match self.guard.authenticate(&arrival.message, &arrival.client, owner, arrival.unix_now) {
            Ok(key) => {
                let result = self.carry_out(arrival, method, slot, &key, io);
                (Some(key), result)
            }
            // RFC 8656 §5: there is nothing to be asked about, whoever asks.
            Err(_) if slot.is_none() && method != Method::Allocate => {
                (None, Err(Refusal::AllocationMismatch))
            }
            Err(refusal) => (None, Err(refusal)),
        }
    }

    fn carry_out(
        &mut self,
        arrival: &Arrival<'_>,
        method: Method,
        slot: Option<usize>,
        key: &Key,
        io: &mut dyn Io,
    ) -> Result<Success, Refusal> {
        let message = &arrival.message;
        if !message.unknown().is_empty() {
            return Err(Refusal::UnknownAttribute);
        }
        if message.is_malformed {
            return Err(Refusal::BadRequest);
        }
        let username = message.username.unwrap_or_default();
        let is_owner = |slot: usize| *self.allocations[slot].owner.username == *username;
        match (method, slot) {
            (Method::Allocate, None) => {
                self.allocate(arrival, Owner { username: username.into(), key: key.clone() })
            }
            (Method::Allocate, Some(slot)) => self.repeat(slot, message),
            (_, None) => Err(Refusal::AllocationMismatch),
            (_, Some(slot)) if !is_owner(slot) => Err(Refusal::WrongCredentials),
            (Method::Refresh, Some(slot)) => self.refresh(slot, message, arrival.now, io),
            (Method::CreatePermission, Some(slot)) => self.create_permission(slot, message, arrival.now),
            (Method::ChannelBind, Some(slot)) => self.channel_bind(slot, message, arrival.now),
        }
    }

    /// RFC 8656 §7.2, in its order.
    fn allocate(&mut self, arrival: &Arrival<'_>, owner: Owner) -> Result<Success, Refusal> {
        let Arrival { client, message, now, .. } = arrival;
        let now = *now;
        match message.requested_transport.ok_or(Refusal::BadRequest)? {
            UDP => {}
            _ => return Err(Refusal::UnsupportedTransport),
        }
        let by_token = message.reservation_token.is_some();
        if by_token && (message.even_port.is_some() || message.requested_family.is_some()) {
            return Err(Refusal::BadRequest);
        }
        let relayed = self.relayed_of(message.requested_family.unwrap_or(IPV4))?;
        let user = credentials::user(&owner.username);
        if !self.quota.take(user) {
            return Err(Refusal::QuotaReached);
        }
        let slot = self.allocations.vacant_key();
        let port = match message.reservation_token {
            Some(token) => self.take_reserved(token, &owner.username, slot),
            None => {
                let port = self.ports[usize::from(relayed)].take(message.even_port, slot, now);
                port.map(|port| RelayedPort { relayed, port })
            }
        };
        let Some(port) = port else {
            self.quota.give_back(user);
            return Err(Refusal::InsufficientCapacity);
        };
        let token = self.reserve_next(message.even_port, port, &owner.username, now);
        let lifetime = lifetime(message.lifetime.filter(|asked| *asked > 0));
        let granted = Granted { transaction: message.transaction, lifetime, token };
        let address = SocketAddr::new(self.relayed[usize::from(port.relayed)], port.port);
        let allocation = Allocation::new(*client, owner, (port, address), granted, self.rate, now);
        self.schedule.wake(slot, allocation.expires, now);
        self.allocations.insert(allocation);
        self.by_client.insert(*client, slot);
        self.totals.granted += 1;
        Ok(Success::Allocated { relayed: address, lifetime, token })
    }

    /// RFC 8656 §7.2: the same request again is answered alike, another one is a mismatch.
    fn repeat(&self, slot: usize, message: &Message<'_>) -> Result<Success, Refusal> {
        let allocation = &self.allocations[slot];
        let Granted { transaction, lifetime, token } = allocation.granted;
        if transaction != message.transaction {
            return Err(Refusal::AllocationMismatch);
        }
        Ok(Success::Allocated { relayed: allocation.relayed, lifetime, token })
    }

    fn relayed_of(&self, family: u8) -> Result<u8, Refusal> {
        let fits = |ip: &std::net::IpAddr| if ip.is_ipv4() { family == IPV4 } else { family == IPV6 };
        self.relayed.iter().position(fits).map(|at| at as u8).ok_or(Refusal::FamilyNotSupported)
    }

    /// Only who reserved a port gets it.
    fn take_reserved(&mut self, token: [u8; 8], username: &[u8], slot: usize) -> Option<RelayedPort> {
        let fits =
            |reservation: &Reservation| reservation.token == token && *reservation.username == *username;
        let at = self.reservations.iter().position(fits)?;
        let port = self.reservations.remove(at)?.port;
        self.ports[usize::from(port.relayed)].take_reserved(port.port, slot);
        Some(port)
    }

    fn reserve_next(
        &mut self,
        even: Option<EvenPort>,
        port: RelayedPort,
        username: &[u8],
        now: Instant,
    ) -> Option<[u8; 8]> {
        if even != Some(EvenPort::WithNext) {
            return None;
        }
        let mut token = [0; 8];
        self.random.fill(&mut token);
        let port = RelayedPort { port: port.port + 1, ..port };
        let expires = now + RESERVATION_LIFE;
        self.reservations.push_back(Reservation { token, port, expires, username: username.into() });
        Some(token)
    }

    /// RFC 8656 §8.2.
    fn refresh(
        &mut self,
        slot: usize,
        message: &Message<'_>,
        now: Instant,
        io: &mut dyn Io,
    ) -> Result<Success, Refusal> {
        let relayed = self.allocations[slot].relayed;
        if message.requested_family.is_some_and(|family| (family == IPV4) != relayed.is_ipv4()) {
            return Err(Refusal::PeerFamilyMismatch);
        }
        if message.lifetime == Some(0) {
            self.free(slot, now, io);
            return Ok(Success::Refreshed { lifetime: Duration::ZERO });
        }
        let lifetime = lifetime(message.lifetime);
        self.allocations[slot].expires = now + lifetime;
        self.schedule.wake(slot, now + lifetime, now);
        Ok(Success::Refreshed { lifetime })
    }

    /// RFC 8656 §10.2: all peers or none.
    fn create_permission(
        &mut self,
        slot: usize,
        message: &Message<'_>,
        now: Instant,
    ) -> Result<Success, Refusal> {
        let peers = || message.peers().map(|peer| peer.ip());
        let allocation = &mut self.allocations[slot];
        if peers().next().is_none() {
            return Err(Refusal::BadRequest);
        }
        if peers().any(|ip| ip.is_ipv4() != allocation.relayed.is_ipv4()) {
            return Err(Refusal::PeerFamilyMismatch);
        }
        if peers().any(|ip| !self.peers.may_permit(ip)) {
            return Err(Refusal::Forbidden);
        }
        allocation.permit(peers(), now).map_err(|_| Refusal::InsufficientCapacity)?;
        Ok(Success::Done)
    }

    /// RFC 8656 §12.2.
    fn channel_bind(&mut self, slot: usize, message: &Message<'_>, now: Instant) -> Result<Success, Refusal> {
        let (Some(number), Some(peer)) = (message.channel, message.peer) else {
            return Err(Refusal::BadRequest);
        };
        let allocation = &mut self.allocations[slot];
        if !CHANNELS.contains(&number) || !allocation.may_bind(number, peer, now) {
            return Err(Refusal::BadRequest);
        }
        if peer.is_ipv4() != allocation.relayed.is_ipv4() {
            return Err(Refusal::PeerFamilyMismatch);
        }
        let route = self.peers.route(peer).ok_or(Refusal::Forbidden)?;
        allocation.bind(number, peer, route, now).map_err(|_| Refusal::InsufficientCapacity)?;
        Ok(Success::Done)
    }

    fn accept(&mut self, arrival: &Arrival<'_>, success: &Success, key: Option<&Key>, io: &mut dyn Io) {
        let length = reply::accept(&arrival.message, success, arrival.client.address(), key, &mut self.out);
        self.answer(arrival, length, key.is_some(), io);
    }

    fn refuse(&mut self, arrival: &Arrival<'_>, refusal: Refusal, key: Option<&Key>, io: &mut dyn Io) {
        let Arrival { client, message, .. } = arrival;
        self.count(refusal, message.has_integrity());
        let nonce = self.guard.nonce(client, arrival.unix_now, &mut self.random);
        let challenge = Challenge { realm: self.guard.realm.as_bytes(), nonce: &nonce };
        let challenge = Some(&challenge).filter(|_| refusal.challenges());
        let mut length = reply::refuse(message, refusal, challenge, key, &mut self.out);
        if client.is_datagram() && key.is_none() && reply::is_amplified(arrival.length, length) {
            length = reply::refuse(message, Refusal::BadRequest, None, None, &mut self.out);
        }
        self.answer(arrival, length, key.is_some(), io);
    }

    /// Strangers are answered up to a rate: their addresses may be forged.
    fn answer(&mut self, arrival: &Arrival<'_>, length: usize, is_known: bool, io: &mut dyn Io) {
        let Arrival { client, now, .. } = arrival;
        if is_known || !client.is_datagram() || self.strangers.may_answer(client.address().ip(), *now) {
            io.send_to_client(client, &self.out[..length]);
        } else {
            self.totals.dropped += 1;
        }
    }

    fn count(&mut self, refusal: Refusal, has_integrity: bool) {
        let counter = match refusal {
            Refusal::Unauthorized if has_integrity => &mut self.totals.unauthorized,
            Refusal::WrongCredentials => &mut self.totals.unauthorized,
            Refusal::Unauthorized | Refusal::StaleNonce => &mut self.totals.challenged,
            Refusal::Forbidden => &mut self.totals.forbidden,
            Refusal::QuotaReached => &mut self.totals.over_quota,
            Refusal::InsufficientCapacity => &mut self.totals.full,
            Refusal::BadRequest
            | Refusal::UnknownAttribute
            | Refusal::AllocationMismatch
            | Refusal::FamilyNotSupported
            | Refusal::UnsupportedTransport
            | Refusal::PeerFamilyMismatch => &mut self.totals.refused,
        };
        *counter += 1;
    }
}

/// RFC 8656 §7.2: what was asked for, between the default and the most.
fn lifetime(asked: Option<u32>) -> Duration {
    asked
        .map_or(DEFAULT_LIFETIME, |asked| Duration::from_secs(u64::from(asked)))
        .clamp(DEFAULT_LIFETIME, LONGEST_LIFETIME)
}

/// A protocol number of IANA's: peers are reached by UDP alone (no RFC 6062).
const UDP: u8 = 17;
// RFC 8656 §18.4.
const IPV4: u8 = 1;
const IPV6: u8 = 2;
/// RFC 8656 §3.2.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(600);
/// RFC 8656 §7.2 proposes an hour.
const LONGEST_LIFETIME: Duration = Duration::from_secs(3_600);
/// RFC 8656 §7.2: at least 30 s.
const RESERVATION_LIFE: Duration = Duration::from_secs(30);
