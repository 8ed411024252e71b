//! SRTP and SRTCP (RFC 3711, RFC 7714), transformed in place in the caller's buffer, without allocation per packet.
//!
//! A [`Sender`] protects the one stream that we send, a [`Receiver`] opens what the peer sends. What does not
//! authenticate leaves no trace: state for a source is made only after its first authentic packet, and for few.

mod cm;
mod gcm;
mod index;
mod kdf;

use std::ops::Range;

use zeroize::Zeroizing;

use crate::rtp;
use cm::Cm;
use gcm::Gcm;
use index::{Replay, RtpIndex};

/// A protection profile of DTLS-SRTP (RFC 5764 §4.1.2, RFC 7714 §14.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// SRTP_AEAD_AES_256_GCM.
    AeadAes256Gcm,
    /// SRTP_AEAD_AES_128_GCM.
    AeadAes128Gcm,
    /// SRTP_AES128_CM_HMAC_SHA1_80.
    Aes128CmSha1,
}

impl Profile {
    /// Bytes of the master key.
    pub fn key_length(self) -> usize {
        match self {
            Self::AeadAes256Gcm => 32,
            Self::AeadAes128Gcm | Self::Aes128CmSha1 => 16,
        }
    }

    /// Bytes of the master salt.
    pub fn salt_length(self) -> usize {
        match self {
            Self::AeadAes256Gcm | Self::AeadAes128Gcm => 12,
            Self::Aes128CmSha1 => 14,
        }
    }
}

/// Master key and salt of one direction; wiped when dropped.
pub struct MasterKey {
    profile: Profile,
    key: Zeroizing<Vec<u8>>,
    salt: Zeroizing<Vec<u8>>,
}

impl MasterKey {
    /// `None` if a length is not the profile's.
    pub fn new(profile: Profile, key: &[u8], salt: &[u8]) -> Option<Self> {
        let fits = key.len() == profile.key_length() && salt.len() == profile.salt_length();
        fits.then(|| Self { profile, key: Zeroizing::new(key.to_vec()), salt: Zeroizing::new(salt.to_vec()) })
    }
}

/// Protects our stream: one SSRC per sender.
pub struct Sender {
    cipher: Cipher,
    rtp: RtpIndex,
    rtcp: u32,
}

impl Sender {
    /// Starts with rollover counter 0.
    pub fn new(master: &MasterKey) -> Self {
        Self { cipher: Cipher::new(master), rtp: RtpIndex::default(), rtcp: 0 }
    }

    /// Protects the clear RTP packet at `packet`, growing it into the [`OVERHEAD`] bytes that must follow.
    ///
    /// A sequence number that was used, or is too old to know, is refused: the same key stream must never cover two
    /// packets.
    pub fn protect(&mut self, buffer: &mut [u8], packet: Range<usize>) -> Option<Range<usize>> {
        let clear = buffer.get(packet.clone())?;
        let (header, sequence) = (rtp::header_length(clear)?, sequence(clear)?);
        let rollover = self.rtp.estimate(sequence)?;
        let room = buffer.get_mut(packet.start..)?;
        let length = self.cipher.seal_rtp(room, header, packet.len(), rollover)?;
        self.rtp.commit(rollover, sequence);
        Some(packet.start..packet.start + length)
    }

    /// Protects the clear RTCP packet at the start of `buffer`; the new length. `None` after 2³¹ packets (§9.2).
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        let index = self.rtcp;
        self.rtcp = index.checked_add(1).filter(|next| *next < ENCRYPTED)?;
        self.cipher.seal_rtcp(buffer, length, index)
    }
}

/// Opens the peer's streams.
pub struct Receiver {
    cipher: Cipher,
    sources: Vec<Source>,
}

struct Source {
    ssrc: u32,
    rtp: RtpIndex,
    rtcp: Replay,
}

impl Receiver {
    /// Knows no source yet.
    pub fn new(master: &MasterKey) -> Self {
        Self { cipher: Cipher::new(master), sources: Vec::new() }
    }

    /// Opens a protected RTP packet in place; the length of the clear packet, or `None` if it is forged or a repeat.
    pub fn unprotect(&mut self, packet: &mut [u8]) -> Option<usize> {
        let (header, sequence) = (rtp::header_length(packet)?, sequence(packet)?);
        let ssrc = word(packet, 8)?;
        let known = self.sources.iter().position(|source| source.ssrc == ssrc);
        let rollover = match known {
            Some(at) => self.sources[at].rtp.estimate(sequence)?,
            None => 0,
        };
        let length = self.cipher.open_rtp(packet, header, rollover)?;
        self.source(known, ssrc)?.rtp.commit(rollover, sequence);
        Some(length)
    }

    /// Opens a protected RTCP packet in place; the length of the clear compound.
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Option<usize> {
        let ssrc = word(packet, 4)?;
        let known = self.sources.iter().position(|source| source.ssrc == ssrc);
        let (length, index) = self.cipher.open_rtcp(packet, |index| match known {
            Some(at) => self.sources[at].rtcp.is_fresh(u64::from(index)),
            None => true,
        })?;
        self.source(known, ssrc)?.rtcp.commit(u64::from(index));
        Some(length)
    }

    /// The state of an authentic packet's source, made now if there is room.
    fn source(&mut self, known: Option<usize>, ssrc: u32) -> Option<&mut Source> {
        let at = match known {
            Some(at) => at,
            None if self.sources.len() < MAX_SOURCES => {
                self.sources.push(Source { ssrc, rtp: RtpIndex::default(), rtcp: Replay::default() });
                self.sources.len() - 1
            }
            None => return None,
        };
        self.sources.get_mut(at)
    }
}

/// The transforms; the caller keeps indices and replay windows.
enum Cipher {
    Cm(Box<Cm>),
    Gcm(Box<Gcm>),
}

impl Cipher {
    fn new(master: &MasterKey) -> Self {
        match master.profile {
            Profile::AeadAes256Gcm | Profile::AeadAes128Gcm => {
                Self::Gcm(Box::new(Gcm::new(&master.key, &master.salt)))
            }
            Profile::Aes128CmSha1 => Self::Cm(Box::new(Cm::new(&master.key, &master.salt))),
        }
    }

    fn seal_rtp(&self, buffer: &mut [u8], header: usize, length: usize, rollover: u32) -> Option<usize> {
        match self {
            Self::Cm(cm) => cm.seal_rtp(buffer, header, length, rollover),
            Self::Gcm(gcm) => gcm.seal_rtp(buffer, header, length, rollover),
        }
    }

    fn open_rtp(&self, packet: &mut [u8], header: usize, rollover: u32) -> Option<usize> {
        match self {
            Self::Cm(cm) => cm.open_rtp(packet, header, rollover),
            Self::Gcm(gcm) => gcm.open_rtp(packet, header, rollover),
        }
    }

    fn seal_rtcp(&self, buffer: &mut [u8], length: usize, index: u32) -> Option<usize> {
        match self {
            Self::Cm(cm) => cm.seal_rtcp(buffer, length, index),
            Self::Gcm(gcm) => gcm.seal_rtcp(buffer, length, index),
        }
    }

    /// `fresh` is asked about the index before anything is computed.
    fn open_rtcp(&self, packet: &mut [u8], fresh: impl FnOnce(u32) -> bool) -> Option<(usize, u32)> {
        match self {
            Self::Cm(cm) => cm.open_rtcp(packet, fresh),
            Self::Gcm(gcm) => gcm.open_rtcp(packet, fresh),
        }
    }
}

fn sequence(packet: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes(*packet.get(2..)?.first_chunk()?))
}

fn word(packet: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*packet.get(at..)?.first_chunk()?))
}

/// The most that protection adds: a GCM tag and the SRTCP index (RFC 7714 §17).
pub const OVERHEAD: usize = 20;

/// A browser's microphone is one source; replacing it adds one each time. Further ones are not heard.
const MAX_SOURCES: usize = 16;

/// The E flag of SRTCP (RFC 3711 §3.4). Both profile families encrypt SRTCP, so a packet without it is refused.
const ENCRYPTED: u32 = 0x8000_0000;

/// The part of an RTCP packet that stays in the clear (RFC 3711 §3.4).
const RTCP_HEADER: usize = 8;

#[cfg(test)]
mod tests;
