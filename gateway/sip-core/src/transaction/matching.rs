//! Which transaction a message belongs to: RFC 3261 §17.1.3 for responses, §17.2.3 for requests.
//!
//! What the RFC compares is hashed once per message with a secret key; 128 bits are enough to take equal hashes for
//! equal names, and the secret keeps anybody from making two names meet.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::arena::Slot;
use super::siphash::{SipHasher, SipKey};
use crate::message::{Message, Method, Via};

/// Makes [`Fingerprint`]s.
pub(super) struct Matcher {
    key: SipKey,
}

/// The name of one transaction, or one of its other names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Fingerprint(u128);

/// All of a transaction's name but the method, which an ACK and a CANCEL do not share with their INVITE.
pub(super) struct Root {
    hasher: SipHasher,
    style: Style,
}

/// By which rules a server transaction is matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// The branch says it all.
    Rfc3261,
    /// The branch has no magic cookie, or nothing behind it (RFC 4475 §3.2.1): the request itself is the name.
    Rfc2543,
}

/// Which transaction has a name.
pub(super) type Index = HashMap<Fingerprint, Slot, BuildHasherDefault<AlreadyHashed>>;

impl Matcher {
    /// With sixteen random bytes.
    pub fn new(key: [u8; 16]) -> Self {
        Self { key: SipKey::new(key) }
    }

    /// RFC 3261 §17.1.3: the branch, and later the method of the CSeq.
    pub fn client(&self, message: &Message) -> Root {
        let mut hasher = self.start(Kind::Client);
        folded(&mut hasher, message.via().branch.unwrap_or_default());
        Root { hasher, style: Style::Rfc3261 }
    }

    /// RFC 3261 §17.2.3: branch and sent-by, and later the method.
    pub fn server(&self, message: &Message) -> Root {
        let via = message.via();
        let style = style(&via);
        let mut hasher = self.start(match style {
            Style::Rfc3261 => Kind::Server,
            Style::Rfc2543 => Kind::OldServer,
        });
        sent_by_and_branch(&mut hasher, &via);
        if style == Style::Rfc2543 {
            dialog_and_sequence(&mut hasher, message);
        }
        Root { hasher, style }
    }

    /// RFC 3261 §8.2.2.2: From tag, Call-ID and CSeq, equal for all copies of a request that was forked on its way.
    pub fn origin(&self, request: &Message) -> Fingerprint {
        let mut hasher = self.start(Kind::Origin);
        dialog_and_sequence(&mut hasher, request);
        method(&mut hasher, request.method());
        Fingerprint(hasher.finish())
    }

    fn start(&self, kind: Kind) -> SipHasher {
        let mut hasher = self.key.hasher();
        hasher.byte(kind as u8);
        hasher
    }
}

impl Root {
    /// By which rules.
    pub fn style(&self) -> Style {
        self.style
    }

    /// The name as all messages of the transaction have it.
    pub fn of(&self, method_of: &Method) -> Fingerprint {
        let mut hasher = self.hasher.clone();
        method(&mut hasher, method_of);
        Fingerprint(hasher.finish())
    }

    /// The name of a request by the rules of RFC 2543, where the Request-URI belongs to it. The responses have none, so
    /// they are found by [`Root::of`].
    pub fn of_uri(&self, method_of: &Method, uri: &str) -> Fingerprint {
        let mut hasher = self.hasher.clone();
        field(&mut hasher, uri);
        method(&mut hasher, method_of);
        Fingerprint(hasher.finish())
    }
}

/// Keeps names of different kinds apart.
enum Kind {
    Client = 1,
    Server = 2,
    OldServer = 3,
    Origin = 4,
}

fn style(via: &Via<'_>) -> Style {
    let branch = via.branch.unwrap_or_default().as_bytes();
    match branch.split_at_checked(Via::COOKIE.len()) {
        Some((cookie, rest)) if !rest.is_empty() && cookie.eq_ignore_ascii_case(Via::COOKIE.as_bytes()) => {
            Style::Rfc3261
        }
        Some(_) | None => Style::Rfc2543,
    }
}

fn sent_by_and_branch(hasher: &mut SipHasher, via: &Via<'_>) {
    folded(hasher, via.branch.unwrap_or_default());
    folded(hasher, via.host);
    // Port 0 is nobody's, so it can stand for none.
    hasher.bytes(&via.port.unwrap_or(0).to_be_bytes());
}

fn dialog_and_sequence(hasher: &mut SipHasher, message: &Message) {
    field(hasher, message.call_id());
    field(hasher, message.from_tag().unwrap_or_default());
    hasher.bytes(&message.cseq().0.to_be_bytes());
}

fn method(hasher: &mut SipHasher, method: &Method) {
    hasher.bytes(method.as_str().as_bytes());
}

fn field(hasher: &mut SipHasher, text: &str) {
    hasher.bytes(text.as_bytes());
    hasher.byte(END_OF_FIELD);
}

/// RFC 3261 §7.3.1: parameter values and host names are compared without case.
fn folded(hasher: &mut SipHasher, text: &str) {
    let mut piece = [0; 32];
    for part in text.as_bytes().chunks(piece.len()) {
        if let Some(lower) = piece.get_mut(..part.len()) {
            lower.copy_from_slice(part);
            lower.make_ascii_lowercase();
            hasher.bytes(lower);
        }
    }
    hasher.byte(END_OF_FIELD);
}

/// No UTF-8 text has this byte.
const END_OF_FIELD: u8 = 0xff;

/// A [`Fingerprint`] is a hash: some of its bits will do.
#[derive(Default)]
pub(super) struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, fingerprint: u128) {
        self.0 = (fingerprint >> 64) as u64;
    }
}
