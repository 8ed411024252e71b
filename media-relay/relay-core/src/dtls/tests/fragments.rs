//! ClientHellos as today's browsers send them: with a post-quantum key share, in three fragments of a datagram each.

use super::*;

#[test] // RFC 6347 §4.2.3
fn a_post_quantum_hello_in_three_datagrams_is_answered_in_any_order() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut lab = Lab::new();
        let sent: Vec<_> = order.iter().flat_map(|fragment| lab.deliver(0, *fragment)).collect();
        assert!(is_server_hello(&sent), "{order:?}");
    }
}

#[test]
fn a_lost_fragment_may_come_with_the_repetition() {
    for lost in 0..3 {
        let mut lab = Lab::new();
        for fragment in (0..3).filter(|fragment| *fragment != lost) {
            assert!(lab.deliver(0, fragment).is_empty(), "not whole yet");
        }
        let sent: Vec<_> = (0..3).flat_map(|fragment| lab.deliver(1, fragment)).collect();
        assert!(is_server_hello(&sent), "fragment {lost} was lost");
    }
}

#[test]
fn fragments_that_come_twice_are_answered_as_one_hello() {
    let mut lab = Lab::new();
    let first: Vec<_> = [0, 0, 1, 1, 2].into_iter().flat_map(|fragment| lab.deliver(0, fragment)).collect();
    assert!(is_server_hello(&first));
    assert!(lab.deliver(0, 2).is_empty());
}

/// A server that waits, and a hello for it.
struct Lab {
    identity: DimplIdentity,
    association: Association,
    hello: Vec<u8>,
    now: Instant,
}

impl Lab {
    fn new() -> Self {
        let (identity, peer) = (DimplIdentity::generate().unwrap(), DimplIdentity::generate().unwrap());
        let now = Instant::now();
        let hello = with_key_share(Side::new(DtlsRole::Active, &peer, &identity.fingerprint()).start(now));
        let mut association =
            Association::new(DtlsRole::Passive, vec![Expected::parse(&peer.fingerprint()).unwrap()]);
        association.start(&identity, now, |_| {});
        Self { identity, association, hello, now }
    }

    /// Delivers one of the three fragments, as the `repetition`-th flight has it; what was answered.
    fn deliver(&mut self, repetition: u8, fragment: usize) -> Vec<Vec<u8>> {
        let size = self.hello.len().div_ceil(3);
        let part = &self.hello[fragment * size..self.hello.len().min((fragment + 1) * size)];
        let datagram = record(repetition * 3 + fragment as u8, self.hello.len(), fragment * size, part);
        assert!(datagram.len() <= 1_200);
        let mut sent = Vec::new();
        let progress =
            self.association.handle_input(&self.identity, &datagram, self.now, |one| sent.push(one.to_vec()));
        assert!(matches!(progress, Progress::None));
        let State::Handshaking(Handshake { restarts: 0, .. }) = self.association.state else {
            panic!("broken")
        };
        sent
    }
}

/// RFC 6347 §4.1 and §4.2.2.
fn record(sequence: u8, length: usize, offset: usize, part: &[u8]) -> Vec<u8> {
    let u24 = |number: usize| [(number >> 16) as u8, (number >> 8) as u8, number as u8];
    let mut datagram = vec![22, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, sequence];
    datagram.extend(((part.len() + 12) as u16).to_be_bytes());
    datagram.push(CLIENT_HELLO);
    datagram.extend(u24(length));
    datagram.extend([0, 0]);
    datagram.extend(u24(offset));
    datagram.extend(u24(part.len()));
    datagram.extend(part);
    datagram
}

/// The body of a hello, with a key share of a size that X25519MLKEM768 and two classic ones have together, and more.
fn with_key_share(flight: Vec<Vec<u8>>) -> Vec<u8> {
    let mut body = flight[0][RECORD_HEADER + 12..].to_vec();
    // Version and random; session id, cookie, cipher suites, compression methods, each behind its length.
    let mut at = 34;
    at += 1 + usize::from(body[at]);
    at += 1 + usize::from(body[at]);
    at += 2 + usize::from(u16::from_be_bytes([body[at], body[at + 1]]));
    at += 1 + usize::from(body[at]);
    let extensions = (body.len() - at - 2 + 4 + KEY_SHARE) as u16;
    body[at..at + 2].copy_from_slice(&extensions.to_be_bytes());
    body.extend([0, 51]);
    body.extend((KEY_SHARE as u16).to_be_bytes());
    body.resize(body.len() + KEY_SHARE, 0x5A);
    body
}

fn is_server_hello(sent: &[Vec<u8>]) -> bool {
    sent.first().is_some_and(|datagram| datagram[RECORD_HEADER] == SERVER_HELLO)
}

const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const KEY_SHARE: usize = 3_000;
