//! Reading a browser's offer, and the whole round: read, choose, answer.

use relay_api::{Direction, Fingerprint, LegDescription};
use sip_core::sdp::{CodecName, Description, LocalAudio, Negotiation, Profile, Setup, select};

/// The gateway's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}

#[divan::bench]
fn parse_chromium_offer(bencher: divan::Bencher<'_, '_>) {
    let offer = offer();
    bencher.bench(|| Description::parse(divan::black_box(&offer)).map(|description| description.media.len()));
}

#[divan::bench]
fn read_chromium_offer(bencher: divan::Bencher<'_, '_>) {
    let offer = offer();
    bencher
        .with_inputs(|| Negotiation::new(Profile::WebRtc, 7))
        .bench_refs(|leg| leg.receive_offer(divan::black_box(&offer)).is_ok());
}

#[divan::bench]
fn print_answer(bencher: divan::Bencher<'_, '_>) {
    let mut leg = Negotiation::new(Profile::WebRtc, 7);
    let local = local(&mut leg);
    bencher.with_inputs(|| leg.clone()).bench_refs(|leg| leg.answer(divan::black_box(&local)));
}

fn local(leg: &mut Negotiation) -> LocalAudio {
    let offer = leg.receive_offer(&offer()).expect("the sample is acceptable");
    LocalAudio {
        description: LegDescription::WebRtc {
            ufrag: "relay001".to_owned(),
            password: "0123456789abcdefABCDEF+/".to_owned(),
            candidates: vec![([203, 0, 113, 1], 40_000).into()],
            fingerprint: Fingerprint { algorithm: "sha-256".to_owned(), value: ["0A"; 32].join(":") },
        },
        formats: select(&offer.formats, &[CodecName::Opus, CodecName::Pcmu, CodecName::TelephoneEvent]),
        direction: Direction::SendRecv,
        setup: Setup::Passive,
        ptime: Some(20),
    }
}

fn offer() -> Vec<u8> {
    include_str!("../tests/sdp/samples/chromium.sdp").replace('\n', "\r\n").into_bytes()
}
