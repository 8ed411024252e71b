//! Nonces that carry their own age under a seal: nothing is kept for a challenge (RFC 7616 §3.3, §5.4).

use std::fmt;

use ring::hmac;
use subtle::ConstantTimeEq;

use crate::time::UnixMillis;

/// Seals and opens nonces. All nodes hold the same key, so all judge alike.
#[derive(Clone)]
pub struct NonceSealer(hmac::Key);

impl NonceSealer {
    /// From a secret key.
    pub fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// A nonce of 40 characters. It opens only with the `binding` it was sealed with, which may be empty.
    pub fn seal(&self, issued: UnixMillis, salt: Salt, binding: &[u8]) -> String {
        let mut nonce = [0; NONCE];
        let (body, seal) = nonce.split_at_mut(BODY);
        let (time, salted) = body.split_at_mut(TIME);
        time.copy_from_slice(&issued.0.to_be_bytes()[8 - TIME..]);
        let (number, chance) = salted.split_at_mut(SALT / 2);
        number.copy_from_slice(&salt.number.to_be_bytes());
        chance.copy_from_slice(&salt.chance.to_be_bytes());
        seal.copy_from_slice(&self.mac(body, binding).as_ref()[..SEAL]);
        encode(&nonce)
    }

    /// Which nonce this is and when it was made; `None` for one that is not ours or not for this binding.
    pub(super) fn open(&self, nonce: &str, binding: &[u8]) -> Option<(NonceId, UnixMillis)> {
        let nonce = decode(nonce)?;
        let (body, seal) = nonce.split_at(BODY);
        if !bool::from(self.mac(body, binding).as_ref()[..SEAL].ct_eq(seal)) {
            return None;
        }
        let id = body.iter().fold(0, |id: u128, byte| id << 8 | u128::from(*byte));
        let issued = u64::try_from(id >> 64).ok()?;
        Some((NonceId(id), UnixMillis(issued)))
    }

    /// For the decoy of unknown users.
    pub(super) fn derive(&self, label: &[u8]) -> String {
        encode(self.mac(&[0; BODY], label).as_ref())
    }

    fn mac(&self, body: &[u8], binding: &[u8]) -> hmac::Tag {
        let mut hash = hmac::Context::with_key(&self.0);
        hash.update(body);
        hash.update(binding);
        hash.sign()
    }
}

impl fmt::Debug for NonceSealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NonceSealer")
    }
}

/// What makes the nonce of one challenge differ from that of the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Salt {
    /// Of the challenge, from [`NonceUses::next_challenge`] of what the nonce is bound to.
    pub number: u32,
    /// From a source of randomness.
    pub chance: u32,
}

/// Names a nonce. Nobody but us can make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NonceId(u128);

impl NonceId {
    /// [`Salt::number`]: the lower half of the name is the salt.
    fn number(self) -> u32 {
        u32::try_from(self.0 >> 32 & u128::from(u32::MAX)).unwrap_or(u32::MAX)
    }
}

/// The uses of all nonces that have one binding: no use is taken twice (RFC 7616 §3.4, §5.5), and nothing is kept but the last.
///
/// A nonce is good until a later one was used. Whoever comes back with an earlier one costs one challenge more.
#[derive(Clone, Copy, Debug, Default)]
pub struct NonceUses {
    challenges: u32,
    last: Option<(NonceId, u32)>,
}

impl NonceUses {
    /// The number for the salt of the next nonce.
    pub fn next_challenge(&mut self) -> u32 {
        // After 2^32 challenges all further nonces count as one that was used.
        self.challenges = self.challenges.saturating_add(1);
        self.challenges
    }

    /// Takes a use of a nonce whose seal, binding and proof were found right: whether there was none like it.
    pub fn accept(&mut self, nonce: NonceId, nc: u32) -> bool {
        let is_new = match self.last {
            None => true,
            Some((last, count)) if last == nonce => nc > count,
            Some((last, _)) => nonce.number() > last.number(),
        };
        if is_new {
            self.last = Some((nonce, nc));
        }
        is_new
    }
}

/// URL-safe base64 (RFC 4648 §5): nothing in it needs a quoted-string escape.
fn encode(bytes: &[u8]) -> String {
    let group = |group: &[u8]| {
        let bits = group.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte))
            << (8 * (3 - group.len()));
        [18, 12, 6, 0]
            .map(|shift| char::from(ALPHABET[bits >> shift & 0x3F]))
            .into_iter()
            .take(group.len() + 1)
    };
    bytes.chunks(3).flat_map(group).collect()
}

fn decode(text: &str) -> Option<[u8; NONCE]> {
    let mut bytes = [0; NONCE];
    if text.len() != NONCE / 3 * 4 {
        return None;
    }
    for (group, to) in text.as_bytes().chunks(4).zip(bytes.chunks_mut(3)) {
        let bits =
            group.iter().try_fold(0_u32, |bits, digit| Some(bits << 6 | u32::from(sextet(*digit)?)))?;
        to.copy_from_slice(&bits.to_be_bytes()[1..]);
    }
    Some(bytes)
}

fn sextet(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'-' => Some(62),
        b'_' => Some(63),
        _ => None,
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// 48 bits of milliseconds last for 8,000 years.
const TIME: usize = 6;
const SALT: usize = 8;
const BODY: usize = TIME + SALT;
/// 128 bits of HMAC-SHA-256 (RFC 2104 §5).
const SEAL: usize = 16;
/// A multiple of three, so that base64 needs no padding.
const NONCE: usize = BODY + SEAL;
