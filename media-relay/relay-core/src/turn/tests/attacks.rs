//! SECURITY: strangers' peers, amplification, floods.

use super::*;

/// Other hosts, and spellings of our own.
const FORBIDDEN: [&str; 36] = [
    "127.0.0.1:4000",
    "127.0.0.2:4000",
    "127.255.255.254:6379",
    "0.0.0.0:4000",
    "0.1.2.3:4000",
    "10.0.0.2:6379",
    "172.16.0.1:80",
    "192.168.0.1:80",
    "100.64.0.1:80",
    "169.254.169.254:80",
    "224.0.0.1:4000",
    "239.255.255.250:1900",
    "255.255.255.255:4000",
    "240.0.0.1:4000",
    "8.8.8.8:53",
    "198.51.100.1:3478",
    "198.51.100.1:50001",
    "198.51.100.1:4001",
    "198.51.100.1:0",
    "203.0.113.5:22",
    "203.0.113.5:0",
    "[::]:4000",
    "[::1]:4000",
    "[::ffff:127.0.0.1]:4000",
    "[::ffff:198.51.100.1]:4000",
    "[::ffff:0:198.51.100.1]:4000",
    "[::198.51.100.1]:4000",
    "[64:ff9b::198.51.100.1]:4000",
    "[64:ff9b:1::198.51.100.1]:4000",
    "[2002:c633:6401::1]:4000",
    "[2001:0:c633:6401::1]:4000",
    "[fe80::5efe:198.51.100.1]:4000",
    "[fe80::1]:4000",
    "[fd00::1]:6379",
    "[ff02::1]:4000",
    "[fd00:ec2::254]:80",
];

#[test]
fn no_spelling_of_a_forbidden_peer_is_granted_or_reached() {
    forbids_all(Rig::new());
}

#[test]
fn not_even_rules_for_everything_cover_another_spelling() {
    let mut rig = Rig::with(|config| {
        config.peers = vec![PeerRule { network: "::/0".parse().unwrap(), ports: 1..=65_535 }];
    });
    let mut phone = Phone::new(1, "alice");
    rig.ask(&mut phone, ALLOCATE, &[TRANSPORT_UDP, (0x0017, &[2, 0, 0, 0])]);
    for peer in FORBIDDEN.iter().map(|peer| address(peer)).filter(SocketAddr::is_ipv6) {
        let is_plain = matches!(peer.ip(), IpAddr::V6(ip) if ip.segments()[0] & 0xFE00 == 0xFC00 || ip == "fe80::1".parse::<std::net::Ipv6Addr>().unwrap());
        assert_eq!(rig.bind(&mut phone, 0x4000, peer) == 0, is_plain, "{peer}");
        phone.transaction = 0;
        rig.ask(&mut phone, REFRESH, &[NO_LIFETIME]);
        rig.ask(&mut phone, ALLOCATE, &[TRANSPORT_UDP, (0x0017, &[2, 0, 0, 0])]);
        rig.after(QUARANTINE);
    }
    let own = address("[2001:db8::1]:50001");
    assert_eq!(rig.bind(&mut phone, 0x4000, own), 403, "our own relayed addresses");
}

#[test]
fn a_literally_listed_spelling_is_granted() {
    let peer = address("[::1]:6000");
    let mut rig = Rig::with(|config| {
        config.peers = vec![PeerRule { network: "::1/128".parse().unwrap(), ports: 6_000..=6_000 }];
    });
    let mut phone = Phone::new(1, "alice");
    rig.ask(&mut phone, ALLOCATE, &[TRANSPORT_UDP, (0x0017, &[2, 0, 0, 0])]);
    assert_eq!(rig.bind(&mut phone, 0x4000, peer), 0);
}

fn forbids_all(mut rig: Rig) {
    for (number, peer) in FORBIDDEN.iter().map(|peer| address(peer)).enumerate() {
        let mut phone = Phone::new(number as u8, "alice");
        let family = if peer.is_ipv4() { [1, 0, 0, 0] } else { [2, 0, 0, 0] };
        assert_eq!(rig.ask(&mut phone, ALLOCATE, &[TRANSPORT_UDP, (0x0017, &family)]).code, 0);
        // A permission names an address only, so that one for our own address or a listed host can be had.
        let is_allowed_host = ["198.51.100.1", "203.0.113.5"].contains(&&*peer.ip().to_string());
        assert_eq!(rig.permit(&mut phone, peer), if is_allowed_host { 0 } else { 403 }, "{peer}");
        assert_eq!(rig.bind(&mut phone, 0x4000, peer), 403, "{peer}");
        let indication = phone.indication(peer, b"hello");
        assert_eq!(rig.receives(phone.client, &indication), None);
        assert_eq!(
            (rig.receives(phone.client, &channel_data(0x4000, b"hello")), &rig.to_engine),
            (None, &None)
        );
        assert!(rig.io.to_peers.is_empty() && rig.io.open.is_empty(), "{peer}");
        rig.ask(&mut phone, REFRESH, &[NO_LIFETIME]);
        rig.after(QUARANTINE);
    }
    assert_eq!((rig.server.totals().from_clients, rig.is_empty()), (0, true));
}

#[test] // with the headers of IPv4 and UDP
fn strangers_get_at_most_twice_what_they_send() {
    for realm in ["n", "north", "media.example.org", &"long".repeat(16)] {
        let mut rig = Rig::with(|config| config.realm = realm.to_owned());
        let mut stranger = Phone::new(1, "");
        let attributes: [Attributes<'_>; 4] =
            [&[], &[TRANSPORT_UDP], &[TRANSPORT_UDP, NO_LIFETIME], &[(0x7FF0, &[]), (0x7FF1, &[])]];
        for kind in [BINDING, ALLOCATE, REFRESH, CREATE_PERMISSION, CHANNEL_BIND, [0, 2], [0, 10], [1, 1]] {
            for attributes in attributes {
                let request = stranger.request(kind, attributes);
                let answer = rig.receives(stranger.client, &request).map_or(0, |answer| answer.len() + 28);
                assert!(answer <= 2 * (request.len() + 28), "{answer} for {}", request.len());
            }
        }
        assert!(rig.is_empty());
    }
}

#[test]
fn a_flood_from_one_address_is_answered_up_to_a_rate() {
    let mut rig = Rig::new();
    let mut stranger = Phone::new(1, "");
    let request = stranger.request(BINDING, &[]);
    let answered = (0..5_000).filter(|_| rig.receives(stranger.client, &request).is_some()).count();
    assert_eq!(answered, 2_000);
    rig.after(Duration::from_millis(10));
    assert!(rig.receives(stranger.client, &request).is_some());
}

#[test]
fn garbage_is_not_answered() {
    let mut rig = Rig::new();
    let mut phone = Phone::new(1, "alice");
    let good = phone.request(ALLOCATE, &[TRANSPORT_UDP]);
    for length in 0..good.len() {
        assert_eq!(rig.receives(phone.client, &good[..length]), None);
    }
    let mut without_cookie = good.clone();
    without_cookie[4] = 0;
    let indication = [&[0, 0x13], &good[2..]].concat();
    let response = [&[1, 3], &good[2..]].concat();
    for datagram in
        [&without_cookie, &indication, &response, &b"GET / HTTP/1.1\r\n\r\n".to_vec(), &vec![0x80; 172]]
    {
        assert_eq!(rig.receives(phone.client, datagram), None);
    }
    let mut wrong_fingerprint = good.clone();
    wrong_fingerprint.extend([0x80, 0x28, 0, 4, 1, 2, 3, 4]);
    wrong_fingerprint[3] += 8;
    assert_eq!(rig.receives(phone.client, &wrong_fingerprint), None);
    assert!(rig.receives(phone.client, &good).is_some());
}

#[test]
fn tables_of_an_allocation_are_bounded() {
    let mut rig = Rig::new();
    let mut phone = Phone::new(1, "alice");
    rig.allocate(&mut phone);
    let peer = |host: u8| SocketAddr::from(([203, 0, 113, host], 6_000));
    let codes: Vec<u16> =
        (1..=40).map(|host| rig.bind(&mut phone, 0x4000 + u16::from(host), peer(host))).collect();
    assert!(codes[..32].iter().all(|code| *code == 0) && codes[32..].iter().all(|code| *code == 508));
    assert_eq!(rig.permit(&mut phone, peer(99)), 508);
    phone.transaction = 0;
    rig.after(Duration::from_secs(301));
    assert_eq!(rig.permit(&mut phone, peer(99)), 0, "permissions end after five minutes");
}

proptest::proptest! {
    #[test]
    fn any_octets_break_no_rule(
        head in proptest::sample::select(vec![
            &b""[..], b"\x00\x01", b"\x00\x03\x00\x10\x21\x12\xa4\x42", b"\x00\x16\x00\x20\x21\x12\xa4\x42",
            b"\x00\x09\x00\x40\x21\x12\xa4\x42", b"\x40\x00\x00\x08", b"\x50\x00",
        ]),
        tail in proptest::collection::vec(proptest::num::u8::ANY, 0..128),
    ) {
        let mut rig = Rig::new();
        let datagram = [head, &tail[..]].concat();
        for client in [udp(1), stream(1)] {
            _ = rig.receives(client, &datagram);
        }
        _ = frame_length(&datagram);
        assert!(rig.is_empty() && rig.to_engine.is_none());
    }
}
