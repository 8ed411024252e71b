#![expect(clippy::unwrap_used, reason = "tests")]

mod differential;
mod vectors;

use super::*;

const PROFILES: [Profile; 3] = [Profile::AeadAes256Gcm, Profile::AeadAes128Gcm, Profile::Aes128CmSha1];

fn master(profile: Profile) -> MasterKey {
    let bytes: Vec<u8> = (1..=46).collect();
    let (key, salt) = bytes.split_at(profile.key_length());
    MasterKey::new(profile, key, &salt[..profile.salt_length()]).unwrap()
}

fn rtp(sequence: u16, ssrc: u32) -> Vec<u8> {
    let header = rtp::Outgoing {
        marker: false,
        payload_type: 0,
        sequence,
        timestamp: u32::from(sequence) * 160,
        ssrc,
    };
    let mut packet = header.bytes().to_vec();
    packet.extend((0..160).map(|at| at as u8));
    packet
}

fn sealed(sender: &mut Sender, clear: &[u8]) -> Vec<u8> {
    let mut buffer = clear.to_vec();
    buffer.resize(clear.len() + OVERHEAD, 0);
    let range = sender.protect(&mut buffer, 0..clear.len()).unwrap();
    buffer[range].to_vec()
}

#[test]
fn packets_open_in_any_order_across_a_wrap_and_only_once() {
    for profile in PROFILES {
        let (mut sender, mut receiver) = (Sender::new(&master(profile)), Receiver::new(&master(profile)));
        let order = [65_530_u16, 65_531, 65_533, 65_532, 65_535, 1, 65_534, 0, 3, 2];
        let mut sent: Vec<_> = (65_530..=65_535).chain(0..=3).collect();
        sent.sort_by_key(|sequence: &u16| sequence.wrapping_sub(65_530));
        let packets: Vec<_> = sent.iter().map(|sequence| sealed(&mut sender, &rtp(*sequence, 7))).collect();
        for sequence in order {
            let at = sent.iter().position(|one| *one == sequence).unwrap();
            let mut packet = packets[at].clone();
            let length = receiver.unprotect(&mut packet).unwrap();
            assert_eq!(packet[..length], rtp(sequence, 7), "{profile:?} {sequence}");
            assert_eq!(receiver.unprotect(&mut packets[at].clone()), None);
        }
    }
}

#[test] // a key stream covers one packet
fn a_used_sequence_number_is_never_protected_again() {
    for profile in PROFILES {
        let mut sender = Sender::new(&master(profile));
        sealed(&mut sender, &rtp(10, 7));
        let mut buffer = rtp(10, 7);
        buffer.resize(buffer.len() + OVERHEAD, 0);
        assert_eq!(sender.protect(&mut buffer, 0..172), None);
    }
}

#[test]
fn a_changed_byte_anywhere_is_refused_and_leaves_no_state() {
    for profile in PROFILES {
        let packet = sealed(&mut Sender::new(&master(profile)), &rtp(1, 7));
        let mut receiver = Receiver::new(&master(profile));
        for at in 0..packet.len() {
            let mut forged = packet.clone();
            forged[at] ^= 0x41;
            assert_eq!(receiver.unprotect(&mut forged), None, "{profile:?} byte {at}");
        }
        for length in 0..packet.len() {
            assert_eq!(receiver.unprotect(&mut packet[..length].to_vec()), None);
        }
        assert!(receiver.sources.is_empty());
        assert!(receiver.unprotect(&mut packet.clone()).is_some());
    }
}

#[test]
fn only_so_many_sources_are_heard() {
    for profile in PROFILES {
        let mut receiver = Receiver::new(&master(profile));
        for ssrc in 0..100 {
            let mut packet = sealed(&mut Sender::new(&master(profile)), &rtp(1, ssrc));
            assert_eq!(receiver.unprotect(&mut packet).is_some(), (ssrc as usize) < MAX_SOURCES);
        }
    }
}

fn sealed_report(sender: &mut Sender, clear: &[u8]) -> Vec<u8> {
    let mut buffer = clear.to_vec();
    buffer.resize(clear.len() + OVERHEAD, 0);
    let length = sender.protect_rtcp(&mut buffer, clear.len()).unwrap();
    buffer.truncate(length);
    buffer
}

fn receiver_report() -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1, 0, 0, 0, 7];
    packet.extend_from_slice(&[0x81, 202, 0, 2, 0, 0, 0, 7, 1, 2, b'x', b'y', 0, 0, 0, 0]);
    packet
}

#[test]
fn srtcp_opens_once() {
    for profile in PROFILES {
        let (mut sender, mut receiver) = (Sender::new(&master(profile)), Receiver::new(&master(profile)));
        for _ in 0..3 {
            let clear = receiver_report();
            let mut packet = sealed_report(&mut sender, &clear);
            let mut repeat = packet.clone();
            let opened = receiver.unprotect_rtcp(&mut packet).unwrap();
            assert_eq!(packet[..opened], clear, "{profile:?}");
            assert_eq!(receiver.unprotect_rtcp(&mut repeat), None);
        }
    }
}

#[test] // RFC 3711 §3.4: SRTCP is authenticated whatever the E flag says
fn forged_srtcp_is_refused_with_and_without_the_encryption_flag() {
    for profile in PROFILES {
        let mut receiver = Receiver::new(&master(profile));
        for encrypted in [0x80, 0] {
            for trailer in [14, 20] {
                let mut forged = receiver_report();
                let at = forged.len();
                forged.resize(at + trailer, 0);
                forged[at] = encrypted;
                let last = forged.len() - 4;
                forged[last] = encrypted;
                assert_eq!(receiver.unprotect_rtcp(&mut forged), None, "{profile:?}");
            }
        }
        let packet = sealed_report(&mut Sender::new(&master(profile)), &receiver_report());
        for at in 0..packet.len() {
            let mut changed = packet.clone();
            changed[at] ^= 0x80;
            assert_eq!(receiver.unprotect_rtcp(&mut changed), None, "{profile:?} byte {at}");
        }
        assert!(receiver.sources.is_empty());
    }
}

#[test]
fn garbage_is_refused_without_a_panic() {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    for profile in PROFILES {
        let mut receiver = Receiver::new(&master(profile));
        for length in (0..64).chain([1_500]).cycle().take(10_000) {
            let mut packet: Vec<u8> = (0..length)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (state >> 56) as u8
                })
                .collect();
            assert_eq!(receiver.unprotect(&mut packet.clone()), None);
            assert_eq!(receiver.unprotect_rtcp(&mut packet), None);
        }
    }
}
