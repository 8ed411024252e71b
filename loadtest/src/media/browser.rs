//! A browser's transport: a controlling ICE agent, a DTLS client, SRTP. It shares no code with the relay but the
//! `dimpl` crate.

use super::link::{LARGEST, Link};
use super::stun::{Builder, Message, xor_address};
use dimpl::{Config, Dtls, DtlsCertificate, Output, SrtpProfile, certificate};
use rtc_crypto::RTCCryptoProvider as _;
use rtc_crypto::providers::RingProvider;
use rtc_srtp::context::Context;
use rtc_srtp::protection_profile::ProtectionProfile;
use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What all browsers of a run have in common.
pub struct Identity {
    certificate: DtlsCertificate,
    config: Arc<Config>,
}

/// What the other side's description says.
#[derive(Debug, Clone)]
pub struct Remote {
    /// Its candidate.
    pub address: SocketAddrV4,
    /// RFC 8839 §5.4.
    pub ufrag: String,
    /// RFC 8839 §5.4.
    pub password: String,
}

/// One browser.
pub struct Browser {
    /// Its socket.
    pub link: Link,
    /// RFC 8839 §5.4.
    pub ufrag: String,
    /// RFC 8839 §5.4.
    pub password: String,
    remote: Option<Remote>,
    dtls: Dtls,
    is_checked: bool,
    next_check: Instant,
    next_timeout: Instant,
    keys: Option<Keys>,
}

/// SRTP of both directions.
pub struct Keys {
    /// Of what we send.
    pub outgoing: Context,
    /// Of what we get.
    pub incoming: Context,
    /// What was agreed.
    pub profile: &'static str,
}

impl Identity {
    /// Makes a certificate.
    ///
    /// # Errors
    /// What the library says.
    pub fn new() -> io::Result<Self> {
        let config =
            Config::builder().mtu(1_200).use_server_cookie(false).build().map_err(io::Error::other)?;
        let certificate = certificate::generate_self_signed_certificate()
            .map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Self { certificate, config: Arc::new(config) })
    }

    /// Of the certificate: SHA-256, upper-case hex pairs.
    pub fn fingerprint(&self) -> String {
        self.certificate.fingerprint_str()
    }

    /// The `number`-th browser on this socket.
    pub fn browser(&self, link: Link, number: usize) -> Browser {
        let now = Instant::now();
        let mut dtls = Dtls::new_12(Arc::clone(&self.config), self.certificate.clone(), now);
        dtls.set_active(true);
        Browser {
            link,
            ufrag: format!("load{number:04}"),
            password: format!("password-of-the-browser-{number:04}"),
            remote: None,
            dtls,
            is_checked: false,
            next_check: now,
            next_timeout: now,
            keys: None,
        }
    }
}

impl Browser {
    /// Takes the other side's description, and begins.
    pub fn accept(&mut self, remote: Remote) {
        self.remote = Some(remote);
    }

    /// ICE and DTLS are done.
    pub fn is_connected(&self) -> bool {
        self.keys.is_some()
    }

    /// Sends what is due and takes what has come.
    pub fn drive(&mut self, now: Instant) {
        let mut buffer = [0; LARGEST];
        while let Some((datagram, _)) = self.link.receive(&mut buffer) {
            let length = datagram.len();
            let mut copy = [0; LARGEST];
            copy[..length].copy_from_slice(datagram);
            self.take(&copy[..length], now);
        }
        if !self.is_checked && now >= self.next_check {
            self.check();
            self.next_check = now + CHECK;
        }
        if self.is_checked && self.keys.is_none() && now >= self.next_timeout {
            _ = self.dtls.handle_timeout(now);
            self.flush(now);
        }
    }

    /// Sends a connectivity check that nominates (RFC 8445 §7.2), which is a sign of consent too (RFC 7675).
    pub fn check(&self) {
        let Some(remote) = &self.remote else { return };
        let mut transaction = [0; 12];
        // Without chance the check would be a repetition.
        if getrandom::fill(&mut transaction).is_err() {
            return;
        }
        let check = Builder::new(BINDING_REQUEST, transaction)
            .with(USERNAME, format!("{}:{}", remote.ufrag, self.ufrag).as_bytes())
            .with(PRIORITY, &[0x6E, 0, 1, 0xFF])
            .with(ICE_CONTROLLING, &[9; 8])
            .with(USE_CANDIDATE, &[])
            .with_integrity(remote.password.as_bytes())
            .fingerprinted();
        self.link.send(&check);
    }

    /// Takes anything but media.
    pub fn take(&mut self, datagram: &[u8], now: Instant) {
        match datagram.first() {
            Some(0..=3) => self.take_stun(datagram),
            Some(20..=63) if self.keys.is_none() => {
                _ = self.dtls.handle_packet(datagram);
                self.flush(now);
            }
            _ => {}
        }
    }

    fn take_stun(&mut self, datagram: &[u8]) {
        let Some(message) = Message::parse(datagram) else { return };
        match (message.kind, &self.remote) {
            (BINDING_SUCCESS, _) => self.is_checked = true,
            (BINDING_REQUEST, Some(remote)) => {
                let answer = Builder::new(BINDING_SUCCESS, message.transaction)
                    .with(XOR_MAPPED_ADDRESS, &xor_address(remote.address))
                    .with_integrity(self.password.as_bytes())
                    .fingerprinted();
                self.link.send(&answer);
            }
            _ => {}
        }
    }

    fn flush(&mut self, now: Instant) {
        let mut buffer = [0; LARGEST];
        loop {
            match self.dtls.poll_output(&mut buffer) {
                Output::Packet(datagram) => self.link.send(datagram),
                Output::KeyingMaterial(material, profile) => self.keys = Keys::new(&material, profile),
                Output::Timeout(until) => {
                    self.next_timeout = until.max(now + Duration::from_millis(1));
                    return;
                }
                _ => {}
            }
        }
    }

    /// Protects a packet; `None` before the handshake.
    pub fn protect(&mut self, packet: &[u8]) -> Option<impl AsRef<[u8]> + use<>> {
        self.keys.as_mut()?.outgoing.encrypt_rtp(packet).ok()
    }

    /// Opens a packet; `None` if it is not authentic.
    pub fn open(&mut self, packet: &[u8]) -> Option<impl AsRef<[u8]> + use<>> {
        self.keys.as_mut()?.incoming.decrypt_rtp(packet).ok()
    }

    /// The SRTP profile that was agreed on.
    pub fn profile(&self) -> &'static str {
        self.keys.as_ref().map_or("none", |keys| keys.profile)
    }
}

impl Keys {
    /// RFC 5764 §4.2; a browser here is always the client.
    fn new(material: &[u8], profile: SrtpProfile) -> Option<Self> {
        let (profile, name) = match profile {
            SrtpProfile::AEAD_AES_256_GCM => (ProtectionProfile::AeadAes256Gcm, "AEAD_AES_256_GCM"),
            SrtpProfile::AEAD_AES_128_GCM => (ProtectionProfile::AeadAes128Gcm, "AEAD_AES_128_GCM"),
            SrtpProfile::AES128_CM_SHA1_80 => (ProtectionProfile::Aes128CmHmacSha1_80, "AES128_CM_SHA1_80"),
            _ => return None,
        };
        let (key, salt) = (profile.key_len(), profile.salt_len());
        let (keys, salts) = material.split_at_checked(2 * key)?;
        let provider = RingProvider::new();
        let context = |key, salt| Context::new(key, salt, profile, None, None, provider.crypto()).ok();
        Some(Self {
            outgoing: context(keys.get(..key)?, salts.get(..salt)?)?,
            incoming: context(keys.get(key..)?, salts.get(salt..2 * salt)?)?,
            profile: name,
        })
    }
}

impl Remote {
    /// Where it is.
    pub fn socket(&self) -> SocketAddr {
        self.address.into()
    }
}

/// Between checks that are not answered.
const CHECK: Duration = Duration::from_millis(50);

const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const USERNAME: u16 = 0x0006;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const ICE_CONTROLLING: u16 = 0x802A;
