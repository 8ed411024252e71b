//! The engine: all sessions of one worker.
//!
//! A driver owns one engine per thread. It hands in datagrams ([`Engine::handle_input`]) and time
//! ([`Engine::handle_timeout`]), sleeps until [`Engine::poll_timeout`], and fetches events ([`Engine::poll_event`]).

mod early;
mod events;
pub(crate) mod interface;
mod io;
mod legs;
mod ports;
pub(crate) mod schedule;
mod validate;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};

use relay_api::{
    Event, LegName, LegSpec, RelayError, SessionDescription, SessionId, SessionSpec, SessionStatistics,
};
use slab::Slab;

use crate::demux::{self, Kind};
use crate::dtls::Identity;
use crate::failure::TransportFailures;
use crate::ice::{self, Path};
use crate::random::Random;
use crate::session::Session;
use crate::stun::Request;
use early::Early;
pub(crate) use events::Events;
pub use interface::Interface;
pub use io::{Io, PortPair, SocketId};
use ports::Ports;
use schedule::{GRID, Schedule};

/// What an engine is told at its start.
pub struct EngineConfig {
    /// What browsers are told, best first.
    pub candidates: Vec<SocketAddr>,
    /// Where plain RTP peers reach us. At most 256.
    pub interfaces: Vec<Interface>,
    /// The ports of the interfaces, used in pairs. At most 256.
    pub ranges: Vec<RangeInclusive<u16>>,
    /// Our certificate.
    pub identity: Arc<dyn Identity>,
    /// Silence on a leg that should speak, after which `MediaTimeout` is told.
    pub media_timeout: Duration,
    /// How long a port rests before another session gets it.
    pub port_quarantine: Duration,
    /// More are refused.
    pub max_sessions: usize,
    /// From the operating system's generator.
    pub seed: [u8; 32],
}

/// What an engine holds and has dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Sessions now.
    pub sessions: usize,
    /// Port pairs that sessions hold now.
    pub port_pairs: usize,
    /// Browser addresses that ICE has validated and that still count.
    pub paths: usize,
    /// Datagrams from nobody we know.
    pub strangers: u64,
    /// Events that nobody fetched in time.
    pub events_lost: u64,
    /// Transports of browsers that failed.
    pub failures: TransportFailures,
}

/// See the [module's documentation](self).
pub struct Engine {
    config: EngineConfig,
    epoch: Instant,
    random: Random,
    sessions: Slab<Session>,
    by_id: HashMap<SessionId, usize>,
    by_ufrag: HashMap<String, (usize, LegName)>,
    by_path: HashMap<Path, (usize, LegName)>,
    ports: Vec<Ports>,
    early: Early,
    schedule: Schedule,
    events: Events,
    strangers: u64,
    failures: TransportFailures,
}

/// What a session reaches of the engine while it works.
pub(crate) struct Outside<'a> {
    pub(crate) io: &'a mut dyn Io,
    pub(crate) events: &'a mut Events,
    pub(crate) identity: &'a dyn Identity,
    pub(crate) random: &'a mut Random,
    pub(crate) failures: &'a mut TransportFailures,
    pub(crate) media_timeout: Duration,
}

impl Engine {
    /// An engine without sessions.
    pub fn new(config: EngineConfig, now: Instant) -> Self {
        let ports =
            config.ranges.iter().map(|range| Ports::new(range.clone(), config.port_quarantine)).collect();
        Self {
            random: Random::new(config.seed),
            config,
            epoch: now,
            sessions: Slab::new(),
            by_id: HashMap::new(),
            by_ufrag: HashMap::new(),
            by_path: HashMap::new(),
            ports,
            early: Early::default(),
            schedule: Schedule::new(now),
            events: Events::default(),
            strangers: 0,
            failures: TransportFailures::default(),
        }
    }

    /// Makes a session what the specification says. A repeated one changes nothing; one that fails changes nothing.
    pub fn put(
        &mut self,
        spec: SessionSpec,
        now: Instant,
        io: &mut dyn Io,
    ) -> Result<SessionDescription, RelayError> {
        validate::check(&spec)?;
        let slot = match self.by_id.get(&spec.id).copied() {
            Some(slot) => {
                let session = &self.sessions[slot];
                let is_repeated = session.spec == spec;
                if spec.revision <= session.spec.revision && !is_repeated {
                    return Err(RelayError::Stale { revision: session.spec.revision });
                }
                if !is_repeated {
                    self.change(slot, spec, now, io)?;
                }
                slot
            }
            None => self.create(spec, now, io)?,
        };
        self.reschedule(slot, now);
        Ok(self.describe(slot))
    }

    /// Ends a session; its last statistics, if there was one.
    pub fn delete(&mut self, id: &SessionId, now: Instant, io: &mut dyn Io) -> Option<SessionStatistics> {
        let slot = self.by_id.remove(id)?;
        let session = self.sessions.remove(slot);
        let statistics = session.statistics();
        for leg in session.legs {
            self.release(leg, now, io);
        }
        self.schedule.forget(slot);
        Some(statistics)
    }

    /// Is there such a session?
    pub fn holds(&self, id: &SessionId) -> bool {
        self.by_id.contains_key(id)
    }

    /// How both legs are.
    pub fn statistics(&self, id: &SessionId) -> Result<SessionStatistics, RelayError> {
        let slot = *self.by_id.get(id).ok_or(RelayError::Unknown)?;
        Ok(self.sessions[slot].statistics())
    }

    /// Queues a digit towards the peer of `leg`, as RFC 4733.
    pub fn dtmf(
        &mut self,
        id: &SessionId,
        leg: LegName,
        digit: char,
        duration: Duration,
        now: Instant,
    ) -> Result<(), RelayError> {
        let slot = *self.by_id.get(id).ok_or(RelayError::Unknown)?;
        self.sessions[slot].leg_mut(leg).send_digit(digit, duration)?;
        self.reschedule(slot, now);
        Ok(())
    }

    /// Takes `buffer[..length]`, received from `source` on `socket`. What follows in the buffer is room for tags.
    pub fn handle_input(
        &mut self,
        socket: SocketId,
        source: SocketAddr,
        buffer: &mut [u8],
        length: usize,
        now: Instant,
        io: &mut dyn Io,
    ) {
        if length > buffer.len() {
            return;
        }
        let path = Path { socket, remote: source };
        let kind = demux::kind(&buffer[..length]);
        let is_media = matches!(kind, Kind::Rtp | Kind::Rtcp);
        let slot = match socket {
            SocketId::Mux(_) => match kind {
                Kind::Stun => self.check(path, &buffer[..length], now, io),
                Kind::Dtls => self.records(path, &buffer[..length], now, io),
                Kind::Rtp | Kind::Rtcp => self.protected(path, kind, buffer, length, now, io),
                Kind::Unknown => None,
            },
            SocketId::Rtp(pair) | SocketId::Rtcp(pair) => self.plain(pair, path, buffer, length, now, io),
        };
        let Some(slot) = slot else {
            self.strangers += 1;
            return;
        };
        // Media moves deadlines away, but brings back that of a leg which was silent.
        let may_wait = is_media && self.schedule.is_far(slot, now) && !self.sessions[slot].take_return();
        if !may_wait {
            self.reschedule(slot, now);
        }
    }

    /// Does what is due: some of it, if there is much; [`Engine::poll_timeout`] then is in the past.
    pub fn handle_timeout(&mut self, now: Instant, io: &mut dyn Io) {
        for _ in 0..MAX_DUE {
            let Some(slot) = self.schedule.pop(now) else { return };
            let mut outside = outside!(self, io);
            self.sessions[slot].handle_timeout(now, &mut outside);
            self.reschedule(slot, now);
        }
    }

    /// When [`Engine::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.schedule.next()
    }

    /// What happened, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    /// What the engine holds and has dropped.
    pub fn totals(&self) -> Totals {
        Totals {
            sessions: self.sessions.len(),
            port_pairs: self.ports.iter().map(Ports::in_use).sum(),
            paths: self.by_path.len(),
            strangers: self.strangers,
            events_lost: self.events.lost(),
            failures: self.failures,
        }
    }

    fn create(&mut self, spec: SessionSpec, now: Instant, io: &mut dyn Io) -> Result<usize, RelayError> {
        if self.sessions.len() >= self.config.max_sessions {
            return Err(RelayError::Full { what: "sessions".to_owned() });
        }
        let slot = self.sessions.vacant_key();
        let a = self.leg(&spec.a, slot, LegName::A, now, io)?;
        let b = match self.leg(&spec.b, slot, LegName::B, now, io) {
            Ok(b) => b,
            Err(error) => {
                self.release(a, now, io);
                return Err(error);
            }
        };
        self.by_id.insert(spec.id.clone(), slot);
        let mut session = Session::new(spec, a, b);
        session.settle(now, &mut outside!(self, io));
        self.sessions.insert(session);
        Ok(slot)
    }

    /// Changes a session to a later revision: legs of another kind are replaced, the others adapted.
    fn change(
        &mut self,
        slot: usize,
        spec: SessionSpec,
        now: Instant,
        io: &mut dyn Io,
    ) -> Result<(), RelayError> {
        let keeps =
            |name| self.sessions[slot].leg(name).is_of(leg_spec(&spec, name), &self.config.interfaces);
        let kept = [(LegName::A, keeps(LegName::A)?), (LegName::B, keeps(LegName::B)?)];
        let mut replacements = Vec::new();
        for (name, _) in kept.into_iter().filter(|(_, is_kept)| !is_kept) {
            match self.leg(leg_spec(&spec, name), slot, name, now, io) {
                Ok(leg) => replacements.push((name, leg)),
                Err(error) => {
                    for (_, leg) in replacements {
                        self.release(leg, now, io);
                    }
                    return Err(error);
                }
            }
        }
        for (name, leg) in replacements {
            let old = std::mem::replace(self.sessions[slot].leg_mut(name), leg);
            self.release(old, now, io);
        }
        let session = &mut self.sessions[slot];
        for name in [LegName::A, LegName::B] {
            let adapted = session.leg_mut(name).adapt(leg_spec(&spec, name), now, &mut self.random);
            for ufrag in adapted.retired {
                self.by_ufrag.remove(&ufrag);
            }
            for ufrag in adapted.introduced {
                self.by_ufrag.insert(ufrag, (slot, name));
            }
            if adapted.has_moved {
                session.moved(name);
            }
        }
        session.spec = spec;
        session.settle(now, &mut outside!(self, io));
        Ok(())
    }

    /// A STUN message: whose is it, and what does it change?
    fn check(&mut self, path: Path, datagram: &[u8], now: Instant, io: &mut dyn Io) -> Option<usize> {
        let request = Request::parse(datagram)?;
        let (slot, name) = *self.by_ufrag.get(ice::local_ufrag(&request)?)?;
        let mut outside = outside!(self, io);
        let checked = self.sessions[slot].check(name, &request, path, now, &mut outside);
        for forgotten in &checked.forgotten {
            self.by_path.remove(forgotten);
        }
        if let Some(ufrag) = &checked.retired {
            self.by_ufrag.remove(ufrag);
        }
        if checked.valid
            && let Some((other, other_name)) = self.by_path.insert(path, (slot, name))
            && (other, other_name) != (slot, name)
            && let Some(web) = self.sessions[other].leg_mut(other_name).as_web_mut()
        {
            // The address belongs to who authenticated last.
            web.agent.forget(&path);
        }
        if checked.valid {
            for datagram in self.early.take(&path, now) {
                let mut outside = outside!(self, io);
                self.sessions[slot].records(name, &datagram, now, &mut outside);
            }
        }
        Some(slot)
    }

    fn records(&mut self, path: Path, datagram: &[u8], now: Instant, io: &mut dyn Io) -> Option<usize> {
        let Some((slot, name)) = self.by_path.get(&path).copied() else {
            self.early.keep(path, datagram, now);
            return None;
        };
        let mut outside = outside!(self, io);
        self.sessions[slot].records(name, datagram, now, &mut outside);
        Some(slot)
    }

    fn protected(
        &mut self,
        path: Path,
        kind: Kind,
        buffer: &mut [u8],
        length: usize,
        now: Instant,
        io: &mut dyn Io,
    ) -> Option<usize> {
        let (slot, name) = *self.by_path.get(&path)?;
        let mut outside = outside!(self, io);
        self.sessions[slot].protected(name, kind, buffer, length, now, &mut outside);
        Some(slot)
    }

    fn plain(
        &mut self,
        pair: PortPair,
        path: Path,
        buffer: &mut [u8],
        length: usize,
        now: Instant,
        io: &mut dyn Io,
    ) -> Option<usize> {
        let slot = self.ports.get(usize::from(pair.range))?.owner(pair.rtp)?;
        let mut outside = outside!(self, io);
        let session = self.sessions.get_mut(slot)?;
        session.plain(pair, path, buffer, length, now, &mut outside);
        Some(slot)
    }

    fn describe(&self, slot: usize) -> SessionDescription {
        let session = &self.sessions[slot];
        let describe = |name| session.leg(name).describe(&self.config);
        SessionDescription {
            id: session.spec.id.clone(),
            revision: session.spec.revision,
            a: describe(LegName::A),
            b: describe(LegName::B),
            relay: None,
        }
    }

    /// A session never asks to be woken at once: whatever it is due for, it did just now.
    fn reschedule(&mut self, slot: usize, now: Instant) {
        if let Some(at) =
            self.sessions.get(slot).and_then(|session| session.deadline(self.config.media_timeout))
        {
            self.schedule.wake(slot, at.max(now + GRID / 5), now);
        }
    }
}

/// The parts of an engine that a session may reach, borrowed apart from the sessions.
macro_rules! outside {
    ($engine:expr, $io:expr) => {
        Outside {
            io: &mut *$io,
            events: &mut $engine.events,
            identity: &*$engine.config.identity,
            random: &mut $engine.random,
            failures: &mut $engine.failures,
            media_timeout: $engine.config.media_timeout,
        }
    };
}
use outside;

fn leg_spec(spec: &SessionSpec, name: LegName) -> &LegSpec {
    match name {
        LegName::A => &spec.a,
        LegName::B => &spec.b,
    }
}

/// Sessions woken in one go; packets wait meanwhile.
const MAX_DUE: usize = 256;

#[cfg(test)]
mod tests;
