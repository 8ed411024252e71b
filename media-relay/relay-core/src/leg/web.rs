//! The transport of a leg towards a browser: ICE-lite, DTLS, SRTP on one socket.

use std::ops::Range;
use std::time::Instant;

use relay_api::WebRtcLeg;

use super::Adapted;
use crate::demux::Kind;
use crate::dtls::{Association, Expected, Progress};
use crate::engine::{Io, Outside};
use crate::failure::Failure;
use crate::ice::{Agent, CONSENT, Checked, Local, Path, Remote};
use crate::random::Random;
use crate::srtp::{Receiver, Sender};
use crate::stun::{MESSAGE_SIZE, Request};

pub(crate) struct Web {
    pub(crate) agent: Agent,
    association: Option<Association>,
    keys: Option<(Sender, Receiver)>,
    /// Checks must begin by then: set once both sides of the session are known.
    connect_by: Option<Instant>,
    /// The end of the connection was told.
    is_lost: bool,
    consent: Consent,
}

/// May anything be sent to the browser? RFC 7675 §5.1: not without a check that is younger than 30 s.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Consent {
    Given,
    Missing,
}

impl Web {
    pub(crate) fn new(random: &mut Random, now: Instant) -> Self {
        Self {
            agent: Agent::new(Local::random(random), None, now),
            association: None,
            keys: None,
            connect_by: None,
            is_lost: false,
            consent: Consent::Missing,
        }
    }

    /// Takes what the browser's SDP told. Another certificate is another association; other ICE credentials are not.
    pub(crate) fn adapt(&mut self, spec: &WebRtcLeg, random: &mut Random) -> Adapted {
        let Some(remote) = &spec.remote else { return Adapted::default() };
        let mut adapted = Adapted::default();
        let credentials = Remote { ufrag: remote.ufrag.clone(), password: remote.password.clone() };
        if self.agent.restarts_with(&credentials) {
            let local = Local::random(random);
            adapted.introduced.push(local.ufrag.clone());
            adapted.retired.extend(self.agent.restart(local, credentials));
            self.is_lost = false;
        } else {
            self.agent.set_remote(credentials);
        }
        let expected: Vec<_> = remote.fingerprints.iter().filter_map(Expected::parse).collect();
        match &mut self.association {
            Some(association) if association.expected() == expected => association.set_role(spec.dtls),
            association => {
                *association = Some(Association::new(spec.dtls, expected));
                self.keys = None;
            }
        }
        adapted
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.keys.is_some() && self.path().is_some()
    }

    /// Where to send, as long as the browser consents.
    fn path(&self) -> Option<Path> {
        self.agent.selected().filter(|_| self.consent == Consent::Given)
    }

    pub(crate) fn is_addressed(&self) -> bool {
        self.association.is_some()
    }

    /// The other leg is known too: from now on the browser is expected to connect.
    pub(crate) fn expect_connection(&mut self, now: Instant) {
        if self.connect_by.is_none() && self.is_addressed() {
            self.connect_by = Some(now + CONSENT);
        }
    }

    /// An ICE check.
    pub(crate) fn check(
        &mut self,
        request: &Request<'_>,
        path: Path,
        now: Instant,
        outside: &mut Outside<'_>,
    ) -> (Checked, Progress) {
        let mut answer = [0; MESSAGE_SIZE];
        let checked = self.agent.check(request, path, now, &mut answer);
        if checked.answer > 0 {
            outside.io.transmit(path.socket, path.remote, &answer[..checked.answer]);
        }
        if !checked.valid {
            return (checked, Progress::None);
        }
        (self.is_lost, self.consent) = (false, Consent::Given);
        let progress =
            self.associate(outside, |association, identity, send| association.start(identity, now, send));
        (checked, progress)
    }

    /// DTLS records from a valid path.
    pub(crate) fn records(&mut self, datagram: &[u8], now: Instant, outside: &mut Outside<'_>) -> Progress {
        self.associate(outside, |association, identity, send| {
            association.handle_input(identity, datagram, now, send)
        })
    }

    /// Opens SRTP or SRTCP in place.
    pub(crate) fn open(&mut self, kind: Kind, packet: &mut [u8]) -> Option<usize> {
        let (_, receiver) = self.keys.as_mut()?;
        let length = match kind {
            Kind::Rtcp => receiver.unprotect_rtcp(packet),
            Kind::Rtp | Kind::Stun | Kind::Dtls | Kind::Unknown => receiver.unprotect(packet),
        }?;
        if let Some(association) = &mut self.association {
            association.peer_has_finished();
        }
        Some(length)
    }

    /// Protects and sends the RTP packet at `packet`.
    pub(crate) fn send_rtp(&mut self, buffer: &mut [u8], packet: Range<usize>, io: &mut dyn Io) -> bool {
        let path = self.path();
        let (Some((sender, _)), Some(path)) = (&mut self.keys, path) else { return false };
        let sealed = sender.protect(buffer, packet);
        sealed.and_then(|sealed| buffer.get(sealed)).is_some_and(|datagram| {
            io.transmit(path.socket, path.remote, datagram);
            true
        })
    }

    /// Protects and sends the RTCP packet at the start of `buffer`.
    pub(crate) fn send_rtcp(&mut self, buffer: &mut [u8], length: usize, io: &mut dyn Io) {
        let path = self.path();
        let (Some((sender, _)), Some(path)) = (&mut self.keys, path) else { return };
        let sealed = sender.protect_rtcp(buffer, length);
        if let Some(datagram) = sealed.and_then(|sealed| buffer.get(..sealed)) {
            io.transmit(path.socket, path.remote, datagram);
        }
    }

    /// Lets time pass; whether the transport failed just now.
    pub(crate) fn handle_timeout(&mut self, now: Instant, outside: &mut Outside<'_>) -> Progress {
        if !self.is_lost && self.connection_ends().is_some_and(|at| at <= now) {
            (self.is_lost, self.consent) = (true, Consent::Missing);
            return Progress::Failed(match self.agent.selected() {
                Some(_) => Failure::Consent,
                None => Failure::Unreachable,
            });
        }
        match &self.association {
            Some(association) if association.timeout().is_some_and(|at| at <= now) => self
                .associate(outside, |association, identity, send| {
                    association.handle_timeout(identity, now, send)
                }),
            Some(_) | None => Progress::None,
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let connection = self.connection_ends().filter(|_| !self.is_lost);
        let association = self.association.as_ref().and_then(Association::timeout);
        connection.into_iter().chain(association).min()
    }

    fn connection_ends(&self) -> Option<Instant> {
        self.agent.consent_ends().or(self.connect_by)
    }

    /// Runs a step of the association; what it sends goes to the selected path, its keys are put to use.
    fn associate(
        &mut self,
        outside: &mut Outside<'_>,
        step: impl FnOnce(&mut Association, &dyn crate::dtls::Identity, &mut dyn FnMut(&[u8])) -> Progress,
    ) -> Progress {
        let path = self.path();
        let (Some(association), Some(path)) = (&mut self.association, path) else {
            return Progress::None;
        };
        let io = &mut *outside.io;
        let progress = step(association, outside.identity, &mut |datagram| {
            io.transmit(path.socket, path.remote, datagram);
        });
        if let Progress::Keys(keys) = &progress {
            self.keys = Some((Sender::new(&keys.send), Receiver::new(&keys.receive)));
        }
        progress
    }
}
