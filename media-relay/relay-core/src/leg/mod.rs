//! One side of a session: its transport, and the state of the sound in both directions.

mod consent;
mod generation;
pub(crate) mod plain;
mod reports;
pub(crate) mod web;

use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use relay_api::{
    Codec, Direction, EventKind, LegDescription, LegKind, LegSpec, LegStatistics, RelayError, RtpLeg,
    Service, StreamStatistics, WebRtcLeg,
};

use crate::bridge::digits::{Detector, Transmitter};
use crate::bridge::routes::Routes;
use crate::bridge::source::{Place, Source};
use crate::bridge::stream::{Format, Stream};
use crate::engine::{EngineConfig, Interface, Io, SocketId, interface};
use crate::quality::Quality;
use crate::random::Random;
use crate::rtcp::CNAME;
use crate::rtp::{self, Header};
use crate::service::Melody;
use generation::Formats;
use plain::Plain;
use reports::report_interval;
use web::Web;

pub(crate) struct Leg {
    pub(crate) transport: Transport,
    codecs: Vec<Codec>,
    direction: Direction,
    /// Towards who hears this leg.
    pub(crate) routes: Routes,
    formats: Formats,
    pub(crate) quality: Quality,
    /// Who speaks here.
    pub(crate) source: Source,
    pub(crate) detector: Detector,
    /// What the peer hears.
    stream: Stream,
    transmitter: Transmitter,
    pub(crate) counters: Counters,
    was_ready: bool,
    has_spoken: bool,
    is_silent: bool,
    /// It was heard again after that was told.
    is_back: bool,
    last_heard: Instant,
    /// When the next packet of our own may go.
    slot: Instant,
    report_at: Instant,
    cname: [u8; CNAME],
}

/// How a leg reaches its peer.
pub(crate) enum Transport {
    Web(Box<Web>),
    Plain(Plain),
    Service(Service, Melody),
}

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) received_packets: u64,
    pub(crate) received_bytes: u64,
    sent_packets: u64,
    sent_bytes: u64,
    pub(crate) unknown_payload_type: u64,
    pub(crate) wrong_source: u64,
    pub(crate) unauthentic: u64,
    silence_packets: u64,
}

/// What an adaptation changed beyond the leg: our ufrags that it made or gave up, and where the peer sends from.
#[derive(Default)]
pub(crate) struct Adapted {
    pub(crate) introduced: Vec<String>,
    pub(crate) retired: Vec<String>,
    pub(crate) has_moved: bool,
}

impl Leg {
    pub(crate) fn web(web: Web, epoch: Instant, now: Instant, random: &mut Random) -> Self {
        Self::new(Transport::Web(Box::new(web)), epoch, now, random)
    }

    pub(crate) fn plain(plain: Plain, epoch: Instant, now: Instant, random: &mut Random) -> Self {
        Self::new(Transport::Plain(plain), epoch, now, random)
    }

    pub(crate) fn service(service: Service, epoch: Instant, now: Instant, random: &mut Random) -> Self {
        Self::new(Transport::Service(service, Melody::default()), epoch, now, random)
    }

    fn new(transport: Transport, epoch: Instant, now: Instant, random: &mut Random) -> Self {
        let mut cname = [0; CNAME];
        cname.copy_from_slice(random.text(CNAME).as_bytes());
        Self {
            transport,
            codecs: Vec::new(),
            direction: Direction::default(),
            routes: Routes::join(&[], &[]),
            formats: Formats::default(),
            quality: Quality::new(epoch),
            source: Source::default(),
            detector: Detector::default(),
            stream: Stream::new(random.u32(), random.u16(), random.u32()),
            transmitter: Transmitter::default(),
            counters: Counters::default(),
            was_ready: false,
            has_spoken: false,
            is_silent: false,
            is_back: false,
            last_heard: now,
            slot: now,
            report_at: now,
            cname,
        }
    }

    /// Can this leg be adapted to `spec`, or must another take its place?
    pub(crate) fn is_of(&self, spec: &LegSpec, interfaces: &[Interface]) -> Result<bool, RelayError> {
        match (&self.transport, spec) {
            (Transport::Web(_), LegSpec::WebRtc(_)) => Ok(true),
            (Transport::Plain(plain), LegSpec::Rtp(rtp)) => {
                interface::stays(interfaces, plain.interface, rtp)
            }
            (Transport::Service(ours, _), LegSpec::Service(wanted)) => Ok(ours == wanted),
            (Transport::Web(_) | Transport::Plain(_) | Transport::Service(..), _) => Ok(false),
        }
    }

    /// Takes over what `spec` says, as far as it differs.
    pub(crate) fn adapt(&mut self, spec: &LegSpec, now: Instant, random: &mut Random) -> Adapted {
        match (&mut self.transport, spec) {
            (Transport::Web(web), LegSpec::WebRtc(leg)) => {
                let adapted = web.adapt(leg, now, random);
                let WebRtcLeg { codecs, direction, .. } = leg;
                self.take(codecs, *direction, now);
                adapted
            }
            (Transport::Plain(plain), LegSpec::Rtp(leg)) => {
                let has_moved = plain.adapt(leg);
                let RtpLeg { codecs, direction, .. } = leg;
                self.take(codecs, *direction, now);
                Adapted { has_moved, ..Adapted::default() }
            }
            (Transport::Web(_) | Transport::Plain(_) | Transport::Service(..), _) => Adapted::default(),
        }
    }

    fn take(&mut self, codecs: &[Codec], direction: Direction, now: Instant) {
        self.codecs = codecs.to_vec();
        if direction != self.direction {
            (self.direction, self.last_heard, self.is_silent) = (direction, now, false);
            // What was dropped while nothing was to be heard is no loss.
            self.quality.reception.restart();
            self.source.forget();
        }
        self.quality.set_codecs(codecs);
        self.formats = Formats::of(codecs);
    }

    /// Who hears this leg changed, or what they take.
    pub(crate) fn join(&mut self, other: &Self) {
        self.routes = Routes::join(&self.codecs, if other.is_echo() { &self.codecs } else { &other.codecs });
    }

    pub(crate) fn is_echo(&self) -> bool {
        matches!(self.transport, Transport::Service(Service::Echo, _))
    }

    pub(crate) fn as_web(&self) -> Option<&Web> {
        match &self.transport {
            Transport::Web(web) => Some(web),
            Transport::Plain(_) | Transport::Service(..) => None,
        }
    }

    pub(crate) fn as_web_mut(&mut self) -> Option<&mut Web> {
        match &mut self.transport {
            Transport::Web(web) => Some(web),
            Transport::Plain(_) | Transport::Service(..) => None,
        }
    }

    pub(crate) fn as_plain(&self) -> Option<&Plain> {
        match &self.transport {
            Transport::Plain(plain) => Some(plain),
            Transport::Web(_) | Transport::Service(..) => None,
        }
    }

    pub(crate) fn as_plain_mut(&mut self) -> Option<&mut Plain> {
        match &mut self.transport {
            Transport::Plain(plain) => Some(plain),
            Transport::Web(_) | Transport::Service(..) => None,
        }
    }

    /// Is the peer's side known?
    pub(crate) fn is_addressed(&self) -> bool {
        match &self.transport {
            Transport::Web(web) => web.is_addressed(),
            Transport::Plain(plain) => plain.rtp().is_some(),
            Transport::Service(..) => true,
        }
    }

    /// Can sound be sent to the peer now?
    pub(crate) fn is_ready(&self) -> bool {
        match &self.transport {
            Transport::Web(web) => web.is_ready(),
            Transport::Plain(plain) => plain.rtp().is_some(),
            Transport::Service(..) => false,
        }
    }

    pub(crate) fn receives(&self) -> bool {
        self.direction.receives()
    }

    /// Another source is heard here from now on, or one that counts anew.
    pub(crate) fn forget_source(&mut self) {
        self.stream.forget_source();
    }

    /// Starts what begins with the moment a leg becomes ready.
    pub(crate) fn settle(&mut self, now: Instant, random: &mut Random) {
        let is_ready = self.is_ready();
        if is_ready && !self.was_ready {
            (self.slot, self.last_heard) = (now, now);
            self.report_at = now + report_interval(random) / 2;
        }
        self.was_ready = is_ready;
    }

    /// Something believable arrived; the event if it is the first sound.
    pub(crate) fn heard(&mut self, is_sound: bool, now: Instant) -> Option<EventKind> {
        self.is_back |= self.is_silent;
        (self.last_heard, self.is_silent) = (now, false);
        let is_first = is_sound && !self.has_spoken;
        self.has_spoken |= is_sound;
        is_first.then_some(EventKind::MediaStarted)
    }

    /// Sends a source's packet on, in place: our header goes right before the payload.
    pub(crate) fn pass(
        &mut self,
        header: &Header,
        place: Place,
        format: Format,
        buffer: &mut [u8],
        now: Instant,
        io: &mut dyn Io,
    ) {
        if !self.direction.sends() || self.transmitter.is_active() || !self.is_ready() {
            return;
        }
        let Some(outgoing) = self.stream.forward(header, place, format, now) else { return };
        let Some(start) = header.payload.start.checked_sub(rtp::MINIMUM) else { return };
        if let Some(place) = buffer.get_mut(start..header.payload.start) {
            place.copy_from_slice(&outgoing.bytes());
            self.send(buffer, start..header.payload.end, io);
        }
    }

    fn send(&mut self, buffer: &mut [u8], packet: Range<usize>, io: &mut dyn Io) {
        let size = packet.len() - rtp::MINIMUM;
        let is_sent = match &mut self.transport {
            Transport::Web(web) => web.send_rtp(buffer, packet, io),
            Transport::Plain(plain) => match (plain.rtp(), buffer.get(packet)) {
                (Some(to), Some(datagram)) => {
                    io.transmit(SocketId::Rtp(plain.pair), to, datagram);
                    true
                }
                (Some(_) | None, _) => false,
            },
            Transport::Service(..) => false,
        };
        if is_sent {
            self.counters.sent_packets += 1;
            self.counters.sent_bytes += size as u64;
        }
    }

    /// When silence becomes worth telling.
    pub(crate) fn silence_due(&self, media_timeout: Duration) -> Option<Instant> {
        (self.is_ready() && self.direction.receives() && !self.is_silent)
            .then(|| self.last_heard + media_timeout)
    }

    /// Was it heard after its silence was told? Asked once.
    pub(crate) fn take_return(&mut self) -> bool {
        std::mem::take(&mut self.is_back)
    }

    /// Tells of silence once.
    pub(crate) fn note_silence(&mut self, media_timeout: Duration, now: Instant) -> Option<EventKind> {
        let is_due = self.silence_due(media_timeout).is_some_and(|due| due <= now);
        self.is_silent |= is_due;
        is_due.then_some(EventKind::MediaTimeout)
    }

    pub(crate) fn describe(&self, config: &EngineConfig) -> LegDescription {
        match &self.transport {
            Transport::Web(web) => LegDescription::WebRtc {
                ufrag: web.agent.local().ufrag.clone(),
                password: web.agent.local().password.clone(),
                candidates: config.candidates.clone(),
                fingerprint: config.identity.fingerprint(),
            },
            Transport::Plain(plain) => {
                let rtp = plain.local();
                LegDescription::Rtp { rtp, rtcp: SocketAddr::new(rtp.ip(), plain.pair.rtcp()) }
            }
            Transport::Service(..) => LegDescription::Service,
        }
    }

    pub(crate) fn statistics(&self) -> LegStatistics {
        let (counters, quality) = (&self.counters, &self.quality);
        LegStatistics {
            kind: match self.transport {
                Transport::Web(_) => LegKind::WebRtc,
                Transport::Plain(_) => LegKind::Rtp,
                Transport::Service(..) => LegKind::Service,
            },
            received: StreamStatistics {
                packets: counters.received_packets,
                bytes: counters.received_bytes,
                quality: quality.received(),
            },
            sent: StreamStatistics {
                packets: counters.sent_packets,
                bytes: counters.sent_bytes,
                quality: quality.sent(),
            },
            round_trip_ms: quality.round_trip_ms(),
            unknown_payload_type: counters.unknown_payload_type,
            wrong_source: counters.wrong_source,
            unauthentic: counters.unauthentic,
            silence_packets: counters.silence_packets,
        }
    }
}
