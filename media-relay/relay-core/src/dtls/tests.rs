#![expect(clippy::unwrap_used, reason = "tests")]

mod fragments;

use std::collections::VecDeque;

use super::*;

/// Numbers from a seed (D. Knuth's MMIX generator).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32
    }

    fn percent(&mut self, chance: u32) -> bool {
        self.next() % 100 < chance
    }
}

/// One side, and the datagrams on their way to it.
struct Side<'a> {
    association: Association,
    identity: &'a DimplIdentity,
    inbox: VecDeque<Vec<u8>>,
    keys: Option<Box<Keys>>,
    failed: Option<Failure>,
}

impl<'a> Side<'a> {
    fn new(role: DtlsRole, identity: &'a DimplIdentity, peer: &Fingerprint) -> Self {
        let association = Association::new(role, vec![Expected::parse(peer).unwrap()]);
        Self { association, identity, inbox: VecDeque::new(), keys: None, failed: None }
    }

    /// Runs one step and returns what it sent.
    fn step(&mut self, run: impl FnOnce(&mut Self, &mut Vec<Vec<u8>>) -> Progress) -> Vec<Vec<u8>> {
        let mut sent = Vec::new();
        match run(self, &mut sent) {
            Progress::None => {}
            Progress::Keys(keys) => self.keys = Some(keys),
            Progress::Failed(failure) => self.failed = Some(failure),
        }
        sent
    }

    fn start(&mut self, now: Instant) -> Vec<Vec<u8>> {
        self.step(|side, sent| {
            side.association.start(side.identity, now, |datagram| sent.push(datagram.to_vec()))
        })
    }

    fn timeout(&mut self, now: Instant) -> Vec<Vec<u8>> {
        self.step(|side, sent| {
            side.association.handle_timeout(side.identity, now, |datagram| sent.push(datagram.to_vec()))
        })
    }

    fn receive(&mut self, datagram: &[u8], now: Instant) -> Vec<Vec<u8>> {
        self.step(|side, sent| {
            side.association.handle_input(side.identity, datagram, now, |sending| sent.push(sending.to_vec()))
        })
    }
}

/// Lets two sides talk over a link that loses datagrams, until both have keys; the time it took.
fn handshake(client: &mut Side<'_>, server: &mut Side<'_>, loss: u32, seed: u64) -> Duration {
    let (mut dice, start) = (Dice(seed), Instant::now());
    let mut now = start;
    let carry = |sent: Vec<Vec<u8>>, inbox: &mut VecDeque<Vec<u8>>, dice: &mut Dice| {
        inbox.extend(sent.into_iter().filter(|_| !dice.percent(loss)));
    };
    carry(server.start(now), &mut client.inbox, &mut dice);
    carry(client.start(now), &mut server.inbox, &mut dice);
    while client.keys.is_none() || server.keys.is_none() {
        assert_eq!((&client.failed, &server.failed), (&None, &None), "seed {seed}");
        if let Some(datagram) = server.inbox.pop_front() {
            carry(server.receive(&datagram, now), &mut client.inbox, &mut dice);
        } else if let Some(datagram) = client.inbox.pop_front() {
            carry(client.receive(&datagram, now), &mut server.inbox, &mut dice);
        } else {
            let timeouts = [client.association.timeout(), server.association.timeout()];
            now = timeouts.into_iter().flatten().min().unwrap().max(now);
            carry(server.timeout(now), &mut client.inbox, &mut dice);
            carry(client.timeout(now), &mut server.inbox, &mut dice);
        }
    }
    now - start
}

fn pair<'a>(client: &'a DimplIdentity, server: &'a DimplIdentity) -> (Side<'a>, Side<'a>) {
    (
        Side::new(DtlsRole::Active, client, &server.fingerprint()),
        Side::new(DtlsRole::Passive, server, &client.fingerprint()),
    )
}

#[test] // SIMULATION_SEEDS=10000 runs so many
fn every_handshake_completes_though_a_tenth_of_the_datagrams_is_lost() {
    let (client_identity, server_identity) =
        (DimplIdentity::generate().unwrap(), DimplIdentity::generate().unwrap());
    let mut longest = Duration::ZERO;
    let seeds = std::env::var("SIMULATION_SEEDS").map_or(300, |seeds| seeds.parse().unwrap());
    for seed in 0..seeds {
        let (mut client, mut server) = pair(&client_identity, &server_identity);
        longest = longest.max(handshake(&mut client, &mut server, 10, seed));
        // Both derived the same keys: what one protects, the other opens.
        let mut packet = vec![0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 1, 2, 3];
        packet.resize(15 + crate::srtp::OVERHEAD, 0);
        let mut sender = crate::srtp::Sender::new(&client.keys.unwrap().send);
        let sealed = sender.protect(&mut packet, 0..15).unwrap();
        let mut receiver = crate::srtp::Receiver::new(&server.keys.unwrap().receive);
        assert_eq!(receiver.unprotect(&mut packet[sealed]), Some(15), "seed {seed}");
    }
    assert!(longest < HANDSHAKE, "{longest:?}");
}

#[test] // RFC 5763 §5: the certificate must be the one in the SDP
fn a_certificate_that_the_sdp_did_not_name_gives_no_keys() {
    let (ours, theirs, other) = (
        DimplIdentity::generate().unwrap(),
        DimplIdentity::generate().unwrap(),
        DimplIdentity::generate().unwrap(),
    );
    let mut client = Side::new(DtlsRole::Active, &theirs, &ours.fingerprint());
    let mut server = Side::new(DtlsRole::Passive, &ours, &other.fingerprint());
    let now = Instant::now();
    server.start(now);
    let mut to_server = client.start(now);
    while server.failed.is_none() {
        let to_client: Vec<_> = to_server.iter().flat_map(|datagram| server.receive(datagram, now)).collect();
        to_server = to_client.iter().flat_map(|datagram| client.receive(datagram, now)).collect();
    }
    assert!(server.keys.is_none());
}

#[test]
fn alerts_and_rubbish_from_anybody_end_nothing() {
    let (ours, theirs) = (DimplIdentity::generate().unwrap(), DimplIdentity::generate().unwrap());
    let alert = [ALERT, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40];
    let (mut client, mut server) = pair(&theirs, &ours);
    let now = Instant::now();
    server.start(now);
    let mut to_server = client.start(now);
    let mut dice = Dice(1);
    while client.keys.is_none() || server.keys.is_none() {
        for side in [&mut client, &mut server] {
            assert!(side.receive(&alert, now).is_empty());
            let rubbish: Vec<u8> = std::iter::once(22).chain((0..60).map(|_| dice.next() as u8)).collect();
            side.receive(&rubbish, now);
        }
        let to_client: Vec<_> = to_server.iter().flat_map(|datagram| server.receive(datagram, now)).collect();
        to_server = to_client.iter().flat_map(|datagram| client.receive(datagram, now)).collect();
        assert_eq!((&client.failed, &server.failed), (&None, &None));
    }
}

#[test] // a hello that offers only a null cipher is somebody's who wants the race
fn hellos_that_cannot_be_answered_do_not_stop_the_handshake() {
    let (ours, theirs) = (DimplIdentity::generate().unwrap(), DimplIdentity::generate().unwrap());
    let mut hello =
        vec![22, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 54, 1, 0, 0, 42, 0, 0, 0, 0, 0, 0, 0, 0, 42];
    hello.extend_from_slice(&[0xFE, 0xFD]);
    hello.extend_from_slice(&[7; 32]);
    hello.extend_from_slice(&[0, 0, 0, 2, 0, 0, 1, 0]);
    for position in 0..3 {
        let (mut client, mut server) = pair(&theirs, &ours);
        let mut now = Instant::now();
        server.start(now);
        let mut to_server = client.start(now);
        if position == 0 {
            server.receive(&hello, now);
        }
        for _ in 0..200 {
            let to_client: Vec<_> =
                to_server.iter().flat_map(|datagram| server.receive(datagram, now)).collect();
            if position == 1 {
                server.receive(&hello, now);
            }
            to_server = to_client.iter().flat_map(|datagram| client.receive(datagram, now)).collect();
            if client.keys.is_some() && server.keys.is_some() {
                break;
            }
            if to_server.is_empty() {
                now += Duration::from_millis(100);
                to_server = client.timeout(now);
                server.timeout(now);
            }
        }
        assert_eq!((&server.failed, server.keys.is_some()), (&None, true), "position {position}");
    }
}

#[test]
fn a_peer_that_never_answers_is_given_up() {
    let (ours, theirs) = (DimplIdentity::generate().unwrap(), DimplIdentity::generate().unwrap());
    let (mut client, _) = pair(&ours, &theirs);
    let mut now = Instant::now();
    client.start(now);
    let end = now + HANDSHAKE;
    while client.failed.is_none() {
        now = client.association.timeout().unwrap();
        client.timeout(now);
        assert!(now <= end);
    }
    assert_eq!(client.association.timeout(), None);
}

#[test] // RFC 8122 §5
fn only_whole_sha_2_fingerprints_are_taken() {
    let fingerprint = |algorithm: &str, value: String| Fingerprint { algorithm: algorithm.to_owned(), value };
    let pairs = |count| vec!["AB"; count].join(":");
    assert!(Expected::parse(&fingerprint("SHA-256", pairs(32))).is_some());
    assert!(Expected::parse(&fingerprint("sha-384", pairs(48))).is_some());
    assert!(Expected::parse(&fingerprint("sha-512", pairs(64))).is_some());
    for (algorithm, value) in
        [("sha-1", pairs(20)), ("md5", pairs(16)), ("sha-256", pairs(31)), ("sha-256", pairs(33))]
    {
        assert!(Expected::parse(&fingerprint(algorithm, value)).is_none());
    }
    assert!(Expected::parse(&fingerprint("sha-256", pairs(32).replace("AB", "+1"))).is_none());
}
