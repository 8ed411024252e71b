//! Against another implementation, `rtc-srtp`: what one protects the other opens, over wraps, gaps and reordering.

use rtc_srtp::context::Context;
use rtc_srtp::crypto::default_provider;
use rtc_srtp::protection_profile::ProtectionProfile;

use super::*;
use crate::random::Random;

#[test]
fn the_other_opens_what_we_protect() {
    for (profile, theirs) in PROFILES.into_iter().zip(THEIRS) {
        let (mut sender, mut receiver) = (Sender::new(&master(profile)), context(profile, theirs));
        for batch in stream(1) {
            let sent: Vec<_> = batch.iter().map(|clear| sealed(&mut sender, clear)).collect();
            for at in reordered(sent.len()) {
                let opened = receiver.decrypt_rtp(&sent[at]);
                assert_eq!(opened.unwrap()[..], batch[at][..], "{profile:?}");
            }
        }
    }
}

#[test]
fn we_open_what_the_other_protects() {
    for (profile, theirs) in PROFILES.into_iter().zip(THEIRS) {
        let (mut sender, mut receiver) = (context(profile, theirs), Receiver::new(&master(profile)));
        for batch in stream(2) {
            let sent: Vec<_> = batch.iter().map(|clear| sender.encrypt_rtp(clear).unwrap()).collect();
            for at in reordered(sent.len()) {
                let mut packet = sent[at].to_vec();
                let length = receiver.unprotect(&mut packet).unwrap();
                assert_eq!(packet[..length], batch[at][..], "{profile:?}");
                assert_eq!(receiver.unprotect(&mut sent[at].to_vec()), None, "a repeat");
            }
        }
    }
}

#[test]
fn reports_open_both_ways() {
    for (profile, theirs) in PROFILES.into_iter().zip(THEIRS) {
        let (mut our_sender, mut our_receiver) =
            (Sender::new(&master(profile)), Receiver::new(&master(profile)));
        let (mut their_sender, mut their_receiver) = (context(profile, theirs), context(profile, theirs));
        for _ in 0..100 {
            let clear = receiver_report();
            let opened = their_receiver.decrypt_rtcp(&sealed_report(&mut our_sender, &clear)).unwrap();
            assert_eq!(opened[..], clear[..], "{profile:?}");
            let mut packet = their_sender.encrypt_rtcp(&clear).unwrap().to_vec();
            let length = our_receiver.unprotect_rtcp(&mut packet).unwrap();
            assert_eq!(packet[..length], clear[..], "{profile:?}");
        }
    }
}

const THEIRS: [ProtectionProfile; 3] = [
    ProtectionProfile::AeadAes256Gcm,
    ProtectionProfile::AeadAes128Gcm,
    ProtectionProfile::Aes128CmHmacSha1_80,
];

/// Our window refuses repeats; theirs is left out, as it does not know the rollover counter.
fn context(profile: Profile, theirs: ProtectionProfile) -> Context {
    let master = master(profile);
    let provider = default_provider().unwrap();
    Context::new(&master.key, &master.salt, theirs, None, None, provider.crypto()).unwrap()
}

/// Clear packets of all shapes in batches; sequence numbers leap between batches and pass three wraps.
fn stream(seed: u8) -> Vec<Vec<Vec<u8>>> {
    let mut random = Random::new([seed; 32]);
    let mut sequence = 65_000_u16;
    let mut passed = 0;
    let mut batches = Vec::new();
    while passed < 3 * 65_536 {
        let batch = (0..8).map(|_| {
            let step = 1 + random.u16() % 3;
            (sequence, passed) = (sequence.wrapping_add(step), passed + u32::from(step));
            shape(sequence, &mut random)
        });
        batches.push(batch.collect());
        let leap = random.u16() % 5_000;
        (sequence, passed) = (sequence.wrapping_add(leap), passed + u32::from(leap));
    }
    batches
}

/// A packet of some length, perhaps with CSRCs, perhaps with a header extension (RFC 8285 §4.2).
fn shape(sequence: u16, random: &mut Random) -> Vec<u8> {
    let mut packet = rtp(sequence, 7);
    packet.truncate(12);
    if random.u16().is_multiple_of(2) {
        packet[0] |= 2;
        packet.extend([1, 2, 3, 4, 5, 6, 7, 8]);
    }
    if random.u16().is_multiple_of(2) {
        packet[0] |= 0x10;
        packet.extend([0xBE, 0xDE, 0, 1, 0x10, 0xAA, 0, 0]);
    }
    let mut payload = vec![0; 1 + usize::from(random.u16() % 1_200)];
    random.fill(&mut payload);
    packet.extend(payload);
    packet
}

/// A fixed disorder within one batch: 3 before 0, the last one early.
fn reordered(length: usize) -> Vec<usize> {
    let mut order: Vec<_> = (0..length).collect();
    order.swap(0, 3);
    order.swap(2, length - 1);
    order
}
