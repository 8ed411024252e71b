//! One side of a session: its transport, and the state of the sound in both directions.

pub(crate) mod plain;
pub(crate) mod web;

use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use relay_api::{
    Codec, Direction, EventKind, LegDescription, LegSpec, LegStatistics, RelayError, RtpLeg, Service,
    WebRtcLeg,
};

use crate::bridge::PTIME;
use crate::bridge::digits::{Detector, EventFormat, Transmitter};
use crate::bridge::routes::{Routes, is_events};
use crate::bridge::silence::Silence;
use crate::bridge::stream::Stream;
use crate::engine::{EngineConfig, Interface, Io, SocketId};
use crate::quality::Reception;
use crate::random::Random;
use crate::rtcp::{self, CNAME, Item, SenderInfo};
use crate::rtp::{self, Header, Outgoing};
use crate::service::{CLOCK_RATE, FRAME, G711, Melody};
use crate::srtp::OVERHEAD;
use plain::Plain;
use web::Web;

pub(crate) struct Leg {
    pub(crate) transport: Transport,
    codecs: Vec<Codec>,
    direction: Direction,
    /// Towards who hears this leg.
    pub(crate) routes: Routes,
    formats: Formats,
    pub(crate) reception: Reception,
    pub(crate) detector: Detector,
    stream: Stream,
    transmitter: Transmitter,
    pub(crate) counters: Counters,
    was_ready: bool,
    has_spoken: bool,
    is_silent: bool,
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

/// What the relay itself can send in a leg's formats.
#[derive(Default)]
struct Formats {
    silence: Option<Silence>,
    g711: Option<G711>,
    events: Option<EventFormat>,
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

/// Our ufrags that an adaptation made or gave up.
#[derive(Default)]
pub(crate) struct Adapted {
    pub(crate) introduced: Vec<String>,
    pub(crate) retired: Vec<String>,
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
            reception: Reception::new(epoch),
            detector: Detector::default(),
            stream: Stream::new(random.u32(), random.u16(), random.u32()),
            transmitter: Transmitter::default(),
            counters: Counters::default(),
            was_ready: false,
            has_spoken: false,
            is_silent: false,
            last_heard: now,
            slot: now,
            report_at: now,
            cname,
        }
    }

    /// Can this leg be adapted to `spec`, or must another take its place?
    pub(crate) fn is_of(&self, spec: &LegSpec, interfaces: &[Interface]) -> bool {
        match (&self.transport, spec) {
            (Transport::Web(_), LegSpec::WebRtc(_)) => true,
            (Transport::Plain(plain), LegSpec::Rtp(rtp)) => rtp.interface.as_ref().is_none_or(|name| {
                interfaces.get(usize::from(plain.pair.interface)).is_some_and(|ours| ours.name == *name)
            }),
            (Transport::Service(ours, _), LegSpec::Service(wanted)) => ours == wanted,
            (Transport::Web(_) | Transport::Plain(_) | Transport::Service(..), _) => false,
        }
    }

    /// Takes over what `spec` says, as far as it differs.
    pub(crate) fn adapt(&mut self, spec: &LegSpec, now: Instant, random: &mut Random) -> Adapted {
        match (&mut self.transport, spec) {
            (Transport::Web(web), LegSpec::WebRtc(leg)) => {
                let adapted = web.adapt(leg, random);
                let WebRtcLeg { codecs, direction, .. } = leg;
                self.take(codecs, *direction, now);
                adapted
            }
            (Transport::Plain(plain), LegSpec::Rtp(leg)) => {
                plain.adapt(leg);
                let RtpLeg { codecs, direction, .. } = leg;
                self.take(codecs, *direction, now);
                Adapted::default()
            }
            (Transport::Web(_) | Transport::Plain(_) | Transport::Service(..), _) => Adapted::default(),
        }
    }

    fn take(&mut self, codecs: &[Codec], direction: Direction, now: Instant) {
        self.codecs = codecs.to_vec();
        if direction != self.direction {
            (self.direction, self.last_heard, self.is_silent) = (direction, now, false);
        }
        let g711 = G711::of(codecs);
        let events = codecs.iter().filter(|codec| is_events(codec));
        let main_clock = codecs.iter().find(|codec| !is_events(codec)).map(|codec| codec.clock_rate);
        self.formats = Formats {
            silence: Silence::of(codecs),
            g711,
            events: events
                .clone()
                .find(|codec| Some(codec.clock_rate) == main_clock)
                .or(events.clone().next())
                .map(|codec| EventFormat { clock_rate: codec.clock_rate, payload_type: codec.send }),
        };
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
        (self.last_heard, self.is_silent) = (now, false);
        let is_first = is_sound && !self.has_spoken;
        self.has_spoken |= is_sound;
        is_first.then_some(EventKind::MediaStarted)
    }

    /// Sends a source's packet on, in place: our header goes right before the payload.
    pub(crate) fn pass(
        &mut self,
        header: &Header,
        clock_rate: u32,
        payload_type: u8,
        buffer: &mut [u8],
        now: Instant,
        io: &mut dyn Io,
    ) {
        if !self.direction.sends() || self.transmitter.is_active() || !self.is_ready() {
            return;
        }
        let Some(outgoing) = self.stream.forward(header, clock_rate, payload_type, now) else { return };
        let Some(start) = header.payload.start.checked_sub(rtp::MINIMUM) else { return };
        if let Some(place) = buffer.get_mut(start..header.payload.start) {
            place.copy_from_slice(&outgoing.bytes());
            self.send(buffer, start..header.payload.end, io);
        }
    }

    /// Queues a digit for the peer.
    pub(crate) fn send_digit(&mut self, digit: char, duration: Duration) -> Result<(), RelayError> {
        let reason = match (self.formats.events, self.transmitter.push(digit, duration)) {
            (Some(_), true) => return Ok(()),
            (Some(_), false) => "no such digit, or too many are waiting",
            (None, _) => "telephone-event is not negotiated",
        };
        Err(RelayError::Invalid { reason: reason.to_owned() })
    }

    /// When the relay has something of its own to send: a digit, the melody, or silence on a plain leg whose peer
    /// would otherwise hear nothing at all.
    pub(crate) fn generation_due(&self, other: &Self) -> Option<Instant> {
        if !self.is_ready() {
            return None;
        }
        if let (Some(_), Some(due)) = (self.formats.events, self.transmitter.due(self.slot)) {
            return Some(due);
        }
        if self.plays(other) {
            return Some(self.slot);
        }
        let is_plain = matches!(self.transport, Transport::Plain(_));
        (is_plain && self.formats.silence.is_some()).then(|| match self.stream.sent_at() {
            Some(sent_at) if !self.stream.is_generated() => self.slot.max(sent_at + PAUSE),
            Some(_) | None => self.slot,
        })
    }

    fn plays(&self, other: &Self) -> bool {
        let is_tone = matches!(other.transport, Transport::Service(Service::Tone, _));
        is_tone && self.direction.sends() && self.formats.g711.is_some()
    }

    /// Sends what [`Leg::generation_due`] announced.
    pub(crate) fn generate(&mut self, other: &mut Self, now: Instant, io: &mut dyn Io) {
        let next = self.slot + PTIME;
        // What was missed, while the thread slept or somebody else spoke, is not made up for.
        self.slot = if next > now { next } else { now + PTIME };
        if let Some(format) = self.formats.events
            && self.transmitter.due(now).is_some_and(|due| due <= now)
        {
            if let Some((outgoing, payload)) = self.transmitter.next(&mut self.stream, format, now) {
                self.emit(&outgoing, &payload, io);
            }
        } else if self.plays(other)
            && let (Some(g711), Transport::Service(_, melody)) = (self.formats.g711, &mut other.transport)
        {
            let payload = melody.play(g711);
            let outgoing = self.stream.generate(CLOCK_RATE, g711.payload_type, FRAME, now);
            self.emit(&outgoing, &payload, io);
        } else if let Some(silence) = self.formats.silence {
            let size = silence.payload.len();
            let outgoing = self.stream.generate(silence.clock_rate, silence.payload_type, size, now);
            self.counters.silence_packets += 1;
            self.emit(&outgoing, silence.payload, io);
        }
    }

    fn emit(&mut self, outgoing: &Outgoing, payload: &[u8], io: &mut dyn Io) {
        let mut buffer = [0; rtp::MINIMUM + FRAME + OVERHEAD];
        let length = rtp::MINIMUM + payload.len();
        buffer[..rtp::MINIMUM].copy_from_slice(&outgoing.bytes());
        buffer[rtp::MINIMUM..length].copy_from_slice(payload);
        self.send(&mut buffer, 0..length, io);
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

    /// An RTCP compound from the peer.
    pub(crate) fn report_arrived(&mut self, compound: &[u8], now: Instant) {
        let ours = self.stream.ssrc();
        rtcp::read(compound, |item| match item {
            Item::Sender { ssrc, ntp_middle } => self.reception.sender_report(ssrc, ntp_middle, now),
            Item::Block(block) if block.ssrc == ours => self.reception.report_block(&block, now),
            Item::Block(_) => {}
        });
    }

    /// Sends our report when it is due: RTCP ends at each leg, so that each peer gets figures of its own path.
    pub(crate) fn report(&mut self, now: Instant, random: &mut Random, io: &mut dyn Io) {
        if self.report_due().is_none_or(|due| due > now) {
            return;
        }
        self.report_at = now + report_interval(random);
        let ntp = self.reception.ntp(now);
        let sender = self.stream.sender_state(now).map(|(timestamp, packets, octets)| SenderInfo {
            ntp,
            timestamp,
            packets,
            octets,
        });
        let block = self.reception.report(now);
        let mut buffer = [0; 160];
        let length =
            rtcp::write(&mut buffer, self.stream.ssrc(), sender.as_ref(), block.as_ref(), &self.cname);
        match &mut self.transport {
            Transport::Web(web) => web.send_rtcp(&mut buffer, length, io),
            Transport::Plain(plain) => {
                if let Some((socket, to)) = plain.rtcp() {
                    io.transmit(socket, to, &buffer[..length]);
                }
            }
            Transport::Service(..) => {}
        }
    }

    pub(crate) fn report_due(&self) -> Option<Instant> {
        self.is_ready().then_some(self.report_at)
    }

    /// When silence becomes worth telling.
    pub(crate) fn silence_due(&self, media_timeout: Duration) -> Option<Instant> {
        (self.is_ready() && self.direction.receives() && !self.is_silent)
            .then(|| self.last_heard + media_timeout)
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
        let counters = &self.counters;
        LegStatistics {
            received_packets: counters.received_packets,
            received_bytes: counters.received_bytes,
            sent_packets: counters.sent_packets,
            sent_bytes: counters.sent_bytes,
            lost_packets: self.reception.lost(),
            jitter_ms: self.reception.jitter_ms(),
            round_trip_ms: self.reception.round_trip_ms(),
            unknown_payload_type: counters.unknown_payload_type,
            wrong_source: counters.wrong_source,
            unauthentic: counters.unauthentic,
            silence_packets: counters.silence_packets,
        }
    }
}

/// RFC 3550 §6.2 and §6.3.1: 5 s, made uneven so that reports of many sessions do not meet.
fn report_interval(random: &mut Random) -> Duration {
    Duration::from_secs(5).mul_f64(0.5 + random.fraction())
}

/// How long a source may be late before silence takes its place: longer than a poor network's jitter, shorter than
/// what a listener notices.
const PAUSE: Duration = Duration::from_millis(100);
