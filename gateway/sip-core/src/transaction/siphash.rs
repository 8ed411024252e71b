//! SipHash-2-4 with a 128-bit result: a keyed hash, so that nobody outside can make two branches collide.
//!
//! Written after the description of Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012), §2, and its
//! 128-bit variant as tabulated by the authors' test vectors.

/// The secret of one process.
#[derive(Clone)]
pub(super) struct SipKey {
    k0: u64,
    k1: u64,
}

impl SipKey {
    /// From sixteen random bytes.
    pub fn new(bytes: [u8; 16]) -> Self {
        let key = u128::from_le_bytes(bytes);
        Self { k0: low(key), k1: low(key >> 64) }
    }

    /// Starts a hash.
    pub fn hasher(&self) -> SipHasher {
        SipHasher {
            v0: self.k0 ^ 0x736f_6d65_7073_6575,
            v1: self.k1 ^ 0x646f_7261_6e64_6f6d ^ 0xee,
            v2: self.k0 ^ 0x6c79_6765_6e65_7261,
            v3: self.k1 ^ 0x7465_6462_7974_6573,
            tail: 0,
            length: 0,
        }
    }
}

/// A hash being made.
#[derive(Clone)]
pub(super) struct SipHasher {
    v0: u64,
    v1: u64,
    v2: u64,
    v3: u64,
    /// Bytes that do not fill a word yet, first byte lowest.
    tail: u64,
    length: u64,
}

impl SipHasher {
    /// Appends one byte.
    pub fn byte(&mut self, byte: u8) {
        self.tail |= u64::from(byte) << (8 * (self.length & 7));
        self.length = self.length.wrapping_add(1);
        if self.length & 7 == 0 {
            let word = std::mem::take(&mut self.tail);
            self.word(word);
        }
    }

    /// Appends bytes.
    pub fn bytes(&mut self, mut bytes: &[u8]) {
        while self.length & 7 != 0
            && let Some((first, rest)) = bytes.split_first()
        {
            self.byte(*first);
            bytes = rest;
        }
        while let Some((word, rest)) = bytes.split_first_chunk::<8>() {
            self.word(u64::from_le_bytes(*word));
            self.length = self.length.wrapping_add(8);
            bytes = rest;
        }
        for byte in bytes {
            self.byte(*byte);
        }
    }

    /// The hash of what was appended.
    pub fn finish(mut self) -> u128 {
        let last = self.tail | (self.length << 56);
        self.word(last);
        self.v2 ^= 0xee;
        let lower = self.squeeze();
        self.v1 ^= 0xdd;
        let upper = self.squeeze();
        u128::from(lower) | (u128::from(upper) << 64)
    }

    fn word(&mut self, word: u64) {
        self.v3 ^= word;
        self.round();
        self.round();
        self.v0 ^= word;
    }

    fn squeeze(&mut self) -> u64 {
        for _ in 0..4 {
            self.round();
        }
        self.v0 ^ self.v1 ^ self.v2 ^ self.v3
    }

    fn round(&mut self) {
        self.v0 = self.v0.wrapping_add(self.v1);
        self.v1 = self.v1.rotate_left(13) ^ self.v0;
        self.v0 = self.v0.rotate_left(32);
        self.v2 = self.v2.wrapping_add(self.v3);
        self.v3 = self.v3.rotate_left(16) ^ self.v2;
        self.v0 = self.v0.wrapping_add(self.v3);
        self.v3 = self.v3.rotate_left(21) ^ self.v0;
        self.v2 = self.v2.wrapping_add(self.v1);
        self.v1 = self.v1.rotate_left(17) ^ self.v2;
        self.v2 = self.v2.rotate_left(32);
    }
}

/// The low half.
fn low(value: u128) -> u64 {
    (value & u128::from(u64::MAX)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key 00 01 … 0f of the authors' vectors.
    fn hash(message: &[u8]) -> [u8; 16] {
        let mut hasher = SipKey::new(std::array::from_fn(|at| at as u8)).hasher();
        hasher.bytes(message);
        hasher.finish().to_le_bytes()
    }

    #[test] // vectors_sip128 of the reference implementation, messages of 0, 1, 2 and 7 bytes
    fn the_authors_vectors_come_out() {
        let message: [u8; 64] = std::array::from_fn(|at| at as u8);
        let expected = [
            (
                0,
                [
                    0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02,
                    0x93,
                ],
            ),
            (
                1,
                [
                    0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc,
                    0x45,
                ],
            ),
            (
                2,
                [
                    0x81, 0x77, 0x22, 0x8d, 0xa4, 0xa4, 0x5d, 0xc7, 0xfc, 0xa3, 0x8b, 0xde, 0xf6, 0x0a, 0xff,
                    0xe4,
                ],
            ),
            (
                7,
                [
                    0xa1, 0xf1, 0xeb, 0xbe, 0xd8, 0xdb, 0xc1, 0x53, 0xc0, 0xb8, 0x4a, 0xa6, 0x1f, 0xf0, 0x82,
                    0x39,
                ],
            ),
        ];
        for (length, digest) in expected {
            assert_eq!(hash(&message[..length]), digest, "{length} bytes");
        }
    }

    #[test]
    fn pieces_of_any_size_give_the_same_hash() {
        let message: Vec<u8> = (0..64).collect();
        for cut in 0..=message.len() {
            let mut hasher = SipKey::new(std::array::from_fn(|at| at as u8)).hasher();
            hasher.bytes(&message[..cut]);
            for byte in &message[cut..] {
                hasher.byte(*byte);
            }
            assert_eq!(hasher.finish().to_le_bytes(), hash(&message), "cut at {cut}");
        }
    }
}
