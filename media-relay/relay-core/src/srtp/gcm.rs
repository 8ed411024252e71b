//! AES-GCM: RFC 7714.

use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::kdf::{Label, derive};
use super::{ENCRYPTED, RTCP_HEADER, word};

/// Session keys of one direction.
pub(super) struct Gcm {
    rtp: Stream,
    rtcp: Stream,
}

struct Stream {
    key: LessSafeKey,
    salt: [u8; 12],
}

impl Gcm {
    pub(super) fn new(key: &[u8], salt: &[u8]) -> Self {
        let stream = |encryption, session_salt| {
            let (mut session_key, mut counter) = (Zeroizing::new([0; 32]), [0; 12]);
            let session_key = &mut session_key[..key.len()];
            derive(key, salt, encryption, session_key);
            derive(key, salt, session_salt, &mut counter);
            Stream::new(session_key, counter)
        };
        Self {
            rtp: stream(Label::RtpEncryption, Label::RtpSalt),
            rtcp: stream(Label::RtcpEncryption, Label::RtcpSalt),
        }
    }

    pub(super) fn seal_rtp(
        &self,
        buffer: &mut [u8],
        header: usize,
        length: usize,
        rollover: u32,
    ) -> Option<usize> {
        let nonce = self.rtp.rtp_nonce(buffer, rollover)?;
        let (packet, tail) = buffer.split_at_mut_checked(length)?;
        let (header, payload) = packet.split_at_mut_checked(header)?;
        let place = tail.get_mut(..TAG)?;
        let tag = self.rtp.key.seal_in_place_separate_tag(nonce, Aad::from(header), payload).ok()?;
        place.copy_from_slice(tag.as_ref());
        Some(length + TAG)
    }

    pub(super) fn open_rtp(&self, packet: &mut [u8], header: usize, rollover: u32) -> Option<usize> {
        let length = packet.len().checked_sub(TAG).filter(|length| *length >= header)?;
        let nonce = self.rtp.rtp_nonce(packet, rollover)?;
        let (header, payload) = packet.split_at_mut_checked(header)?;
        self.rtp.key.open_in_place(nonce, Aad::from(header), payload).ok()?;
        Some(length)
    }

    /// §9: header, cipher text with tag, then the index; header and index are associated data.
    pub(super) fn seal_rtcp(&self, buffer: &mut [u8], length: usize, index: u32) -> Option<usize> {
        let trailer = (index | ENCRYPTED).to_be_bytes();
        let nonce = self.rtcp.rtcp_nonce(buffer, index)?;
        let (packet, tail) = buffer.split_at_mut_checked(length)?;
        let (header, payload) = packet.split_at_mut_checked(RTCP_HEADER)?;
        let place = tail.get_mut(..TAG + 4)?;
        let associated = associated(header, trailer)?;
        let tag = self.rtcp.key.seal_in_place_separate_tag(nonce, Aad::from(associated), payload).ok()?;
        place[..TAG].copy_from_slice(tag.as_ref());
        place[TAG..].copy_from_slice(&trailer);
        Some(length + TAG + 4)
    }

    pub(super) fn open_rtcp(
        &self,
        packet: &mut [u8],
        fresh: impl FnOnce(u32) -> bool,
    ) -> Option<(usize, u32)> {
        let end = packet.len().checked_sub(4)?;
        let length = end.checked_sub(TAG).filter(|length| *length >= RTCP_HEADER)?;
        let trailer = word(packet, end)?;
        let index = trailer & !ENCRYPTED;
        if trailer & ENCRYPTED == 0 || !fresh(index) {
            return None;
        }
        let nonce = self.rtcp.rtcp_nonce(packet, index)?;
        let (header, rest) = packet.split_at_mut_checked(RTCP_HEADER)?;
        let associated = associated(header, trailer.to_be_bytes())?;
        let payload = rest.get_mut(..end - RTCP_HEADER)?;
        self.rtcp.key.open_in_place(nonce, Aad::from(associated), payload).ok()?;
        Some((length, index))
    }
}

impl Stream {
    fn new(key: &[u8], salt: [u8; 12]) -> Self {
        let algorithm = if key.len() == 32 { &AES_256_GCM } else { &AES_128_GCM };
        let key = UnboundKey::new(algorithm, key).expect("a profile's key has 16 or 32 bytes");
        Self { key: LessSafeKey::new(key), salt }
    }

    /// §8.1: two zero bytes, SSRC, rollover counter and sequence number, under the salt.
    fn rtp_nonce(&self, packet: &[u8], rollover: u32) -> Option<Nonce> {
        let mut nonce = [0; 12];
        nonce[2..6].copy_from_slice(packet.get(8..12)?);
        nonce[6..10].copy_from_slice(&rollover.to_be_bytes());
        nonce[10..].copy_from_slice(packet.get(2..4)?);
        Some(self.salted(nonce))
    }

    /// §9.1: two zero bytes, SSRC, two zero bytes and the index, under the salt.
    fn rtcp_nonce(&self, packet: &[u8], index: u32) -> Option<Nonce> {
        let mut nonce = [0; 12];
        nonce[2..6].copy_from_slice(packet.get(4..8)?);
        nonce[8..].copy_from_slice(&index.to_be_bytes());
        Some(self.salted(nonce))
    }

    fn salted(&self, mut nonce: [u8; 12]) -> Nonce {
        for (place, salt) in nonce.iter_mut().zip(self.salt) {
            *place ^= salt;
        }
        Nonce::assume_unique_for_key(nonce)
    }
}

/// §9.2: the header and the index with its E flag.
fn associated(header: &[u8], trailer: [u8; 4]) -> Option<[u8; RTCP_HEADER + 4]> {
    let mut data = [0; RTCP_HEADER + 4];
    data[..RTCP_HEADER].copy_from_slice(header.get(..RTCP_HEADER)?);
    data[RTCP_HEADER..].copy_from_slice(&trailer);
    Some(data)
}

/// 128 bits.
const TAG: usize = 16;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const SALT: [u8; 12] = *b"Quid pro quo";

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
        digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
    }

    fn gcm(key_length: u8) -> Gcm {
        let key: Vec<u8> = (0..key_length).collect();
        Gcm { rtp: Stream::new(&key, SALT), rtcp: Stream::new(&key, SALT) }
    }

    #[test] // RFC 7714 §16.1 and §16.2
    fn the_published_srtp_packets_come_out() {
        let clear = hex("8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976
                         69736120 696e2070 61727465 73207472 6573");
        let protected_128 = hex("8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5
                                 0d294e6f 42a5f47a 51c7d19b 36de3adf 8833 899d7f27 beb16a91 52cf765e e4390cce");
        let protected_256 = hex("8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238
                                 9a58e2f3 b50b2a02 76ffae0f 1ba63799 b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13");
        for (key_length, protected) in [(16, protected_128), (32, protected_256)] {
            let gcm = gcm(key_length);
            let mut buffer = clear.clone();
            buffer.resize(clear.len() + TAG, 0);
            assert_eq!(gcm.seal_rtp(&mut buffer, 12, clear.len(), 0), Some(clear.len() + TAG));
            assert_eq!(buffer, protected);
            assert_eq!(gcm.open_rtp(&mut buffer, 12, 0), Some(clear.len()));
            assert_eq!(buffer[..clear.len()], clear);
        }
    }

    #[test] // RFC 7714 §17.1 and §17.3
    fn the_published_srtcp_packets_come_out() {
        let clear = hex("81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
                         deadbeef deadbeef deadbeef deadbeef deadbeef");
        let protected_128 = hex("81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d
                                 c676a5f1 730d6fda 4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872
                                 45d9eade 800005d4");
        let protected_256 = hex("81c8000d 4d617273 d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50
                                 a2eaa5c1 110555be 8415f658 c61de047 6f1b6fad 1d1eb30c 4446839f 57ff6f6c
                                 b26ac3be 800005d4");
        for (key_length, protected) in [(16, protected_128), (32, protected_256)] {
            let gcm = gcm(key_length);
            let mut buffer = clear.clone();
            buffer.resize(clear.len() + TAG + 4, 0);
            let length = gcm.seal_rtcp(&mut buffer, clear.len(), 0x5d4).unwrap();
            assert_eq!(buffer[..length], protected);
            assert_eq!(gcm.open_rtcp(&mut buffer, |_| true), Some((clear.len(), 0x5d4)));
            assert_eq!(buffer[..clear.len()], clear);
        }
    }
}
