//! The hash functions of RFC 8760 and the two-step digest over them.

use std::fmt;
use std::str::FromStr;

use md5::Md5;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256, Sha512_256};
use subtle::ConstantTimeEq;

/// A digest algorithm, ordered by strength.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Algorithm {
    /// `MD5`, what a header without `algorithm` means.
    #[serde(rename = "MD5")]
    Md5,
    /// `SHA-256`
    #[serde(rename = "SHA-256")]
    Sha256,
    /// `SHA-512-256`
    #[serde(rename = "SHA-512-256")]
    Sha512_256,
}

impl Algorithm {
    /// Strongest first.
    pub const ALL: [Self; 3] = [Self::Sha512_256, Self::Sha256, Self::Md5];

    /// As RFC 8760 §2.1 spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
            Self::Sha512_256 => "SHA-512-256",
        }
    }

    /// The hash of the parts joined by colons, as digests are built.
    pub(super) fn hash(self, parts: &[&[u8]]) -> Hex {
        match self {
            Self::Md5 => joined::<Md5>(parts),
            Self::Sha256 => joined::<Sha256>(parts),
            Self::Sha512_256 => joined::<Sha512_256>(parts),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        Self::ALL.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(name)).ok_or(UnknownAlgorithm)
    }
}

/// Not one of MD5, SHA-256 and SHA-512-256; the `-sess` variants are not spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown digest algorithm; known are MD5, SHA-256 and SHA-512-256")]
pub struct UnknownAlgorithm;

/// A hash in lower-case hexadecimal digits, without allocation.
#[derive(Clone, Copy)]
pub(super) struct Hex {
    digits: [u8; 64],
    length: usize,
}

impl Hex {
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.digits.get(..self.length).unwrap_or_default()
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// In a time that tells nothing but the length. Upper-case digits are taken too.
    pub(super) fn equals(&self, other: &str) -> bool {
        let mut lower = [0; 64];
        let Some(lower) = lower.get_mut(..other.len()) else { return false };
        lower.copy_from_slice(other.as_bytes());
        lower.make_ascii_lowercase();
        self.as_bytes().ct_eq(lower).into()
    }

    fn of(hash: &[u8]) -> Self {
        let mut hex = Self { digits: [0; 64], length: 0 };
        let digits = hash.iter().flat_map(|byte| [byte >> 4, byte & 0xF]);
        for (to, digit) in hex.digits.iter_mut().zip(digits) {
            *to = if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
            hex.length += 1;
        }
        hex
    }
}

fn joined<D: Digest>(parts: &[&[u8]]) -> Hex {
    let mut hash = D::new();
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            hash.update(b":");
        }
        hash.update(part);
    }
    Hex::of(&hash.finalize())
}
