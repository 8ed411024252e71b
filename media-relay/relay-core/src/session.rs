//! Two legs, joined: what one peer says, the other hears.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use relay_api::{EventKind, LegName, SessionSpec, SessionStatistics};

use crate::bridge::Content;
use crate::bridge::digits::Digit;
use crate::bridge::routes::Route;
use crate::bridge::source::Place;
use crate::bridge::stream::Format;
use crate::demux::{self, Kind};
use crate::dtls::Progress;
use crate::engine::{Outside, PortPair, SocketId};
use crate::ice::{Checked, Path};
use crate::leg::Leg;
use crate::leg::plain::Plain;
use crate::rtp::Header;
use crate::stun::Request;

pub(crate) struct Session {
    pub(crate) spec: SessionSpec,
    /// A, then B.
    pub(crate) legs: [Leg; 2],
}

impl Session {
    pub(crate) fn new(spec: SessionSpec, a: Leg, b: Leg) -> Self {
        Self { spec, legs: [a, b] }
    }

    pub(crate) fn leg(&self, name: LegName) -> &Leg {
        let [a, b] = &self.legs;
        match name {
            LegName::A => a,
            LegName::B => b,
        }
    }

    pub(crate) fn statistics(&self) -> SessionStatistics {
        let [a, b] = &self.legs;
        SessionStatistics { id: self.spec.id.clone(), a: a.statistics(), b: b.statistics() }
    }

    pub(crate) fn leg_mut(&mut self, name: LegName) -> &mut Leg {
        self.pair(name).0
    }

    /// The named leg and the other one.
    fn pair(&mut self, name: LegName) -> (&mut Leg, &mut Leg) {
        let [a, b] = &mut self.legs;
        match name {
            LegName::A => (a, b),
            LegName::B => (b, a),
        }
    }

    /// Draws the consequences of a changed specification.
    pub(crate) fn settle(&mut self, now: Instant, outside: &mut Outside<'_>) {
        let is_complete = self.legs.iter().all(Leg::is_addressed);
        for name in [LegName::A, LegName::B] {
            let (leg, other) = self.pair(name);
            leg.join(other);
            leg.settle(now, outside.random);
            if let Some(web) = leg.as_web_mut().filter(|_| is_complete) {
                web.expect_connection(now);
            }
        }
    }

    /// The named leg's peer is elsewhere from now on; who hears it goes on hearing one stream.
    pub(crate) fn moved(&mut self, name: LegName) {
        let leg = self.leg_mut(name);
        leg.quality.reception.restart();
        leg.source.forget();
    }

    /// An ICE check that names this leg.
    pub(crate) fn check(
        &mut self,
        name: LegName,
        request: &Request<'_>,
        path: Path,
        now: Instant,
        outside: &mut Outside<'_>,
    ) -> Checked {
        let Some(web) = self.leg_mut(name).as_web_mut() else { return Checked::default() };
        let (checked, progress) = web.check(request, path, now, outside);
        self.progress(name, progress, now, outside);
        // Its consent may be back.
        self.leg_mut(name).settle(now, outside.random);
        checked
    }

    /// DTLS records from a valid path of this leg.
    pub(crate) fn records(
        &mut self,
        name: LegName,
        datagram: &[u8],
        now: Instant,
        outside: &mut Outside<'_>,
    ) {
        let Some(web) = self.leg_mut(name).as_web_mut() else { return };
        let progress = web.records(datagram, now, outside);
        self.progress(name, progress, now, outside);
    }

    /// SRTP or SRTCP from a valid path of this leg.
    pub(crate) fn protected(
        &mut self,
        name: LegName,
        kind: Kind,
        buffer: &mut [u8],
        length: usize,
        now: Instant,
        outside: &mut Outside<'_>,
    ) {
        let leg = self.leg_mut(name);
        let Some(web) = leg.as_web_mut() else { return };
        let Some(length) = web.open(kind, &mut buffer[..length]) else {
            leg.counters.unauthentic += 1;
            return;
        };
        match kind {
            Kind::Rtcp => self.report(name, &buffer[..length], now),
            Kind::Rtp | Kind::Stun | Kind::Dtls | Kind::Unknown => {
                self.sound(name, buffer, length, now, outside)
            }
        }
    }

    /// A datagram on a port pair of one of the legs.
    pub(crate) fn plain(
        &mut self,
        pair: PortPair,
        path: Path,
        buffer: &mut [u8],
        length: usize,
        now: Instant,
        outside: &mut Outside<'_>,
    ) {
        let is_a = self.leg(LegName::A).as_plain().is_some_and(|plain| plain.pair == pair);
        let name = if is_a { LegName::A } else { LegName::B };
        match (demux::kind(&buffer[..length]), path.socket) {
            (Kind::Rtp, SocketId::Rtp(_)) if self.believes(name, path, &buffer[..length]) => {
                self.sound(name, buffer, length, now, outside);
            }
            (Kind::Rtp, SocketId::Rtp(_)) => self.misdirected(name, path.remote, outside),
            (Kind::Rtcp, SocketId::Rtp(_) | SocketId::Rtcp(_))
                if self
                    .leg(name)
                    .as_plain()
                    .is_some_and(|plain| plain.believes_rtcp(path.socket, path.remote)) =>
            {
                self.report(name, &buffer[..length], now);
            }
            (Kind::Rtp | Kind::Rtcp | Kind::Stun | Kind::Dtls | Kind::Unknown, _) => {
                self.leg_mut(name).counters.wrong_source += 1;
            }
        }
    }

    /// RTP for this leg from an address that is not believed.
    fn misdirected(&mut self, name: LegName, from: SocketAddr, outside: &mut Outside<'_>) {
        let leg = self.leg_mut(name);
        leg.counters.wrong_source += 1;
        if let Some(expected) = leg.as_plain_mut().and_then(Plain::doubt) {
            outside.events.push(&self.spec.id, name, EventKind::WrongSource { from, expected });
        }
    }

    fn believes(&mut self, name: LegName, path: Path, packet: &[u8]) -> bool {
        let leg = self.leg_mut(name);
        let header = Header::parse(packet);
        let speaks = header.is_some_and(|header| leg.routes.of(header.payload_type) != Route::Unknown);
        leg.as_plain_mut().is_some_and(|plain| plain.believes_rtp(path.remote, speaks))
    }

    /// A clear, believed RTP packet: counted, searched for digits, and passed on to who hears this leg.
    fn sound(
        &mut self,
        name: LegName,
        buffer: &mut [u8],
        length: usize,
        now: Instant,
        outside: &mut Outside<'_>,
    ) {
        let (leg, other) = self.pair(name);
        // Whatever it is, it comes from the peer.
        leg.heard(false, now);
        let Some(header) = Header::parse(&buffer[..length]) else {
            leg.counters.unknown_payload_type += 1;
            return;
        };
        let Route::Negotiated { content, clock_rate, send } = leg.routes.of(header.payload_type) else {
            leg.counters.unknown_payload_type += 1;
            if leg.receives() {
                leg.quality.reception.pass_over(&header);
            }
            return;
        };
        let started = leg.heard(true, now);
        let mut digit = None;
        if leg.receives() {
            leg.counters.received_packets += 1;
            leg.counters.received_bytes += header.payload.len() as u64;
            leg.quality.reception.receive(&header, clock_rate, content == Content::Event, now);
            let place = leg.source.place(&header, content, clock_rate);
            digit = match content {
                Content::Event => {
                    leg.detector.event(&header, place, clock_rate, &buffer[header.payload.clone()])
                }
                Content::Sound => leg.detector.sound(&header, place, clock_rate),
            };
            let listener = if other.is_echo() { leg } else { other };
            if place == Place::First {
                listener.forget_source();
            }
            if let Some(payload_type) = send {
                let format = Format { content, clock_rate, payload_type };
                listener.pass(&header, place, format, buffer, now, outside.io);
            }
        }
        if let Some(kind) = started {
            outside.events.push(&self.spec.id, name, kind);
        }
        if let Some(Digit { digit, duration_ms }) = digit {
            outside.events.push(&self.spec.id, name, EventKind::Dtmf { digit, duration_ms });
        }
    }

    fn report(&mut self, name: LegName, compound: &[u8], now: Instant) {
        let leg = self.leg_mut(name);
        leg.heard(false, now);
        leg.report_arrived(compound, now);
    }

    /// Does what is due on both legs.
    pub(crate) fn handle_timeout(&mut self, now: Instant, outside: &mut Outside<'_>) {
        for name in [LegName::A, LegName::B] {
            let leg = self.leg_mut(name);
            if let Some(web) = leg.as_web_mut() {
                let progress = web.handle_timeout(now, outside);
                self.progress(name, progress, now, outside);
                self.leg_mut(name).settle(now, outside.random);
            }
            let (leg, other) = self.pair(name);
            if leg.generation_due(other).is_some_and(|due| due <= now) {
                leg.generate(other, now, outside.io);
            }
            let news = leg.report(now, outside.random, outside.io);
            let silence = leg.note_silence(outside.media_timeout, now);
            for kind in news.into_iter().flatten().map(EventKind::Quality).chain(silence) {
                outside.events.push(&self.spec.id, name, kind);
            }
        }
    }

    /// When something is due next.
    pub(crate) fn deadline(&self, media_timeout: Duration) -> Option<Instant> {
        let [a, b] = &self.legs;
        [(a, b), (b, a)]
            .into_iter()
            .flat_map(|(leg, other)| {
                [
                    leg.as_web().and_then(|web| web.deadline()),
                    leg.generation_due(other),
                    leg.report_due(),
                    leg.silence_due(media_timeout),
                ]
            })
            .flatten()
            .min()
    }

    /// Was a leg heard that had been silent, so that its next silence is to be waited for? Asked once.
    pub(crate) fn take_return(&mut self) -> bool {
        let [a, b] = &mut self.legs;
        a.take_return() | b.take_return()
    }

    fn progress(&mut self, name: LegName, progress: Progress, now: Instant, outside: &mut Outside<'_>) {
        match progress {
            Progress::None => {}
            Progress::Keys(_) => self.leg_mut(name).settle(now, outside.random),
            Progress::Failed(failure) => {
                outside.failures.count(failure);
                let reason = failure.to_string();
                outside.events.push(&self.spec.id, name, EventKind::TransportFailed { reason });
            }
        }
    }
}
