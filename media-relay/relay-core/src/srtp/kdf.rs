//! Key derivation: RFC 3711 §4.3, with AES-256 RFC 6188 §2, with the 96-bit salts of GCM RFC 7714 §11.

use aes::cipher::{Array, BlockCipherEncrypt, KeyInit, consts::U16};
use aes::{Aes128, Aes256};

/// RFC 3711 §4.3.2.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(super) enum Label {
    RtpEncryption = 0,
    RtpAuthentication = 1,
    RtpSalt = 2,
    RtcpEncryption = 3,
    RtcpAuthentication = 4,
    RtcpSalt = 5,
}

/// Fills `out` with the session key of one label; the key derivation rate is 0.
pub(super) fn derive(key: &[u8], salt: &[u8], label: Label, out: &mut [u8]) {
    match key.len() {
        32 => fill(&Aes256::new_from_slice(key).expect("32 bytes"), salt, label, out),
        _ => {
            fill(&Aes128::new_from_slice(key).expect("a profile's key has 16 or 32 bytes"), salt, label, out)
        }
    }
}

fn fill(prf: &impl BlockCipherEncrypt<BlockSize = U16>, salt: &[u8], label: Label, out: &mut [u8]) {
    // §4.3.1: the label stands in the eighth byte of the 14-byte salt; shorter salts are padded on the right.
    let mut x = [0; 16];
    x[..salt.len()].copy_from_slice(salt);
    x[7] ^= label as u8;
    for (counter, chunk) in (0_u16..).zip(out.chunks_mut(16)) {
        let mut block = x;
        block[14..].copy_from_slice(&counter.to_be_bytes());
        let mut block = Array::from(block);
        prf.encrypt_block(&mut block);
        chunk.copy_from_slice(&block[..chunk.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // RFC 3711 appendix B.3
    fn the_published_session_keys_are_derived() {
        let key = 0xE1F9_7A0D_3E01_8BE0_D64F_A32C_06DE_4139_u128.to_be_bytes();
        let salt: [u8; 14] =
            [0x0E, 0xC6, 0x75, 0xAD, 0x49, 0x8A, 0xFE, 0xEB, 0xB6, 0x96, 0x0B, 0x3A, 0xAB, 0xE6];
        let mut encryption = [0; 16];
        derive(&key, &salt, Label::RtpEncryption, &mut encryption);
        assert_eq!(u128::from_be_bytes(encryption), 0xC61E_7A93_744F_39EE_1073_4AFE_3FF7_A087);
        let mut session_salt = [0; 14];
        derive(&key, &salt, Label::RtpSalt, &mut session_salt);
        assert_eq!(
            session_salt,
            [0x30, 0xCB, 0xBC, 0x08, 0x86, 0x3D, 0x8C, 0x85, 0xD4, 0x9D, 0xB3, 0x4A, 0x9A, 0xE1]
        );
        let mut authentication = [0; 94];
        derive(&key, &salt, Label::RtpAuthentication, &mut authentication);
        let block =
            |at: usize| u128::from_be_bytes(authentication[at * 16..][..16].try_into().expect("16 bytes"));
        assert_eq!(block(0), 0xCEBE_321F_6FF7_716B_6FD4_AB49_AF25_6A15);
        assert_eq!(block(1), 0x6D38_BAA4_8F0A_0ACF_3C34_E235_9E6C_DBCE);
        assert_eq!(block(2), 0xE049_646C_43D9_327A_D175_578E_F722_7098);
        assert_eq!(block(3), 0x6371_C10C_9A36_9AC2_F94A_8C5F_BCDD_DC25);
        assert_eq!(block(4), 0x6D6E_919A_48B6_10EF_17C2_041E_4740_3576);
        assert_eq!(authentication[80..], *b"\x6b\x68\x64\x2c\x59\xbb\xfc\x2f\x34\xdb\x60\xdb\xdf\xb2");
    }
}
