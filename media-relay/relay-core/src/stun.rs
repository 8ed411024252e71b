//! The part of STUN (RFC 8489) that an ICE-lite agent needs: Binding requests are read, responses written.
//!
//! Nothing is allocated and nothing is copied: a [`Request`] borrows the datagram, a response is written into the
//! caller's buffer. Responses carry neither SOFTWARE nor a reason phrase, so that they stay small.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::net::{IpAddr, SocketAddr};

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use subtle::ConstantTimeEq;

/// A Binding request, well-formed and with a correct FINGERPRINT; not yet authenticated.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// RFC 8489 §14.3: `our ufrag:their ufrag` in ICE.
    pub username: &'a [u8],
    /// RFC 8445 §7.1.2.
    pub use_candidate: bool,
    /// RFC 8445 §7.3.1.1: the sender believes to be the controlled agent.
    pub controlled: bool,
    /// The first comprehension-required attribute that we do not know.
    pub unknown_attribute: Option<u16>,
    /// RFC 8489 §5.
    pub transaction: [u8; 12],
    /// Everything before MESSAGE-INTEGRITY.
    authenticated: &'a [u8],
    integrity: &'a [u8; 20],
}

/// The key of short-term credentials (RFC 8489 §9.1), with its key schedule made once.
#[derive(Clone)]
pub struct Key(Hmac<Sha1>);

/// What a request is refused for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 420 with the attribute that was not understood.
    UnknownAttribute(u16),
    /// RFC 8445 §7.3.1.1: 487.
    RoleConflict,
}

/// The most that a message of ours takes, with the short usernames of our own ufrags.
pub const MESSAGE_SIZE: usize = 128;

impl<'a> Request<'a> {
    /// Reads a Binding request with USERNAME, MESSAGE-INTEGRITY and FINGERPRINT; anything else is `None`.
    pub fn parse(datagram: &'a [u8]) -> Option<Self> {
        let (header, mut rest) = datagram.split_first_chunk::<HEADER>()?;
        let [type0, type1, length0, length1, cookie0, cookie1, cookie2, cookie3, transaction @ ..] = *header;
        let well_framed = usize::from(u16::from_be_bytes([length0, length1])) == rest.len();
        if [type0, type1] != BINDING_REQUEST || [cookie0, cookie1, cookie2, cookie3] != COOKIE || !well_framed
        {
            return None;
        }
        let (mut username, mut integrity, mut fingerprint) = (None, None, false);
        let (mut use_candidate, mut controlled, mut unknown_attribute) = (false, false, None);
        while let Some((attribute, after)) = Attribute::split(rest) {
            let at = datagram.len().checked_sub(rest.len())?;
            rest = after;
            if integrity.is_some() && attribute.kind != FINGERPRINT {
                continue; // RFC 8489 §14.5: what follows MESSAGE-INTEGRITY is ignored.
            }
            match attribute.kind {
                USERNAME => username = username.or(Some(attribute.value)),
                MESSAGE_INTEGRITY => {
                    integrity = Some((datagram.get(..at)?, attribute.value.try_into().ok()?))
                }
                FINGERPRINT => {
                    if !is_fingerprint(attribute.value, datagram.get(..at)?) || !rest.is_empty() {
                        return None;
                    }
                    fingerprint = true;
                }
                USE_CANDIDATE => use_candidate = true,
                ICE_CONTROLLED => controlled = true,
                PRIORITY | ICE_CONTROLLING => {}
                kind if kind < COMPREHENSION_OPTIONAL => {
                    unknown_attribute = unknown_attribute.or(Some(kind));
                }
                _ => {}
            }
        }
        let (authenticated, integrity) = integrity?;
        let username = username?;
        (rest.is_empty() && fingerprint).then_some(Self {
            username,
            use_candidate,
            controlled,
            unknown_attribute,
            transaction,
            authenticated,
            integrity,
        })
    }

    /// Whether MESSAGE-INTEGRITY was made with this key.
    pub fn is_authentic(&self, key: &Key) -> bool {
        key.made(self.integrity, self.authenticated)
    }

    /// A success response with the source as XOR-MAPPED-ADDRESS; its length in `out`.
    pub fn accept(&self, source: SocketAddr, key: &Key, out: &mut [u8; MESSAGE_SIZE]) -> usize {
        let mut writer = Writer::new(out, BINDING_SUCCESS, self.transaction);
        writer.xor_address(XOR_MAPPED_ADDRESS, source);
        writer.finish(key)
    }

    /// An error response; its length in `out`.
    pub fn refuse(&self, why: Refusal, key: &Key, out: &mut [u8; MESSAGE_SIZE]) -> usize {
        let mut writer = Writer::new(out, BINDING_ERROR, self.transaction);
        match why {
            Refusal::UnknownAttribute(kind) => {
                writer.attribute(ERROR_CODE, &[0, 0, 4, 20]);
                writer.attribute(UNKNOWN_ATTRIBUTES, &kind.to_be_bytes());
            }
            Refusal::RoleConflict => writer.attribute(ERROR_CODE, &[0, 0, 4, 87]),
        }
        writer.finish(key)
    }
}

impl Key {
    /// Of a password; RFC 8839 §5.4 allows only ASCII in it, so that SASLprep has nothing to do.
    pub fn new(password: &str) -> Self {
        Self::of(password.as_bytes())
    }

    /// Of the octets themselves: a digest with long-term credentials (RFC 8489 §9.2.2).
    pub(crate) fn of(octets: &[u8]) -> Self {
        Self(Hmac::new_from_slice(octets).expect("HMAC takes keys of any length"))
    }

    /// RFC 8489 §14.5: the HMAC covers the message up to the attribute, with the length set as if it ended there.
    pub(crate) fn made(&self, integrity: &[u8; 20], authenticated: &[u8]) -> bool {
        let Some((start, attributes)) = authenticated.split_first_chunk::<HEADER>() else {
            return false;
        };
        let Ok(length) = u16::try_from(attributes.len().saturating_add(INTEGRITY_SIZE)) else { return false };
        let mut header = *start;
        let [_, _, length0, length1, ..] = &mut header;
        [*length0, *length1] = length.to_be_bytes();
        let mut mac = self.0.clone();
        mac.update(&header);
        mac.update(attributes);
        mac.finalize().into_bytes().ct_eq(integrity).into()
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

pub(crate) struct Attribute<'a> {
    pub(crate) kind: u16,
    pub(crate) value: &'a [u8],
}

impl<'a> Attribute<'a> {
    /// The first attribute and what follows its padding (RFC 8489 §14).
    pub(crate) fn split(attributes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let ([kind0, kind1, length0, length1], rest) = attributes.split_first_chunk()?;
        let length = usize::from(u16::from_be_bytes([*length0, *length1]));
        let (value, _) = rest.split_at_checked(length)?;
        let after = rest.get(length.next_multiple_of(4)..)?;
        Some((Self { kind: u16::from_be_bytes([*kind0, *kind1]), value }, after))
    }
}

/// What the other end of a path sends: for the peers that tests and benchmarks play.
#[derive(Clone, Copy, Debug)]
pub struct Check<'a> {
    /// `their ufrag:our ufrag`, at most 32 characters.
    pub username: &'a str,
    /// Any that was not used before.
    pub transaction: [u8; 12],
    /// RFC 8445 §7.1.2.
    pub use_candidate: bool,
    /// Does the sender claim to be controlling, as a full agent beside a lite one must?
    pub controlling: bool,
}

impl Check<'_> {
    /// Writes the Binding request; its length in `out`.
    pub fn write(&self, key: &Key, out: &mut [u8; MESSAGE_SIZE]) -> usize {
        let mut writer = Writer::new(out, BINDING_REQUEST, self.transaction);
        writer.attribute(USERNAME, self.username.as_bytes());
        writer.attribute(PRIORITY, &[0x6E, 0, 1, 0xFF]);
        writer.attribute(if self.controlling { ICE_CONTROLLING } else { ICE_CONTROLLED }, &[1; 8]);
        if self.use_candidate {
            writer.attribute(USE_CANDIDATE, &[]);
        }
        writer.finish(key)
    }
}

/// Writes a message into a buffer that holds the largest; what would not fit is left out.
pub(crate) struct Writer<'a> {
    out: &'a mut [u8],
    length: usize,
    transaction: [u8; 12],
}

impl<'a> Writer<'a> {
    pub(crate) fn new(out: &'a mut [u8], kind: [u8; 2], transaction: [u8; 12]) -> Self {
        let mut writer = Self { out, length: 0, transaction };
        writer.push(&kind);
        writer.push(&[0, 0]);
        writer.push(&COOKIE);
        writer.push(&transaction);
        writer
    }

    fn push(&mut self, bytes: &[u8]) {
        let end = self.length.saturating_add(bytes.len());
        if let Some(place) = self.out.get_mut(self.length..end) {
            place.copy_from_slice(bytes);
            self.length = end;
        }
    }

    pub(crate) fn attribute(&mut self, kind: u16, value: &[u8]) {
        self.push(&kind.to_be_bytes());
        self.push(&u16::try_from(value.len()).unwrap_or(0).to_be_bytes());
        self.push(value);
        let padding = value.len().next_multiple_of(4).saturating_sub(value.len());
        self.push([0; 3].get(..padding).unwrap_or_default());
    }

    /// XOR-MAPPED-ADDRESS (RFC 8489 §14.2) and its likes.
    pub(crate) fn xor_address(&mut self, kind: u16, address: SocketAddr) {
        let mask = mask(&self.transaction);
        let port = address.port() ^ u16::from_be_bytes([COOKIE_0, COOKIE_1]);
        let [port0, port1] = port.to_be_bytes();
        match address.ip() {
            IpAddr::V4(ip) => {
                let mut value = [0, 1, port0, port1, 0, 0, 0, 0];
                for (place, (a, b)) in value.iter_mut().skip(4).zip(ip.octets().iter().zip(mask)) {
                    *place = a ^ b;
                }
                self.attribute(kind, &value);
            }
            IpAddr::V6(ip) => {
                let mut value = [0; 20];
                value[..4].copy_from_slice(&[0, 2, port0, port1]);
                for (place, (a, b)) in value.iter_mut().skip(4).zip(ip.octets().iter().zip(mask)) {
                    *place = a ^ b;
                }
                self.attribute(kind, &value);
            }
        }
    }

    /// RFC 8489 §14.5.
    pub(crate) fn integrity(&mut self, key: &Key) {
        self.set_length(INTEGRITY_SIZE);
        let mut mac = key.0.clone();
        mac.update(self.out.get(..self.length).unwrap_or_default());
        let integrity: [u8; 20] = mac.finalize().into_bytes().into();
        self.attribute(MESSAGE_INTEGRITY, &integrity);
    }

    /// RFC 8489 §14.7: the last attribute.
    pub(crate) fn fingerprint(&mut self) {
        self.set_length(FINGERPRINT_SIZE);
        let crc = crc32fast::hash(self.out.get(..self.length).unwrap_or_default()) ^ FINGERPRINT_XOR;
        self.attribute(FINGERPRINT, &crc.to_be_bytes());
    }

    /// The message's length.
    pub(crate) fn end(mut self) -> usize {
        self.set_length(0);
        self.length
    }

    fn finish(mut self, key: &Key) -> usize {
        self.integrity(key);
        self.fingerprint();
        self.length
    }

    /// The length field as it is when `more` bytes have followed.
    fn set_length(&mut self, more: usize) {
        let length = self.length.saturating_sub(HEADER).saturating_add(more);
        if let [_, _, length0, length1, ..] = &mut *self.out {
            [*length0, *length1] = u16::try_from(length).unwrap_or(0).to_be_bytes();
        }
    }
}

/// An address as XOR-MAPPED-ADDRESS and its likes hold it; `None` if it is malformed.
pub(crate) fn read_xor_address(value: &[u8], transaction: &[u8; 12]) -> Option<SocketAddr> {
    let ([_, family, port0, port1], address) = value.split_first_chunk()?;
    let port = u16::from_be_bytes([*port0 ^ COOKIE_0, *port1 ^ COOKIE_1]);
    let mask = mask(transaction);
    let ip = match family {
        1 => IpAddr::from(unmasked(<&[u8; 4]>::try_from(address).ok()?, &mask)),
        2 => IpAddr::from(unmasked(<&[u8; 16]>::try_from(address).ok()?, &mask)),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

fn unmasked<const N: usize>(octets: &[u8; N], mask: &[u8; 16]) -> [u8; N] {
    let mut plain = *octets;
    plain.iter_mut().zip(mask).for_each(|(octet, mask)| *octet ^= mask);
    plain
}

/// What an address is XORed with: the cookie and the transaction's id.
fn mask(transaction: &[u8; 12]) -> [u8; 16] {
    let mut mask = [0; 16];
    for (place, octet) in mask.iter_mut().zip(COOKIE.iter().chain(transaction)) {
        *place = *octet;
    }
    mask
}

/// Whether FINGERPRINT fits what is before it.
pub(crate) fn is_fingerprint(value: &[u8], before: &[u8]) -> bool {
    value == (crc32fast::hash(before) ^ FINGERPRINT_XOR).to_be_bytes()
}

pub(crate) const HEADER: usize = 20;
const COOKIE_0: u8 = 0x21;
const COOKIE_1: u8 = 0x12;
pub(crate) const COOKIE: [u8; 4] = [COOKIE_0, COOKIE_1, 0xA4, 0x42];
const BINDING_REQUEST: [u8; 2] = [0x00, 0x01];
const BINDING_SUCCESS: [u8; 2] = [0x01, 0x01];
const BINDING_ERROR: [u8; 2] = [0x01, 0x11];
/// Attribute header and HMAC-SHA1.
const INTEGRITY_SIZE: usize = 24;
/// Attribute header and CRC-32.
const FINGERPRINT_SIZE: usize = 8;
/// RFC 8489 §14.7.
const FINGERPRINT_XOR: u32 = 0x5354_554E;

// RFC 8489 §18.3, RFC 8445 §16.1.
pub(crate) const USERNAME: u16 = 0x0006;
pub(crate) const MESSAGE_INTEGRITY: u16 = 0x0008;
pub(crate) const ERROR_CODE: u16 = 0x0009;
pub(crate) const UNKNOWN_ATTRIBUTES: u16 = 0x000A;
pub(crate) const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
pub(crate) const FINGERPRINT: u16 = 0x8028;
const ICE_CONTROLLED: u16 = 0x8029;
const ICE_CONTROLLING: u16 = 0x802A;
/// RFC 8489 §14: from here on an agent may ignore what it does not know.
pub(crate) const COMPREHENSION_OPTIONAL: u16 = 0x8000;

#[cfg(test)]
mod tests;
