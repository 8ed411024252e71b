//! What reading and writing a message costs.
#![expect(clippy::unwrap_used, reason = "benchmark")]

use bytes::Bytes;
use divan::{Bencher, black_box};
use sip_core::message::{Builder, Limits, Message, Method, Name, Status};

/// The gateway's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}

/// A browser's INVITE with the session description of Chromium, 2.6 kB.
const INVITE: &[u8] = include_bytes!("../tests/message/browser_invite.sip");

fn invite() -> Message {
    Message::parse(Bytes::from_static(INVITE), &Limits::default()).unwrap()
}

// Each result is dropped where it was made, as in the gateway, so the allocator's share is that of a running process.

#[divan::bench(sample_size = 100)]
fn parse(bencher: Bencher<'_, '_>) {
    let limits = Limits::default();
    bencher.bench(|| {
        black_box(Message::parse(black_box(Bytes::from_static(INVITE)), &limits).unwrap());
    });
}

#[divan::bench(sample_size = 100)]
fn stamp(bencher: Bencher<'_, '_>) {
    let message = invite();
    let from = "198.51.100.23".parse().unwrap();
    bencher.bench(|| {
        black_box(black_box(&message).with_top_via_stamped(from, 4711));
    });
}

#[divan::bench(sample_size = 100)]
fn print_invite(bencher: Bencher<'_, '_>) {
    let message = invite();
    bencher.bench(|| {
        black_box(other_leg(black_box(&message)));
    });
}

#[divan::bench(sample_size = 100)]
fn parse_and_print_invite(bencher: Bencher<'_, '_>) {
    let limits = Limits::default();
    bencher.bench(|| {
        let message = Message::parse(black_box(Bytes::from_static(INVITE)), &limits).unwrap();
        black_box(other_leg(&message));
    });
}

#[divan::bench(sample_size = 100)]
fn print_ringing(bencher: Bencher<'_, '_>) {
    let message = invite();
    bencher.bench(|| {
        let ringing = black_box(&message).response(Status::RINGING).to_tag("4mnb2v7c8x1z9a5s");
        let contact = "<sip:4mnb2v7c8x1z9a5s@192.0.2.10:5060>";
        black_box(ringing.header(Name::Contact, contact).build().unwrap());
    });
}

/// The INVITE a gateway would send on, with the same body.
fn other_leg(message: &Message) -> Message {
    Builder::request(&Method::Invite, "sip:1002@192.0.2.20:5060")
        .header(
            Name::Via,
            format_args!("SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK{};rport", "4mnb2v7c8x1z9a5s"),
        )
        .header(Name::MaxForwards, message.max_forwards().unwrap_or(70) - 1)
        .header(Name::From, "\"Alice Example\" <sip:1001@192.0.2.10>;tag=4mnb2v7c8x1z9a5s")
        .header(Name::To, "<sip:1002@192.0.2.20>")
        .header(Name::CallId, "0p9o8i7u6y5t4r3e2w1q@192.0.2.10")
        .header(Name::CSeq, format_args!("1 {}", message.method()))
        .header(Name::Contact, "<sip:4mnb2v7c8x1z9a5s@192.0.2.10:5060>")
        .header(Name::Allow, "INVITE, ACK, CANCEL, BYE, UPDATE, OPTIONS, INFO, NOTIFY")
        .header(Name::Supported, "timer")
        .header(Name::UserAgent, "gateway")
        .body("application/sdp", message.body())
        .build()
        .unwrap()
}
