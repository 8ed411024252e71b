//! What the transaction layer adds to a message that is parsed already: a client and a server side with all their
//! timers. One iteration is one transaction on both sides, 10 ms after the one before, so that over UDP some
//! 3,200 others are alive in each table.

use std::time::Duration;

use bytes::Bytes;
use sip_core::message::{Limits, Message, Status};
use sip_core::time::Instant;
use sip_core::transaction::{Output, Received, Reliability, Timing, Transactions};

/// The gateway's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}

#[divan::bench]
fn invite_answered_udp(bencher: divan::Bencher<'_, '_>) {
    bench(bencher, "INVITE", &[180, 200], Reliability::Unreliable);
}

#[divan::bench]
fn invite_refused_udp(bencher: divan::Bencher<'_, '_>) {
    bench(bencher, "INVITE", &[180, 486], Reliability::Unreliable);
}

#[divan::bench]
fn invite_answered_tcp(bencher: divan::Bencher<'_, '_>) {
    bench(bencher, "INVITE", &[180, 200], Reliability::Reliable);
}

#[divan::bench]
fn register_tcp(bencher: divan::Bencher<'_, '_>) {
    bench(bencher, "REGISTER", &[200], Reliability::Reliable);
}

#[divan::bench]
fn options_udp(bencher: divan::Bencher<'_, '_>) {
    bench(bencher, "OPTIONS", &[200], Reliability::Unreliable);
}

fn bench(bencher: divan::Bencher<'_, '_>, method: &str, codes: &[u16], reliability: Reliability) {
    let mut hop = Hop::new(method, codes, reliability);
    for _ in 0..2 * DIFFERENT {
        hop.transaction();
    }
    bencher.bench_local(|| hop.transaction());
}

/// Both ends of one hop, and the messages that cross it.
struct Hop {
    client: Transactions<u64, u64>,
    server: Transactions<u64, u64>,
    reliability: Reliability,
    now: Instant,
    exchanges: Vec<(Message, Responses)>,
    next: usize,
}

impl Hop {
    fn new(method: &str, codes: &[u16], reliability: Reliability) -> Self {
        Self {
            client: Transactions::new(Timing::default(), [7; 16]),
            server: Transactions::new(Timing::default(), [8; 16]),
            reliability,
            now: Instant::START,
            exchanges: (0..DIFFERENT).map(|number| exchange(method, codes, number)).collect(),
            next: 0,
        }
    }

    fn transaction(&mut self) {
        self.now = self.now + Duration::from_millis(10);
        self.client.handle_timeout(self.now);
        self.server.handle_timeout(self.now);
        while self.client.poll_output().is_some() || self.server.poll_output().is_some() {}
        let Some((request, responses)) = self.exchanges.get(self.next).cloned() else { return };
        self.next = (self.next + 1) % DIFFERENT;
        let asked = self.client.request(request, 1, self.reliability, 2, (), self.now);
        asked.expect("a branch is free again after 32 s");
        let mut key = None;
        while let Some(Output::Send { message, .. }) = self.client.poll_output() {
            match self.server.receive_request(&message, self.now) {
                Received::New => key = self.server.admit(&message, 1, self.reliability, (), self.now).ok(),
                other => panic!("{other:?}"),
            }
        }
        let key = key.expect("the request was sent");
        self.responses();
        for response in responses.iter().cloned() {
            self.server.respond(&key, response, self.now).expect("alive until the last response");
            self.responses();
        }
        while let Some(Output::Send { message, .. }) = self.client.poll_output() {
            self.server.receive_request(&message, self.now);
        }
    }

    fn responses(&mut self) {
        while let Some(output) = self.server.poll_output() {
            if let Output::Send { message, .. } = output {
                divan::black_box(self.client.receive_response(&message, self.now));
            }
        }
    }
}

fn exchange(method: &str, codes: &[u16], number: usize) -> (Message, Responses) {
    let text = format!(
        "{method} sip:+4930123456@trunk.example.com;user=phone SIP/2.0\r\n\
         Via: SIP/2.0/UDP gateway.example.com:5060;branch=z9hG4bK7Jq2mT0aVnE8xWb{number:05};rport\r\n\
         Max-Forwards: 70\r\nFrom: \"Agent\" <sip:1002@gateway.example.com>;tag=Zk3mP9sQ{number}\r\n\
         To: <sip:+4930123456@trunk.example.com>\r\nCall-ID: 3mP9sQ7Jq2mT0aVnE8xWb{number}@gateway.example.com\r\n\
         CSeq: 1 {method}\r\nContact: <sip:tok3n@192.0.2.1:5060>\r\nContent-Length: 0\r\n\r\n"
    );
    let request = Message::parse(Bytes::from(text), &Limits::default()).expect("sound");
    let response = |code: &u16| {
        let status = Status::new(*code).expect("a status");
        request.response(status).to_tag("remote").build().expect("sound")
    };
    (request.clone(), codes.iter().map(response).collect())
}

type Responses = std::sync::Arc<[Message]>;

/// More than 32 s of them.
const DIFFERENT: usize = 4_096;
