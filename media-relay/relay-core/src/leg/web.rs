//! The transport of a leg towards a browser: ICE-lite, DTLS, SRTP on one socket.

use std::ops::Range;
use std::time::Instant;

use relay_api::WebRtcLeg;

use super::Adapted;
use super::consent::Consent;
use crate::demux::Kind;
use crate::dtls::{Association, Expected, Progress};
use crate::engine::{Io, Outside};
use crate::ice::{Agent, Checked, Local, Path, Remote};
use crate::random::Random;
use crate::srtp::{Receiver, Sender};
use crate::stun::{MESSAGE_SIZE, Request};

pub(crate) struct Web {
    pub(crate) agent: Agent,
    association: Option<Association>,
    keys: Option<(Sender, Receiver)>,
    consent: Consent,
}

impl Web {
    pub(crate) fn new(random: &mut Random, now: Instant) -> Self {
        Self {
            agent: Agent::new(Local::random(random), None, now),
            association: None,
            keys: None,
            consent: Consent::Undue,
        }
    }

    /// Takes what the browser's SDP told. Another certificate is another association; other ICE credentials are not.
    pub(crate) fn adapt(&mut self, spec: &WebRtcLeg, now: Instant, random: &mut Random) -> Adapted {
        let Some(remote) = &spec.remote else { return Adapted::default() };
        let mut adapted = Adapted::default();
        let credentials = Remote { ufrag: remote.ufrag.clone(), password: remote.password.clone() };
        if self.agent.restarts_with(&credentials) {
            let local = Local::random(random);
            adapted.introduced.push(local.ufrag.clone());
            adapted.retired.extend(self.agent.restart(local, credentials));
            self.consent.restart(now);
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
        self.agent.selected().filter(|_| self.consent.is_given())
    }

    pub(crate) fn is_addressed(&self) -> bool {
        self.association.is_some()
    }

    /// The other leg is known too: from now on the browser is expected to connect.
    pub(crate) fn expect_connection(&mut self, now: Instant) {
        if self.is_addressed() {
            self.consent.expect(now);
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
        self.consent.renew(now);
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
        if let Some(failure) = self.consent.handle_timeout(self.agent.consent_ends(), now) {
            return Progress::Failed(failure);
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
        let consent = self.consent.timeout(self.agent.consent_ends());
        let association = self.association.as_ref().and_then(Association::timeout);
        consent.into_iter().chain(association).min()
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
