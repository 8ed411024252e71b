//! A REGISTER with digest, end to end through the core: parse, verify, bind, build the 200; and the 401 before it.

use std::time::Duration;

use bytes::Bytes;
use sip_core::auth::client::{self, Credentials};
use sip_core::auth::server::{self, Realm, Verdict};
use sip_core::auth::{Algorithm, NonceSealer, Salt, Secret, username};
use sip_core::message::{Limits, Message, Name, Status};
use sip_core::registrar::{Bindings, Policy, register};
use sip_core::routing::FlowId;
use sip_core::time::UnixMillis;

/// The gateway's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}

#[divan::bench(args = [Algorithm::Md5, Algorithm::Sha256, Algorithm::Sha512_256])]
fn register_with_digest(bencher: divan::Bencher<'_, '_>, algorithm: Algorithm) {
    let registrar = Registrar::new();
    let request = registrar.authorized(algorithm);
    bencher.with_inputs(|| request.clone()).bench_values(|request| registrar.accepts(request));
}

#[divan::bench]
fn challenge(bencher: divan::Bencher<'_, '_>) {
    let registrar = Registrar::new();
    let request = registrar.request("");
    bencher.with_inputs(|| request.clone()).bench_values(|request| registrar.challenges(request));
}

#[divan::bench(args = [Algorithm::Md5, Algorithm::Sha256, Algorithm::Sha512_256])]
fn verify(bencher: divan::Bencher<'_, '_>, algorithm: Algorithm) {
    let registrar = Registrar::new();
    let authorization = registrar.authorization(algorithm);
    bencher.bench(|| registrar.verify(divan::black_box(&authorization)));
}

struct Registrar {
    sealer: NonceSealer,
    secret: Secret,
    policy: Policy,
}

impl Registrar {
    fn new() -> Self {
        Self {
            sealer: NonceSealer::new(&[7; 32]),
            secret: Secret::password("open sesame"),
            policy: Policy::default(),
        }
    }

    fn accepts(&self, raw: Bytes) -> Message {
        let request = Message::parse(raw, &Limits::default()).expect("well-formed");
        let authorization = request.header(Name::Authorization).expect("authorized");
        username(authorization).expect("a user name");
        assert!(matches!(self.verify(authorization), Verdict::Accepted { .. }));
        let mut bindings = Bindings::default();
        let flow = Some(FlowId { node: 1, connection: 2 });
        let registered = register(&mut bindings, &request, flow, &self.policy, NOW).expect("accepted");
        let response =
            request.response(Status::OK).to_tag("t").headers(Name::Contact, registered.contacts.iter());
        response.build().expect("well-formed")
    }

    fn challenges(&self, raw: Bytes) -> Message {
        let request = Message::parse(raw, &Limits::default()).expect("well-formed");
        let challenges = server::challenge(&self.sealer, &realm(), SALT, false, NOW);
        let response = request.response(Status::UNAUTHORIZED).to_tag("t");
        response.headers(Name::WwwAuthenticate, challenges).build().expect("well-formed")
    }

    fn verify(&self, authorization: &str) -> Verdict {
        server::verify(&self.sealer, &realm(), authorization, REQUEST, Some(&self.secret), NOW)
    }

    fn authorized(&self, algorithm: Algorithm) -> Bytes {
        self.request(&format!("Authorization: {}\r\n", self.authorization(algorithm)))
    }

    fn authorization(&self, algorithm: Algorithm) -> String {
        let realm = Realm { algorithms: &[algorithm], ..realm() };
        let challenges = server::challenge(&self.sealer, &realm, SALT, false, NOW);
        let credentials = Credentials { username: "alice", realm: realm.name, secret: &self.secret };
        let challenges = challenges.iter().map(String::as_str);
        client::answer(challenges, &credentials, REQUEST, 1, "k3jfh28fjs").expect("our realm")
    }

    fn request(&self, line: &str) -> Bytes {
        format!(
            "REGISTER sip:example.com SIP/2.0\r\n\
             Via: SIP/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bKnashds7\r\nMax-Forwards: 69\r\n\
             To: <sip:alice@example.com>\r\nFrom: \"Alice\" <sip:alice@example.com>;tag=65bnmj99d3\r\n\
             Call-ID: 9sd8fhs9d8fhsd9f8h\r\nCSeq: 82 REGISTER\r\n{line}\
             Contact: <sip:x7k2@df7jal23ls0d.invalid;transport=ws>\
             ;+sip.instance=\"<urn:uuid:5c1e1d0c-9f0a-4f57-9c89-1ad5c5a3a1d2>\";reg-id=1;expires=600\r\n\
             Expires: 600\r\nAllow: INVITE,ACK,CANCEL,BYE,UPDATE,MESSAGE,OPTIONS,REFER,INFO,NOTIFY\r\n\
             Supported: path,gruu,outbound\r\nUser-Agent: JsSIP 3.10.1\r\nContent-Length: 0\r\n\r\n"
        )
        .into()
    }
}

fn realm() -> Realm<'static> {
    Realm {
        name: "example.com",
        algorithms: &Algorithm::ALL,
        binding: b"",
        lifetime: Duration::from_secs(300),
    }
}

const REQUEST: (&str, &str) = ("REGISTER", "sip:example.com");
const SALT: Salt = Salt { number: 1, chance: 42 };
const NOW: UnixMillis = UnixMillis(1_790_000_000_000);
