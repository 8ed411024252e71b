//! Sealed tokens: identity that travels in the protocol.
//!
//! Our tags, Contact users and Via branches name a call, so that any node finds it without an index. A token is
//! `key id, purpose and leg, call id, number, MAC` in lower-case base32, which survives every peer that folds case
//! (RFC 3261 §7.3.1: tokens compare without case). Tokens are deterministic: a repeated INVITE that lands on two nodes
//! makes the same call with the same tags. A forged token opens to nothing.

use std::fmt;

use ring::hmac;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use subtle::ConstantTimeEq;

use super::LegId;
use crate::message::Message;

/// Names one call everywhere: in tokens, in the store, at the relay.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub [u8; 12]);

impl CallId {
    /// The relay's name of the call's media towards this leg that we called.
    pub fn session(&self, called: LegId) -> relay_api::SessionId {
        match called {
            LegId::A | LegId::B => relay_api::SessionId(self.to_string()),
            other => relay_api::SessionId(format!("{self}-{other}")),
        }
    }

    /// The call whose media the relay names so.
    pub fn of_session(session: &relay_api::SessionId) -> Option<Self> {
        let call = session.0.split_once('-').map_or(session.0.as_str(), |(call, _)| call);
        Self::parse(call)
    }

    /// The text form read back.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = base32::decode::<12>(text)?;
        Some(Self(bytes))
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base32::encode(&self.0))
    }
}

impl fmt::Debug for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallId({self})")
    }
}

impl Serialize for CallId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CallId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("not a call id"))
    }
}

/// What a token stands for; a token of one purpose is worthless for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Our tag in From or To, and the user of our Contact.
    Tag,
    /// A Via branch of ours.
    Branch,
}

/// What an opened token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Named {
    /// What the token stands for.
    pub purpose: Purpose,
    /// The call.
    pub call: CallId,
    /// The leg of the call.
    pub leg: LegId,
    /// Told apart by this number (zero, or for [`Purpose::Branch`] what was sealed).
    pub number: u32,
}

/// Makes and opens tokens with a keyed hash. Nodes of a cluster hold the same keys.
#[derive(Clone)]
pub struct Sealer {
    current: Key,
    previous: Vec<Key>,
}

#[derive(Clone)]
struct Key {
    id: u8,
    hash: hmac::Key,
}

impl Sealer {
    /// A sealer whose tokens carry `id`, so that keys can be replaced one after the other.
    pub fn new(id: u8, key: &[u8; 32]) -> Self {
        Self { current: Key::new(id, key), previous: Vec::new() }
    }

    /// Still opens tokens of a former key.
    #[must_use]
    pub fn accepting(mut self, id: u8, key: &[u8; 32]) -> Self {
        self.previous.push(Key::new(id, key));
        self
    }

    /// The call which this initial INVITE makes, and its CANCEL ends: the same on every node and for every repetition.
    /// RFC 3261 §17.2.3: the topmost branch tells transactions apart, here together with its sender, the Call-ID, the
    /// From tag and the CSeq number, so that peers without unique branches (RFC 2543) are safe as well.
    pub fn call_id(&self, invite: &Message) -> CallId {
        let via = invite.via();
        let mut hash = hmac::Context::with_key(&self.current.hash);
        hash.update(b"call");
        let parts = [invite.call_id(), invite.from_tag().unwrap_or(""), via.branch.unwrap_or(""), via.host];
        for part in parts {
            // The length goes in as well: two parts can't borrow bytes from each other.
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        hash.update(&via.port.unwrap_or(0).to_be_bytes());
        hash.update(&invite.cseq().0.to_be_bytes());
        CallId(first_bytes(hash.sign().as_ref()))
    }

    /// A token; the same arguments always give the same text.
    pub fn seal(&self, named: &Named) -> String {
        let body = Body::of(self.current.id, named);
        base32::encode(&body.sealed(&self.current.mac(&body.0)))
    }

    /// Our tag on one leg.
    pub fn tag(&self, call: CallId, leg: LegId) -> String {
        self.seal(&Named { purpose: Purpose::Tag, call, leg, number: 0 })
    }

    /// A Via branch with the magic cookie (RFC 3261 §8.1.1.7). `number` tells requests of one leg apart.
    pub fn branch(&self, call: CallId, leg: LegId, number: u32) -> String {
        let mut branch = String::from(MAGIC_COOKIE);
        branch.push_str(&self.seal(&Named { purpose: Purpose::Branch, call, leg, number }));
        branch
    }

    /// What a token says; `None` when it isn't ours. Takes tags, Contact users and branches, these with the magic
    /// cookie.
    pub fn open(&self, token: &str) -> Option<Named> {
        let token = match token.get(..MAGIC_COOKIE.len()) {
            Some(start) if start.eq_ignore_ascii_case(MAGIC_COOKIE) => &token[MAGIC_COOKIE.len()..],
            _ => token,
        };
        let bytes = base32::decode::<TOKEN>(token)?;
        let (body, mac) = bytes.split_at(BODY);
        let body = Body(first_bytes(body));
        let key = self.keys().find(|key| key.id == body.0[0])?;
        if !bool::from(key.mac(&body.0)[..].ct_eq(mac)) {
            return None;
        }
        body.named()
    }

    /// The call that an in-dialog request or a response names: the tag that is ours, in To of a request and in From
    /// of a response, or else the response's topmost branch.
    pub fn call_of(&self, message: &Message) -> Option<Named> {
        let (tag, branch) = match message.is_request() {
            true => (message.to_tag(), None),
            false => (message.from_tag(), message.via().branch),
        };
        tag.and_then(|tag| self.open(tag)).or_else(|| branch.and_then(|branch| self.open(branch)))
    }

    /// A number that peers can't foresee, but every node computes alike: for retry delays.
    pub fn number(&self, call: CallId, leg: LegId, what: &str) -> u64 {
        let mut hash = hmac::Context::with_key(&self.current.hash);
        hash.update(b"number");
        hash.update(&call.0);
        hash.update(&[leg.number()]);
        hash.update(what.as_bytes());
        u64::from_be_bytes(first_bytes(hash.sign().as_ref()))
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.current).chain(&self.previous)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("current", &self.current.id).finish_non_exhaustive()
    }
}

impl Key {
    fn new(id: u8, key: &[u8; 32]) -> Self {
        let hash = hmac::Key::new(hmac::HMAC_SHA256, key);
        Self { id, hash }
    }

    fn mac(&self, body: &[u8]) -> [u8; MAC] {
        let mut hash = hmac::Context::with_key(&self.hash);
        hash.update(b"token");
        hash.update(body);
        first_bytes(hash.sign().as_ref())
    }
}

/// The signed part of a token.
struct Body([u8; BODY]);

impl Body {
    fn of(key: u8, named: &Named) -> Self {
        let mut body = [0; BODY];
        body[0] = key;
        body[1] = named.leg.number() << PURPOSE_BITS | purpose_code(named.purpose);
        body[2..14].copy_from_slice(&named.call.0);
        body[14..].copy_from_slice(&named.number.to_be_bytes());
        Self(body)
    }

    fn sealed(&self, mac: &[u8; MAC]) -> [u8; TOKEN] {
        let mut token = [0; TOKEN];
        token[..BODY].copy_from_slice(&self.0);
        token[BODY..].copy_from_slice(mac);
        token
    }

    fn named(&self) -> Option<Named> {
        Some(Named {
            purpose: purpose_of(self.0[1] & ((1 << PURPOSE_BITS) - 1))?,
            call: CallId(first_bytes(&self.0[2..14])),
            leg: LegId::of_number(self.0[1] >> PURPOSE_BITS)?,
            number: u32::from_be_bytes(first_bytes(&self.0[14..])),
        })
    }
}

/// A leg's number has the bits above.
const PURPOSE_BITS: u32 = 2;

fn purpose_code(purpose: Purpose) -> u8 {
    match purpose {
        Purpose::Tag => 1,
        Purpose::Branch => 2,
    }
}

fn purpose_of(code: u8) -> Option<Purpose> {
    [Purpose::Tag, Purpose::Branch].into_iter().find(|purpose| purpose_code(*purpose) == code)
}

fn first_bytes<const N: usize>(bytes: &[u8]) -> [u8; N] {
    *bytes.first_chunk().expect("the digest and the token are longer than every part of them")
}

/// RFC 4648 §6 without padding, in lower case.
mod base32 {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

    pub fn encode(bytes: &[u8]) -> String {
        let mut text = String::with_capacity((bytes.len() * 8).div_ceil(5));
        let (mut buffer, mut bits) = (0u32, 0u32);
        for &byte in bytes {
            buffer = buffer << 8 | u32::from(byte);
            bits += 8;
            while bits >= 5 {
                bits -= 5;
                text.push(letter(buffer >> bits));
            }
        }
        if bits > 0 {
            text.push(letter(buffer << (5 - bits)));
        }
        text
    }

    /// Only the one spelling of `N` bytes is taken, apart from case.
    pub fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
        if text.len() != (N * 8).div_ceil(5) {
            return None;
        }
        let mut bytes = [0; N];
        let (mut buffer, mut bits, mut filled) = (0u32, 0u32, 0);
        for character in text.bytes() {
            buffer = buffer << 5 | value(character)?;
            bits += 5;
            if bits >= 8 {
                bits -= 8;
                *bytes.get_mut(filled)? = (buffer >> bits & 0xff) as u8;
                filled += 1;
            }
        }
        (buffer & ((1 << bits) - 1) == 0).then_some(bytes)
    }

    fn letter(five_bits: u32) -> char {
        ALPHABET[(five_bits & 31) as usize].into()
    }

    fn value(character: u8) -> Option<u32> {
        match character {
            b'a'..=b'z' => Some((character - b'a').into()),
            b'A'..=b'Z' => Some((character - b'A').into()),
            b'2'..=b'7' => Some((character - b'2' + 26).into()),
            _ => None,
        }
    }
}

/// RFC 3261 §8.1.1.7.
const MAGIC_COOKIE: &str = "z9hG4bK";
/// Key id, purpose and leg, call id, number.
const BODY: usize = 1 + 1 + 12 + 4;
/// 96 bits: guessing one is out of reach, and the whole token stays below 50 characters.
const MAC: usize = 12;
const TOKEN: usize = BODY + MAC;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use bytes::Bytes;

    use super::*;
    use crate::message::Limits;

    fn sealer() -> Sealer {
        Sealer::new(3, &[1; 32])
    }

    fn named(purpose: Purpose) -> Named {
        Named { purpose, call: CallId([9; 12]), leg: LegId::B, number: 77 }
    }

    fn invite(branch: &str, tag: &str) -> Message {
        let text = format!(
            "INVITE sip:x@gw SIP/2.0\r\nVia: SIP/2.0/UDP h:5060;branch={branch}\r\nFrom: <sip:a@b>;tag={tag}\r\n\
             To: <sip:x@gw>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\r\n"
        );
        Message::parse(Bytes::from(text), &Limits::default()).unwrap()
    }

    #[test]
    fn a_token_opens_to_what_was_sealed() {
        for purpose in [Purpose::Tag, Purpose::Branch] {
            let token = sealer().seal(&named(purpose));
            assert_eq!(token.len(), 48);
            assert_eq!(sealer().open(&token), Some(named(purpose)));
            assert_eq!(sealer().open(&token.to_uppercase()), Some(named(purpose)), "peers fold case");
        }
        let branch = sealer().branch(CallId([9; 12]), LegId::B, 77);
        assert!(branch.starts_with("z9hG4bK"));
        assert_eq!(sealer().open(&branch), Some(named(Purpose::Branch)));
    }

    #[test]
    fn a_changed_token_opens_to_nothing() {
        let token = sealer().seal(&named(Purpose::Tag));
        for at in 0..token.len() {
            for letter in ["a", "z", "2", "0", "é"] {
                let changed = format!("{}{letter}{}", &token[..at], &token[at + 1..]);
                assert!(changed == token || sealer().open(&changed).is_none(), "{changed}");
            }
        }
        assert_eq!(sealer().open(&token[1..]), None);
        assert_eq!(sealer().open(""), None);
        assert_eq!(sealer().open("z9hG4bK"), None);
        assert_eq!(Sealer::new(3, &[2; 32]).open(&token), None);
    }

    #[test]
    fn a_former_key_still_opens() {
        let token = sealer().seal(&named(Purpose::Tag));
        let next = Sealer::new(4, &[2; 32]);
        assert_eq!(next.open(&token), None);
        assert_eq!(next.accepting(3, &[1; 32]).open(&token), Some(named(Purpose::Tag)));
    }

    #[test] // RFC 3261 §17.2.3
    fn a_call_is_named_by_the_transaction_of_its_invite() {
        let sealer = sealer();
        let call = sealer.call_id(&invite("z9hG4bK1", "a"));
        assert_eq!(call, sealer.call_id(&invite("z9hG4bK1", "a")));
        assert_ne!(call, sealer.call_id(&invite("z9hG4bK2", "a")));
        assert_ne!(call, sealer.call_id(&invite("z9hG4bK1", "b")));
    }

    #[test]
    fn call_ids_are_text() {
        let call = CallId([0xff; 12]);
        assert_eq!(CallId::parse(&call.to_string()), Some(call));
        assert_eq!(CallId::parse("77777777777777777777"), None, "one spelling of each id");
        let json = serde_json::to_string(&call).unwrap();
        assert_eq!(serde_json::from_str::<CallId>(&json).unwrap(), call);
        assert_eq!(call.session(LegId::B).0.len(), 20);
    }
}
