//! AES-128 in counter mode with HMAC-SHA1-80: RFC 3711 §4.1.1 and §4.2.1.

use aes::Aes128;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use hmac::{Hmac, Mac};
use sha1::Sha1;
use subtle::ConstantTimeEq;

use super::kdf::{Label, derive};
use super::{ENCRYPTED, RTCP_HEADER, word};

/// Session keys of one direction, with their schedules.
pub(super) struct Cm {
    rtp: Stream,
    rtcp: Stream,
}

struct Stream {
    aes: Aes128,
    mac: Hmac<Sha1>,
    salt: [u8; 16],
}

impl Cm {
    pub(super) fn new(key: &[u8], salt: &[u8]) -> Self {
        let stream = |encryption, authentication, session_salt| {
            let (mut aes, mut mac, mut counter) = ([0; 16], [0; 20], [0; 16]);
            derive(key, salt, encryption, &mut aes);
            derive(key, salt, authentication, &mut mac);
            derive(key, salt, session_salt, &mut counter[..14]);
            Stream::new(&aes, &mac, counter)
        };
        Self {
            rtp: stream(Label::RtpEncryption, Label::RtpAuthentication, Label::RtpSalt),
            rtcp: stream(Label::RtcpEncryption, Label::RtcpAuthentication, Label::RtcpSalt),
        }
    }

    pub(super) fn seal_rtp(
        &self,
        buffer: &mut [u8],
        header: usize,
        length: usize,
        rollover: u32,
    ) -> Option<usize> {
        let (packet, tail) = buffer.split_at_mut_checked(length)?;
        let place = tail.get_mut(..TAG)?;
        self.rtp.apply(
            rtp_index(packet, rollover)?,
            packet.get(8..12)?.try_into().ok()?,
            packet.get_mut(header..)?,
        );
        place.copy_from_slice(&self.rtp.tag(packet, rollover));
        Some(length + TAG)
    }

    pub(super) fn open_rtp(&self, packet: &mut [u8], header: usize, rollover: u32) -> Option<usize> {
        let length = packet.len().checked_sub(TAG).filter(|length| *length >= header)?;
        let (packet, tag) = packet.split_at_mut(length);
        if !bool::from(self.rtp.tag(packet, rollover).ct_eq(tag)) {
            return None;
        }
        self.rtp.apply(
            rtp_index(packet, rollover)?,
            packet.get(8..12)?.try_into().ok()?,
            packet.get_mut(header..)?,
        );
        Some(length)
    }

    /// RFC 3711 §3.4: packet, index with the E flag, tag over both.
    pub(super) fn seal_rtcp(&self, buffer: &mut [u8], length: usize, index: u32) -> Option<usize> {
        let trailer = index | ENCRYPTED;
        let (packet, tail) = buffer.split_at_mut_checked(length)?;
        let (index_place, tail) = tail.split_first_chunk_mut::<4>()?;
        let tag_place = tail.get_mut(..TAG)?;
        let ssrc = packet.get(4..8)?.try_into().ok()?;
        self.rtcp.apply(u64::from(index), ssrc, packet.get_mut(RTCP_HEADER..)?);
        *index_place = trailer.to_be_bytes();
        tag_place.copy_from_slice(&self.rtcp.tag(packet, trailer));
        Some(length + 4 + TAG)
    }

    pub(super) fn open_rtcp(
        &self,
        packet: &mut [u8],
        fresh: impl FnOnce(u32) -> bool,
    ) -> Option<(usize, u32)> {
        let length = packet.len().checked_sub(TAG + 4).filter(|length| *length >= RTCP_HEADER)?;
        let trailer = word(packet, length)?;
        let index = trailer & !ENCRYPTED;
        let (packet, tail) = packet.split_at_mut(length);
        // §3.4: authentication is mandatory for SRTCP, whatever the E flag says.
        let authentic = bool::from(self.rtcp.tag(packet, trailer).ct_eq(tail.get(4..)?));
        if trailer & ENCRYPTED == 0 || !fresh(index) || !authentic {
            return None;
        }
        let ssrc = packet.get(4..8)?.try_into().ok()?;
        self.rtcp.apply(u64::from(index), ssrc, packet.get_mut(RTCP_HEADER..)?);
        Some((length, index))
    }
}

impl Stream {
    fn new(aes: &[u8; 16], mac: &[u8; 20], salt: [u8; 16]) -> Self {
        Self {
            aes: Aes128::new(aes.into()),
            mac: Hmac::new_from_slice(mac).expect("HMAC takes keys of any length"),
            salt,
        }
    }

    /// §4.1.1: IV = (salt · 2¹⁶) ⊕ (SSRC · 2⁶⁴) ⊕ (index · 2¹⁶); the low 16 bits count blocks.
    fn apply(&self, index: u64, ssrc: [u8; 4], payload: &mut [u8]) {
        let mut iv = u128::from_be_bytes(self.salt);
        iv ^= u128::from(u32::from_be_bytes(ssrc)) << 64;
        iv ^= u128::from(index) << 16;
        let mut key_stream = [Array::from([0; 16]); BATCH];
        let mut counter = iv;
        for chunk in payload.chunks_mut(BATCH * 16) {
            let blocks = &mut key_stream[..chunk.len().div_ceil(16)];
            for block in blocks.iter_mut() {
                *block = Array::from(counter.to_be_bytes());
                counter = counter.wrapping_add(1);
            }
            self.aes.encrypt_blocks(blocks);
            for (place, mask) in chunk.iter_mut().zip(blocks.iter().flatten()) {
                *place ^= mask;
            }
        }
    }

    /// §4.2: over the packet and, for SRTP, the rollover counter; for SRTCP, the index.
    fn tag(&self, packet: &[u8], trailer: u32) -> [u8; TAG] {
        let mut mac = self.mac.clone();
        mac.update(packet);
        mac.update(&trailer.to_be_bytes());
        let full: [u8; 20] = mac.finalize().into_bytes().into();
        full.first_chunk().copied().expect("80 of 160 bits")
    }
}

fn rtp_index(packet: &[u8], rollover: u32) -> Option<u64> {
    let sequence = u16::from_be_bytes(*packet.get(2..)?.first_chunk()?);
    Some((u64::from(rollover) << 16) | u64::from(sequence))
}

/// 80 bits.
const TAG: usize = 10;

/// Blocks made at once: enough for 20 ms of G.711, and a multiple of what AES hardware does in parallel.
const BATCH: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // RFC 3711 appendix B.2
    fn the_published_key_stream_comes_out() {
        let key = 0x2B7E_1516_28AE_D2A6_ABF7_1588_09CF_4F3C_u128.to_be_bytes();
        let salt = 0xF0F1_F2F3_F4F5_F6F7_F8F9_FAFB_FCFD_0000_u128.to_be_bytes();
        let stream = Stream::new(&key, &[0; 20], salt);
        let mut key_stream = vec![0; 0xFF02 * 16];
        stream.apply(0, [0; 4], &mut key_stream);
        let block =
            |at: usize| u128::from_be_bytes(key_stream[at * 16..][..16].try_into().expect("16 bytes"));
        assert_eq!(block(0), 0xE03E_AD09_35C9_5E80_E166_B16D_D92B_4EB4);
        assert_eq!(block(1), 0xD235_1316_2B02_D0F7_2A43_A2FE_4A5F_97AB);
        assert_eq!(block(2), 0x41E9_5B3B_B0A2_E8DD_4779_01E4_FCA8_94C0);
        assert_eq!(block(0xFEFF), 0xEC8C_DF73_9860_7CB0_F2D2_1675_EA9E_A1E4);
        assert_eq!(block(0xFF00), 0x362B_7C3C_6773_5163_18A0_77D7_FC50_73AE);
        assert_eq!(block(0xFF01), 0x6A2C_C378_7889_374F_BEB4_C81B_17BA_6C44);
    }
}
