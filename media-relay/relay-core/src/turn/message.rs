//! Messages as the server reads them: RFC 8489 §5 and §14, RFC 8656 §18. Nothing is copied.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::net::SocketAddr;
use std::ops::Range;

use crate::stun::{
    self, Attribute, COMPREHENSION_OPTIONAL, COOKIE, FINGERPRINT, HEADER, Key, MESSAGE_INTEGRITY, USERNAME,
};

/// A well-framed message of a kind that a server is sent, with a correct FINGERPRINT if there is one.
pub(super) struct Message<'a> {
    pub(super) kind: Kind,
    pub(super) transaction: [u8; 12],
    pub(super) username: Option<&'a [u8]>,
    pub(super) realm: Option<&'a [u8]>,
    pub(super) nonce: Option<&'a [u8]>,
    /// In seconds.
    pub(super) lifetime: Option<u32>,
    /// A protocol number of IANA's.
    pub(super) requested_transport: Option<u8>,
    pub(super) requested_family: Option<u8>,
    pub(super) even_port: Option<EvenPort>,
    pub(super) reservation_token: Option<[u8; 8]>,
    pub(super) channel: Option<u16>,
    /// The first XOR-PEER-ADDRESS.
    pub(super) peer: Option<SocketAddr>,
    /// Where DATA is in the datagram.
    pub(super) data: Option<Range<usize>>,
    pub(super) has_fingerprint: bool,
    /// An attribute that we know has a value that it cannot have.
    pub(super) is_malformed: bool,
    unknown: [u16; MOST_UNKNOWN],
    unknown_count: usize,
    integrity: Option<Integrity<'a>>,
    /// As far as MESSAGE-INTEGRITY, if there is one.
    attributes: &'a [u8],
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Binding,
    Request(Method),
    /// A Send indication.
    Send,
}

/// A request that needs credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Allocate,
    Refresh,
    CreatePermission,
    ChannelBind,
}

/// RFC 8656 §18.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EvenPort {
    Alone,
    /// The port after it is to be kept for a later allocation.
    WithNext,
}

struct Integrity<'a> {
    authenticated: &'a [u8],
    value: &'a [u8; 20],
}

impl<'a> Message<'a> {
    /// Reads a datagram or a frame; `None` for whatever deserves no answer.
    pub(super) fn parse(datagram: &'a [u8]) -> Option<Self> {
        let (header, attributes) = datagram.split_first_chunk::<HEADER>()?;
        let [type0, type1, length0, length1, cookie0, cookie1, cookie2, cookie3, transaction @ ..] = *header;
        let length = usize::from(u16::from_be_bytes([length0, length1]));
        if length != attributes.len() || [cookie0, cookie1, cookie2, cookie3] != COOKIE {
            return None;
        }
        let kind = Kind::of(u16::from_be_bytes([type0, type1]))?;
        let mut message = Self::empty(kind, transaction, attributes);
        let mut rest = attributes;
        while let Some((attribute, after)) = Attribute::split(rest) {
            let before = datagram.get(..datagram.len().checked_sub(rest.len())?)?;
            rest = after;
            match attribute.kind {
                FINGERPRINT => {
                    if !rest.is_empty() || !stun::is_fingerprint(attribute.value, before) {
                        return None;
                    }
                    message.has_fingerprint = true;
                }
                // RFC 8489 §14.5: what follows MESSAGE-INTEGRITY is ignored.
                _ if message.integrity.is_some() => {}
                MESSAGE_INTEGRITY => {
                    let value = attribute.value.try_into().ok()?;
                    message.integrity = Some(Integrity { authenticated: before, value });
                    message.attributes = before.get(HEADER..)?;
                }
                _ => message.take(&attribute, before.len()),
            }
        }
        rest.is_empty().then_some(message)
    }

    fn empty(kind: Kind, transaction: [u8; 12], attributes: &'a [u8]) -> Self {
        Self {
            kind,
            transaction,
            username: None,
            realm: None,
            nonce: None,
            lifetime: None,
            requested_transport: None,
            requested_family: None,
            even_port: None,
            reservation_token: None,
            channel: None,
            peer: None,
            data: None,
            has_fingerprint: false,
            is_malformed: false,
            unknown: [0; MOST_UNKNOWN],
            unknown_count: 0,
            integrity: None,
            attributes,
        }
    }

    /// Of several attributes of a kind the first counts (RFC 8489 §14).
    fn take(&mut self, attribute: &Attribute<'a>, at: usize) {
        let value = attribute.value;
        let fits = match attribute.kind {
            USERNAME => set(&mut self.username, Some(value)),
            REALM => set(&mut self.realm, Some(value)),
            NONCE => set(&mut self.nonce, Some(value)),
            LIFETIME => set(&mut self.lifetime, value.try_into().ok().map(u32::from_be_bytes)),
            REQUESTED_TRANSPORT => set(&mut self.requested_transport, first_of_four(value)),
            REQUESTED_ADDRESS_FAMILY => set(&mut self.requested_family, first_of_four(value)),
            EVEN_PORT => set(&mut self.even_port, EvenPort::of(value)),
            RESERVATION_TOKEN => set(&mut self.reservation_token, value.try_into().ok()),
            CHANNEL_NUMBER => set(&mut self.channel, channel_number(value)),
            XOR_PEER_ADDRESS => set(&mut self.peer, stun::read_xor_address(value, &self.transaction)),
            DATA => {
                let start = at.saturating_add(4);
                set(&mut self.data, Some(start..start.saturating_add(value.len())))
            }
            kind if kind < COMPREHENSION_OPTIONAL => {
                self.not_understood(kind);
                true
            }
            _ => true,
        };
        self.is_malformed |= !fits;
    }

    fn not_understood(&mut self, kind: u16) {
        if let Some(place) = self.unknown.get_mut(self.unknown_count) {
            *place = kind;
            self.unknown_count = self.unknown_count.saturating_add(1);
        }
    }

    /// The comprehension-required attributes that we do not know; some of them, if there are many.
    pub(super) fn unknown(&self) -> &[u16] {
        self.unknown.get(..self.unknown_count).unwrap_or_default()
    }

    /// Every XOR-PEER-ADDRESS of a message that is not malformed.
    pub(super) fn peers(&self) -> impl Iterator<Item = SocketAddr> + Clone {
        let mut rest = self.attributes;
        std::iter::from_fn(move || {
            let (attribute, after) = Attribute::split(rest)?;
            rest = after;
            Some(attribute)
        })
        .filter(|attribute| attribute.kind == XOR_PEER_ADDRESS)
        .filter_map(|attribute| stun::read_xor_address(attribute.value, &self.transaction))
    }

    pub(super) fn has_integrity(&self) -> bool {
        self.integrity.is_some()
    }

    /// Whether MESSAGE-INTEGRITY was made with this key.
    pub(super) fn is_authentic(&self, key: &Key) -> bool {
        self.integrity.as_ref().is_some_and(|integrity| key.made(integrity.value, integrity.authenticated))
    }
}

impl Kind {
    fn of(code: u16) -> Option<Self> {
        Some(match code {
            0x0001 => Self::Binding,
            0x0003 => Self::Request(Method::Allocate),
            0x0004 => Self::Request(Method::Refresh),
            0x0008 => Self::Request(Method::CreatePermission),
            0x0009 => Self::Request(Method::ChannelBind),
            0x0016 => Self::Send,
            _ => return None,
        })
    }

    /// The method without its class.
    pub(super) fn code(self) -> u16 {
        match self {
            Self::Binding => 0x0001,
            Self::Request(Method::Allocate) => 0x0003,
            Self::Request(Method::Refresh) => 0x0004,
            Self::Send => 0x0006,
            Self::Request(Method::CreatePermission) => 0x0008,
            Self::Request(Method::ChannelBind) => 0x0009,
        }
    }
}

impl EvenPort {
    fn of(value: &[u8]) -> Option<Self> {
        match value {
            [flags] if flags & 0x80 != 0 => Some(Self::WithNext),
            [_] => Some(Self::Alone),
            _ => None,
        }
    }
}

/// Keeps the first value; whether this one was readable.
fn set<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    let is_readable = value.is_some();
    if place.is_none() {
        *place = value;
    }
    is_readable
}

fn first_of_four(value: &[u8]) -> Option<u8> {
    <[u8; 4]>::try_from(value).ok().map(|[first, ..]| first)
}

fn channel_number(value: &[u8]) -> Option<u16> {
    <[u8; 4]>::try_from(value).ok().map(|[high, low, ..]| u16::from_be_bytes([high, low]))
}

/// Named in one 420.
const MOST_UNKNOWN: usize = 8;

/// A Data indication.
pub(super) const DATA_INDICATION: [u8; 2] = [0x00, 0x17];

// RFC 8656 §18, RFC 8489 §18.3.
const CHANNEL_NUMBER: u16 = 0x000C;
pub(super) const LIFETIME: u16 = 0x000D;
pub(super) const XOR_PEER_ADDRESS: u16 = 0x0012;
pub(super) const DATA: u16 = 0x0013;
pub(super) const REALM: u16 = 0x0014;
pub(super) const NONCE: u16 = 0x0015;
pub(super) const XOR_RELAYED_ADDRESS: u16 = 0x0016;
const REQUESTED_ADDRESS_FAMILY: u16 = 0x0017;
const EVEN_PORT: u16 = 0x0018;
const REQUESTED_TRANSPORT: u16 = 0x0019;
pub(super) const RESERVATION_TOKEN: u16 = 0x0022;
