//! Long-term credentials without a table: RFC 8489 §9.2, with the user names of [`relay_api::turn`].
//!
//! Only MD5 keys and MESSAGE-INTEGRITY with SHA-1 are offered: no browser negotiates PASSWORD-ALGORITHMS, and passwords
//! are 160 bits of HMAC that live for minutes. A password's expiry decides about new allocations; an allocation that
//! was granted can be refreshed with its user name beyond it, so that a long call keeps its path.

use std::net::{IpAddr, SocketAddr};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE;
use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use relay_api::turn::Secret;
use sha1::Sha1;
use subtle::ConstantTimeEq;

use super::Client;
use super::message::Message;
use super::reply::Refusal;
use crate::random::Random;
use crate::stun::Key;

/// Who made an allocation: only he may use it (RFC 8656 §5).
pub(super) struct Owner {
    pub(super) username: Box<[u8]>,
    pub(super) key: Key,
}

/// Makes and checks nonces, checks passwords.
pub(super) struct Guard {
    pub(super) realm: String,
    pub(super) secrets: Vec<Secret>,
    nonces: Hmac<Sha1>,
}

impl Guard {
    pub(super) fn new(realm: String, secrets: Vec<Secret>, nonce_key: &[u8; 32]) -> Self {
        let nonces = Hmac::new_from_slice(nonce_key).expect("HMAC takes keys of any length");
        Self { realm, secrets, nonces }
    }

    /// RFC 8489 §9.2.4: the key that the request was made with, and its answer is to be.
    pub(super) fn authenticate(
        &self,
        message: &Message<'_>,
        client: &Client,
        owner: Option<&Owner>,
        unix_now: u64,
    ) -> Result<Key, Refusal> {
        if !message.has_integrity() {
            return Err(Refusal::Unauthorized);
        }
        let (Some(username), Some(realm), Some(nonce)) = (message.username, message.realm, message.nonce)
        else {
            return Err(Refusal::BadRequest);
        };
        let key = match owner.filter(|owner| *owner.username == *username) {
            Some(owner) => message.is_authentic(&owner.key).then(|| owner.key.clone()),
            None => self.key(message, username, unix_now),
        };
        let key = key.filter(|_| realm == self.realm.as_bytes()).ok_or(Refusal::Unauthorized)?;
        if self.is_fresh(nonce, client.address(), unix_now) { Ok(key) } else { Err(Refusal::StaleNonce) }
    }

    /// Every secret is tried and every name judged alike, so that the work does not tell what was wrong.
    fn key(&self, message: &Message<'_>, username: &[u8], unix_now: u64) -> Option<Key> {
        let mut found = None;
        for secret in &self.secrets {
            let key = self.key_of(username, &secret.password(username));
            if message.is_authentic(&key) {
                found = Some(key);
            }
        }
        found.filter(|_| is_current(username, unix_now))
    }

    /// RFC 8489 §9.2.2.
    fn key_of(&self, username: &[u8], password: &str) -> Key {
        let mut digest = Md5::new();
        for part in [username, b":", self.realm.as_bytes(), b":", password.as_bytes()] {
            digest.update(part);
        }
        Key::of(&digest.finalize())
    }

    /// A nonce for this client: the time, some chance, and a MAC over both and the client's address.
    pub(super) fn nonce(&self, client: &Client, unix_now: u64, random: &mut Random) -> [u8; NONCE_SIZE] {
        let mut octets = [0; 18];
        let (stamp, mac) = octets.split_at_mut(STAMP_SIZE);
        random.fill(stamp);
        stamp[..4].copy_from_slice(&(unix_now as u32).to_be_bytes());
        mac.copy_from_slice(&self.nonce_mac(stamp, client.address()));
        let mut text = [0; NONCE_SIZE];
        BASE64_URL_SAFE.encode_slice(octets, &mut text).expect("18 octets are 24 characters");
        text
    }

    fn is_fresh(&self, nonce: &[u8], client: SocketAddr, unix_now: u64) -> bool {
        let mut octets = [0; 18];
        if nonce.len() != NONCE_SIZE || BASE64_URL_SAFE.decode_slice(nonce, &mut octets) != Ok(octets.len()) {
            return false;
        }
        let (stamp, mac) = octets.split_at(STAMP_SIZE);
        let made = u32::from_be_bytes([stamp[0], stamp[1], stamp[2], stamp[3]]);
        let age = (unix_now as u32).wrapping_sub(made);
        bool::from(self.nonce_mac(stamp, client).ct_eq(mac)) && age <= NONCE_LIFE
    }

    fn nonce_mac(&self, stamp: &[u8], client: SocketAddr) -> [u8; 18 - STAMP_SIZE] {
        let mut mac = self.nonces.clone();
        mac.update(stamp);
        match client.ip() {
            IpAddr::V4(ip) => mac.update(&ip.octets()),
            IpAddr::V6(ip) => mac.update(&ip.octets()),
        }
        mac.update(&client.port().to_be_bytes());
        let whole = mac.finalize().into_bytes();
        std::array::from_fn(|at| whole[at])
    }
}

/// The part of a user name that quotas count by; empty if it is an expiry alone.
pub(super) fn user(username: &[u8]) -> &[u8] {
    match username.iter().position(|octet| *octet == b':') {
        Some(colon) => &username[colon + 1..],
        None => &[],
    }
}

/// Whether the expiry lies ahead, but not so far that somebody must have made a mistake.
fn is_current(username: &[u8], unix_now: u64) -> bool {
    let digits = username.split(|octet| *octet == b':').next().unwrap_or_default();
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let expiry = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u64>().ok());
    let left = expiry.and_then(|expiry| expiry.checked_sub(unix_now));
    is_number && username.len() <= LONGEST_USERNAME && left.is_some_and(|left| (1..=FURTHEST).contains(&left))
}

/// Base64 of 18 octets.
pub(super) const NONCE_SIZE: usize = 24;
/// The time and chance of a nonce.
const STAMP_SIZE: usize = 7;
/// In seconds; RFC 8656 §5 wants a new one at least every hour.
const NONCE_LIFE: u32 = 3_600;
/// In seconds: a longer life was not meant.
const FURTHEST: u64 = 24 * 3_600;
/// RFC 8489 §14.3 allows 508 octets; what is kept for each allocation should be less.
const LONGEST_USERNAME: usize = 256;
