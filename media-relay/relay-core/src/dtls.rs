//! DTLS-SRTP (RFC 5763, RFC 5764) for one browser: handshake, certificate check, keys.
//!
//! The protocol itself is behind the small trait [`Dtls`]; [`DimplIdentity`] is what runs by default. An `Association` adds
//! what the relay wants of any of them: keys are used only after the certificate's fingerprint was found in the SDP,
//! plaintext alerts end nothing, and what breaks a handshake starts a new one instead of ending the call.

mod by_dimpl;

use std::time::{Duration, Instant};

use relay_api::{DtlsRole, Fingerprint};
use sha2::{Digest, Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::srtp::{MasterKey, Profile};
pub use by_dimpl::DimplIdentity;

/// One DTLS association, without clock and socket.
pub trait Dtls: Send {
    /// Takes one datagram of records from the peer.
    fn handle_input(&mut self, datagram: &[u8], now: Instant) -> Result<(), Broken>;
    /// Lets time pass.
    fn handle_timeout(&mut self, now: Instant) -> Result<(), Broken>;
    /// What is to be done next; asked until it is [`Output::Wait`].
    fn poll_output<'a>(&mut self, buffer: &'a mut [u8]) -> Output<'a>;
}

/// What a [`Dtls`] wants done.
pub enum Output<'a> {
    /// Send this to the peer.
    Send(&'a [u8]),
    /// The peer's certificate, DER.
    Certificate(&'a [u8]),
    /// RFC 5764 §4.2: client key, server key, client salt, server salt.
    Keys(Profile, Zeroizing<Vec<u8>>),
    /// Nothing more until then.
    Wait(Instant),
}

/// The association cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Broken(pub String);

/// Our certificate, and the way to start an association with it.
pub trait Identity: Send + Sync {
    /// For the SDP.
    fn fingerprint(&self) -> Fingerprint;
    /// A fresh association.
    fn start(&self, role: DtlsRole, now: Instant) -> Box<dyn Dtls>;
}

/// The keys of both directions.
pub(crate) struct Keys {
    pub(crate) send: MasterKey,
    pub(crate) receive: MasterKey,
}

/// A certificate hash from an SDP, in a form that can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    algorithm: Algorithm,
    hash: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Sha256,
    Sha384,
    Sha512,
}

/// The association with one browser.
pub(crate) struct Association {
    role: DtlsRole,
    expected: Vec<Expected>,
    state: State,
}

enum State {
    /// No path yet.
    Waiting,
    Handshaking(Handshake),
    /// Kept until the peer proves that it has finished too: our last flight may have to be repeated.
    Established {
        dtls: Option<Box<dyn Dtls>>,
        timer: Option<Instant>,
    },
    Failed,
}

struct Handshake {
    dtls: Box<dyn Dtls>,
    is_certificate_known: bool,
    timer: Option<Instant>,
    give_up: Instant,
    restarts: u32,
}

/// What happened while an association was driven.
pub(crate) enum Progress {
    None,
    Keys(Box<Keys>),
    Failed(Failure),
}

impl Association {
    pub(crate) fn new(role: DtlsRole, expected: Vec<Expected>) -> Self {
        Self { role, expected, state: State::Waiting }
    }

    pub(crate) fn expected(&self) -> &[Expected] {
        &self.expected
    }

    /// The role can be changed while nothing was sent.
    pub(crate) fn set_role(&mut self, role: DtlsRole) {
        if matches!(self.state, State::Waiting) {
            self.role = role;
        }
    }

    /// There is a path: the client begins, the server starts to listen.
    pub(crate) fn start(
        &mut self,
        identity: &dyn Identity,
        now: Instant,
        send: impl FnMut(&[u8]),
    ) -> Progress {
        if !matches!(self.state, State::Waiting) {
            return Progress::None;
        }
        let dtls = identity.start(self.role, now);
        let give_up = now + HANDSHAKE;
        self.state = State::Handshaking(Handshake {
            dtls,
            is_certificate_known: false,
            timer: None,
            give_up,
            restarts: 0,
        });
        self.handle_timeout(identity, now, send)
    }

    /// Takes a datagram from a valid path.
    pub(crate) fn handle_input(
        &mut self,
        identity: &dyn Identity,
        datagram: &[u8],
        now: Instant,
        send: impl FnMut(&[u8]),
    ) -> Progress {
        let datagram = without_plaintext_alerts(datagram);
        if datagram.is_empty() {
            return Progress::None;
        }
        self.drive(identity, now, send, |dtls| dtls.handle_input(datagram, now))
    }

    /// Lets time pass: repeats flights, gives up in the end.
    pub(crate) fn handle_timeout(
        &mut self,
        identity: &dyn Identity,
        now: Instant,
        send: impl FnMut(&[u8]),
    ) -> Progress {
        if let State::Handshaking(handshake) = &self.state
            && now >= handshake.give_up
        {
            return self.fail(Failure::Timeout);
        }
        self.drive(identity, now, send, |dtls| dtls.handle_timeout(now))
    }

    /// Something authentic arrived under the keys: the peer has finished, nothing will have to be repeated.
    pub(crate) fn peer_has_finished(&mut self) {
        if let State::Established { dtls: dtls @ Some(_), timer } = &mut self.state {
            (*dtls, *timer) = (None, None);
        }
    }

    pub(crate) fn timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Handshaking(Handshake { timer, give_up, .. }) => {
                Some(timer.map_or(*give_up, |timer| timer.min(*give_up)))
            }
            State::Established { timer, .. } => *timer,
            State::Waiting | State::Failed => None,
        }
    }

    fn drive(
        &mut self,
        identity: &dyn Identity,
        now: Instant,
        mut send: impl FnMut(&[u8]),
        step: impl FnOnce(&mut dyn Dtls) -> Result<(), Broken>,
    ) -> Progress {
        match &mut self.state {
            State::Handshaking(handshake) => {
                if step(&mut *handshake.dtls).is_err() {
                    return self.restart(identity, now, send);
                }
                match handshake.pump(&self.expected, self.role, &mut send) {
                    Progress::None => Progress::None,
                    Progress::Failed(failure) => self.fail(failure),
                    Progress::Keys(keys) => {
                        self.establish();
                        Progress::Keys(keys)
                    }
                }
            }
            State::Established { dtls: Some(dtls), timer } => {
                if step(&mut **dtls).is_ok() {
                    *timer = Some(repeat(&mut **dtls, &mut send));
                } else {
                    // The keys are in use already; they outlive an association that ends badly.
                    self.peer_has_finished();
                }
                Progress::None
            }
            State::Waiting | State::Established { dtls: None, .. } | State::Failed => Progress::None,
        }
    }

    fn establish(&mut self) {
        if let State::Handshaking(handshake) = std::mem::replace(&mut self.state, State::Failed) {
            self.state = State::Established { dtls: Some(handshake.dtls), timer: handshake.timer };
        }
    }

    /// Unauthenticated records can break a handshake; a new one may follow, a few times.
    fn restart(&mut self, identity: &dyn Identity, now: Instant, mut send: impl FnMut(&[u8])) -> Progress {
        let State::Handshaking(handshake) = &mut self.state else { return Progress::None };
        if handshake.restarts >= MAX_RESTARTS {
            return self.fail(Failure::Protocol);
        }
        handshake.restarts += 1;
        handshake.dtls = identity.start(self.role, now);
        handshake.is_certificate_known = false;
        if handshake.dtls.handle_timeout(now).is_err() {
            return self.fail(Failure::Protocol);
        }
        handshake.pump(&self.expected, self.role, &mut send)
    }

    fn fail(&mut self, failure: Failure) -> Progress {
        self.state = State::Failed;
        Progress::Failed(failure)
    }
}

impl Handshake {
    fn pump(&mut self, expected: &[Expected], role: DtlsRole, send: &mut impl FnMut(&[u8])) -> Progress {
        let mut buffer = [0; RECORD];
        let mut progress = Progress::None;
        loop {
            match self.dtls.poll_output(&mut buffer) {
                Output::Send(datagram) => send(datagram),
                Output::Certificate(der) if expected.iter().any(|one| one.matches(der)) => {
                    self.is_certificate_known = true;
                }
                Output::Certificate(_) => return Progress::Failed(Failure::Fingerprint),
                Output::Keys(profile, material) if self.is_certificate_known => {
                    if let Some(keys) = Keys::split(profile, &material, role) {
                        progress = Progress::Keys(Box::new(keys));
                    }
                }
                Output::Keys(..) => return Progress::Failed(Failure::Protocol),
                Output::Wait(until) => {
                    self.timer = Some(until);
                    return progress;
                }
            }
        }
    }
}

/// After the handshake only repeated flights matter.
fn repeat(dtls: &mut dyn Dtls, send: &mut impl FnMut(&[u8])) -> Instant {
    let mut buffer = [0; RECORD];
    loop {
        match dtls.poll_output(&mut buffer) {
            Output::Send(datagram) => send(datagram),
            Output::Certificate(_) | Output::Keys(..) => {}
            Output::Wait(until) => return until,
        }
    }
}

impl Keys {
    /// RFC 5764 §4.2.
    fn split(profile: Profile, material: &[u8], role: DtlsRole) -> Option<Self> {
        let (key, salt) = (profile.key_length(), profile.salt_length());
        let (client_key, rest) = material.split_at_checked(key)?;
        let (server_key, rest) = rest.split_at_checked(key)?;
        let (client_salt, server_salt) = rest.split_at_checked(salt)?;
        let client = MasterKey::new(profile, client_key, client_salt)?;
        let server = MasterKey::new(profile, server_key, server_salt)?;
        Some(match role {
            DtlsRole::Active => Self { send: client, receive: server },
            DtlsRole::Passive => Self { send: server, receive: client },
        })
    }
}

impl Expected {
    /// `None` if the algorithm is not one of the SHA-2 family (RFC 8122 §5) or the value is no hash of its length.
    pub(crate) fn parse(fingerprint: &Fingerprint) -> Option<Self> {
        let (algorithm, length) = match fingerprint.algorithm.to_ascii_lowercase().as_str() {
            "sha-256" => (Algorithm::Sha256, 32),
            "sha-384" => (Algorithm::Sha384, 48),
            "sha-512" => (Algorithm::Sha512, 64),
            _ => return None,
        };
        let hash: Option<Vec<u8>> = fingerprint.value.split(':').take(length + 1).map(hex_pair).collect();
        hash.filter(|hash| hash.len() == length).map(|hash| Self { algorithm, hash })
    }

    fn matches(&self, certificate: &[u8]) -> bool {
        match self.algorithm {
            Algorithm::Sha256 => Sha256::digest(certificate)[..] == self.hash[..],
            Algorithm::Sha384 => Sha384::digest(certificate)[..] == self.hash[..],
            Algorithm::Sha512 => Sha512::digest(certificate)[..] == self.hash[..],
        }
    }
}

fn hex_pair(pair: &str) -> Option<u8> {
    // `from_str_radix` would take a sign.
    let is_hex = pair.len() == 2 && pair.bytes().all(|byte| byte.is_ascii_hexdigit());
    u8::from_str_radix(pair, 16).ok().filter(|_| is_hex)
}

/// The datagram up to its first plaintext alert: anybody can write one, so it must not end the association.
fn without_plaintext_alerts(datagram: &[u8]) -> &[u8] {
    let mut at = 0;
    while let Some([kind, _, _, epoch0, epoch1, _, _, _, _, _, _, length0, length1]) =
        datagram.get(at..).and_then(|rest| rest.first_chunk::<RECORD_HEADER>())
    {
        if *kind == ALERT && [*epoch0, *epoch1] == [0, 0] {
            return &datagram[..at];
        }
        at += RECORD_HEADER + usize::from(u16::from_be_bytes([*length0, *length1]));
    }
    datagram
}

/// RFC 6347 §4.1.
const RECORD_HEADER: usize = 13;
/// RFC 5246 §6.2.1.
const ALERT: u8 = 21;

/// From the first path on; a browser's own patience is about as long.
const HANDSHAKE: Duration = Duration::from_secs(30);

const MAX_RESTARTS: u32 = 16;

/// Larger than any datagram that we send.
const RECORD: usize = 2_048;

#[cfg(test)]
mod tests;
