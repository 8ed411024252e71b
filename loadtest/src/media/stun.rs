//! The little of STUN (RFC 8489) that an ICE agent and a TURN client need.

use ring::hmac;
use std::net::{Ipv4Addr, SocketAddrV4};

/// A message under construction.
pub struct Builder(Vec<u8>);

impl Builder {
    /// Begins a message of this type (method and class).
    pub fn new(kind: u16, transaction: [u8; 12]) -> Self {
        let mut bytes = Vec::with_capacity(160);
        bytes.extend(kind.to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(COOKIE);
        bytes.extend(transaction);
        Self(bytes)
    }

    /// Adds an attribute with its padding.
    #[must_use]
    pub fn with(mut self, kind: u16, value: &[u8]) -> Self {
        self.0.extend(kind.to_be_bytes());
        self.0.extend((value.len() as u16).to_be_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self.set_length(0);
        self
    }

    /// Adds MESSAGE-INTEGRITY (RFC 8489 §14.5).
    #[must_use]
    pub fn with_integrity(mut self, key: &[u8]) -> Self {
        self.set_length(24);
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key), &self.0);
        self.with(MESSAGE_INTEGRITY, tag.as_ref())
    }

    /// Adds FINGERPRINT (RFC 8489 §14.7) and ends the message.
    pub fn fingerprinted(mut self) -> Vec<u8> {
        self.set_length(8);
        let crc = crc32fast::hash(&self.0) ^ 0x5354_554E;
        self.with(FINGERPRINT, &crc.to_be_bytes()).0
    }

    /// Ends the message.
    pub fn finished(self) -> Vec<u8> {
        self.0
    }

    fn set_length(&mut self, more: usize) {
        let length = (self.0.len() - HEADER + more) as u16;
        self.0[2..4].copy_from_slice(&length.to_be_bytes());
    }
}

/// A received message. The peer is the server under test: what it signs is taken as it is.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    /// Method and class.
    pub kind: u16,
    /// Which request.
    pub transaction: [u8; 12],
    attributes: &'a [u8],
}

impl<'a> Message<'a> {
    /// `None` if it is no STUN.
    pub fn parse(datagram: &'a [u8]) -> Option<Self> {
        let (header, attributes) = datagram.split_at_checked(HEADER)?;
        let kind = u16::from_be_bytes([header[0], header[1]]);
        (kind < 0x4000 && header[4..8] == COOKIE).then(|| Self {
            kind,
            transaction: header[8..].try_into().unwrap_or_default(),
            attributes,
        })
    }

    /// The first attribute of this type.
    pub fn attribute(&self, kind: u16) -> Option<&'a [u8]> {
        let mut rest = self.attributes;
        loop {
            let (head, after) = rest.split_first_chunk::<4>()?;
            let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
            let value = after.get(..length)?;
            if u16::from_be_bytes([head[0], head[1]]) == kind {
                return Some(value);
            }
            rest = after.get(length.next_multiple_of(4)..)?;
        }
    }
}

/// XOR-MAPPED-ADDRESS and its likes (RFC 8489 §14.2); all of this is IPv4 loopback.
pub fn xor_address(address: SocketAddrV4) -> [u8; 8] {
    let (port, ip) = (address.port() ^ 0x2112, u32::from(*address.ip()) ^ u32::from_be_bytes(COOKIE));
    let ([p0, p1], [a, b, c, d]) = (port.to_be_bytes(), ip.to_be_bytes());
    [0, 1, p0, p1, a, b, c, d]
}

/// The other way round.
pub fn read_xor_address(value: &[u8]) -> Option<SocketAddrV4> {
    let [_, 1, p0, p1, a, b, c, d] = *<&[u8; 8]>::try_from(value).ok()? else { return None };
    let ip = u32::from_be_bytes([a, b, c, d]) ^ u32::from_be_bytes(COOKIE);
    Some(SocketAddrV4::new(Ipv4Addr::from(ip), u16::from_be_bytes([p0, p1]) ^ 0x2112))
}

const HEADER: usize = 20;
const COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];
const MESSAGE_INTEGRITY: u16 = 0x0008;
const FINGERPRINT: u16 = 0x8028;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn what_is_built_is_read() {
        let address = SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, 1), 40_000);
        let built = Builder::new(1, [7; 12]).with(0x20, &xor_address(address)).with(6, b"abc");
        let bytes = built.with_integrity(b"key").fingerprinted();
        let message = Message::parse(&bytes).unwrap();
        assert_eq!((message.kind, message.transaction), (1, [7; 12]));
        assert_eq!(message.attribute(6), Some(&b"abc"[..]));
        assert_eq!(message.attribute(0x20).and_then(read_xor_address), Some(address));
        assert_eq!(message.attribute(0x19), None);
        assert!(Message::parse(&bytes[..19]).is_none());
    }
}
