//! Answers: RFC 8489 §6.3, RFC 8656 §19. Neither SOFTWARE nor reason phrases, so that they stay small.

use std::net::SocketAddr;
use std::time::Duration;

use super::message::{Kind, LIFETIME, Message, NONCE, REALM, RESERVATION_TOKEN, XOR_RELAYED_ADDRESS};
use crate::stun::{ERROR_CODE, Key, UNKNOWN_ATTRIBUTES, Writer, XOR_MAPPED_ADDRESS};

/// What a request led to.
pub(super) enum Success {
    Bound,
    Allocated { relayed: SocketAddr, lifetime: Duration, token: Option<[u8; 8]> },
    Refreshed { lifetime: Duration },
    Done,
}

/// What a request is refused for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    BadRequest,
    Unauthorized,
    Forbidden,
    UnknownAttribute,
    AllocationMismatch,
    StaleNonce,
    FamilyNotSupported,
    WrongCredentials,
    UnsupportedTransport,
    PeerFamilyMismatch,
    QuotaReached,
    InsufficientCapacity,
}

/// What a challenge names.
pub(super) struct Challenge<'a> {
    pub(super) realm: &'a [u8],
    pub(super) nonce: &'a [u8],
}

impl Refusal {
    fn code(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::UnknownAttribute => 420,
            Self::AllocationMismatch => 437,
            Self::StaleNonce => 438,
            Self::FamilyNotSupported => 440,
            Self::WrongCredentials => 441,
            Self::UnsupportedTransport => 442,
            Self::PeerFamilyMismatch => 443,
            Self::QuotaReached => 486,
            Self::InsufficientCapacity => 508,
        }
    }

    /// RFC 8489 §9.2.4: whether it names a realm and a nonce.
    pub(super) fn challenges(self) -> bool {
        matches!(self, Self::Unauthorized | Self::StaleNonce)
    }
}

/// Writes a success response to `client`; its length in `out`.
pub(super) fn accept(
    request: &Message<'_>,
    success: &Success,
    client: SocketAddr,
    key: Option<&Key>,
    out: &mut [u8],
) -> usize {
    let mut writer = Writer::new(out, response(request.kind, SUCCESS), request.transaction);
    let seconds = |lifetime: &Duration| (lifetime.as_secs() as u32).to_be_bytes();
    match success {
        Success::Bound => writer.xor_address(XOR_MAPPED_ADDRESS, client),
        Success::Allocated { relayed, lifetime, token } => {
            writer.xor_address(XOR_RELAYED_ADDRESS, *relayed);
            writer.attribute(LIFETIME, &seconds(lifetime));
            if let Some(token) = token {
                writer.attribute(RESERVATION_TOKEN, token);
            }
            writer.xor_address(XOR_MAPPED_ADDRESS, client);
        }
        Success::Refreshed { lifetime } => writer.attribute(LIFETIME, &seconds(lifetime)),
        Success::Done => {}
    }
    finish(writer, request, key)
}

/// Writes an error response; its length in `out`.
pub(super) fn refuse(
    request: &Message<'_>,
    refusal: Refusal,
    challenge: Option<&Challenge<'_>>,
    key: Option<&Key>,
    out: &mut [u8],
) -> usize {
    let mut writer = Writer::new(out, response(request.kind, ERROR), request.transaction);
    let code = refusal.code();
    writer.attribute(ERROR_CODE, &[0, 0, (code / 100) as u8, (code % 100) as u8]);
    if refusal == Refusal::UnknownAttribute {
        let mut kinds = [0; 16];
        let places = kinds.chunks_exact_mut(2);
        let count =
            places.zip(request.unknown()).map(|(at, kind)| at.copy_from_slice(&kind.to_be_bytes())).count();
        writer.attribute(UNKNOWN_ATTRIBUTES, &kinds[..2 * count]);
    }
    if let Some(challenge) = challenge {
        writer.attribute(REALM, challenge.realm);
        writer.attribute(NONCE, challenge.nonce);
    }
    finish(writer, request, key)
}

fn finish(mut writer: Writer<'_>, request: &Message<'_>, key: Option<&Key>) -> usize {
    if let Some(key) = key {
        writer.integrity(key);
    }
    if request.has_fingerprint {
        writer.fingerprint();
    }
    writer.end()
}

/// RFC 8489 §5: the class lies across the method, whose codes here are below 16.
fn response(kind: Kind, class: u16) -> [u8; 2] {
    (kind.code() | class).to_be_bytes()
}

/// Whether an answer is more than twice as large on the wire as what asked for it.
pub(super) fn is_amplified(request_length: usize, answer_length: usize) -> bool {
    answer_length + IP_AND_UDP > 2 * (request_length + IP_AND_UDP)
}

const SUCCESS: u16 = 0x0100;
const ERROR: u16 = 0x0110;
/// Headers of IPv4 and UDP.
const IP_AND_UDP: usize = 28;
