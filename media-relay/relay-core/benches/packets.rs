//! What one packet costs: `cargo bench -p relay-core`.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "benchmarks")]

mod call;

use call::{Call, PLAIN_PEER, rtp};
use divan::{Bencher, black_box};
use relay_core::SocketId;
use relay_core::srtp::{MasterKey, OVERHEAD, Profile, Receiver, Sender};

fn main() {
    divan::main();
}

const PROFILES: [&str; 3] = ["gcm-256", "gcm-128", "cm-sha1-80"];

fn master(name: &str) -> MasterKey {
    let profile = match name {
        "gcm-256" => Profile::AeadAes256Gcm,
        "gcm-128" => Profile::AeadAes128Gcm,
        _ => Profile::Aes128CmSha1,
    };
    MasterKey::new(profile, &[1; 32][..profile.key_length()], &[2; 14][..profile.salt_length()]).unwrap()
}

#[divan::bench(args = PROFILES)]
fn srtp_protect(bencher: Bencher<'_, '_>, profile: &str) {
    let mut sender = Sender::new(&master(profile));
    let mut buffer = [0; 172 + OVERHEAD];
    let mut sequence = 0_u16;
    bencher.bench_local(|| {
        buffer[..172].copy_from_slice(&rtp(sequence));
        sequence = sequence.wrapping_add(1);
        sender.protect(black_box(&mut buffer), 0..172).unwrap()
    });
}

#[divan::bench(args = PROFILES)]
fn srtp_unprotect(bencher: Bencher<'_, '_>, profile: &str) {
    let mut sender = Sender::new(&master(profile));
    let mut receiver = Receiver::new(&master(profile));
    let mut sequence = 0_u16;
    bencher
        .with_inputs(|| {
            let mut buffer = rtp(sequence).to_vec();
            buffer.resize(172 + OVERHEAD, 0);
            sequence = sequence.wrapping_add(1);
            let sealed = sender.protect(&mut buffer, 0..172).unwrap();
            buffer.truncate(sealed.end);
            buffer
        })
        .bench_local_refs(|packet| receiver.unprotect(black_box(packet)).unwrap());
}

#[divan::bench]
fn ice_check(bencher: Bencher<'_, '_>) {
    let mut call = Call::connected();
    let check = call.check();
    let mut buffer = vec![0; 256];
    bencher.bench_local(|| {
        buffer[..check.len()].copy_from_slice(&check);
        // A browser's pace: the budget for checks is never used up.
        call.now += std::time::Duration::from_millis(20);
        call.input(SocketId::Mux(0), call::BROWSER, &mut buffer, check.len())
    });
}

#[divan::bench]
fn bridge_plain_to_browser(bencher: Bencher<'_, '_>) {
    let mut call = Call::connected();
    let mut buffer = vec![0; 256];
    let mut sequence = 0_u16;
    bencher.bench_local(|| {
        buffer[..172].copy_from_slice(&rtp(sequence));
        sequence = sequence.wrapping_add(1);
        call.input(call.plain_socket(), PLAIN_PEER, &mut buffer, 172)
    });
}

#[divan::bench]
fn bridge_browser_to_plain(bencher: Bencher<'_, '_>) {
    let call = std::cell::RefCell::new(Call::connected());
    let mut sequence = 0_u16;
    bencher
        .with_inputs(|| {
            sequence = sequence.wrapping_add(1);
            call.borrow_mut().sealed(&rtp(sequence))
        })
        .bench_local_refs(|packet| {
            let length = packet.len();
            packet.resize(256, 0);
            call.borrow_mut().input(SocketId::Mux(0), call::BROWSER, packet, length)
        });
}
