//! Requests and their answers, error by error: RFC 8656 §7–§12.

use super::*;

#[test] // RFC 8489 §9.2.4, RFC 8656 §7
fn the_first_allocate_is_challenged_the_second_granted() {
    let mut rig = Rig::new();
    let mut phone = Phone::new(1, "alice");
    let challenge = rig.ask_once(&mut phone, ALLOCATE, &[TRANSPORT_UDP]);
    assert_eq!((challenge.code, &challenge.realm[..], challenge.is_signed), (401, &b"north"[..], false));
    phone.nonce = challenge.nonce;
    let reply = rig.ask_once(&mut phone, ALLOCATE, &[TRANSPORT_UDP]);
    assert_eq!((reply.code, reply.lifetime, reply.is_signed), (0, Some(600), true));
    assert_eq!(reply.mapped, Some(phone.client.address()));
    let relayed = reply.relayed.unwrap();
    assert!(relayed.ip() == ip("198.51.100.1") && (50_000..=50_019).contains(&relayed.port()));
    assert!(rig.server.relays(relayed) && rig.io.open.is_empty(), "a port needs no socket yet");
    rig.after(Duration::from_secs(601));
    assert!(rig.is_empty() && !rig.server.relays(relayed));
}

#[test] // RFC 8656 §7.2
fn a_repeated_allocate_is_answered_alike() {
    let mut rig = Rig::new();
    let mut phone = Phone::new(1, "alice");
    rig.allocate(&mut phone);
    let another = phone.request(ALLOCATE, &[TRANSPORT_UDP, EVEN_AND_NEXT]);
    let mut second = Phone::new(2, "alice");
    second.nonce = rig.ask_once(&mut second, ALLOCATE, &[TRANSPORT_UDP]).nonce;
    let request = second.request(ALLOCATE, &[TRANSPORT_UDP, EVEN_AND_NEXT]);
    let first = rig.receives(second.client, &request).unwrap();
    rig.after(Duration::from_secs(3));
    assert_eq!(rig.receives(second.client, &request).unwrap(), first);
    assert_eq!(rig.server.totals().allocations, 2);
    let answer = rig.receives(phone.client, &another).unwrap();
    assert_eq!(Reply::read(&answer, &another, Some(&phone.key)).code, 437);
}

#[test]
fn each_refusal_has_its_code() {
    let mut rig = Rig::new();
    let mut phone = Phone::new(1, "alice");
    rig.ask(&mut phone, ALLOCATE, &[]);
    let mut code = |attributes: Attributes<'_>| rig.ask_once(&mut phone, ALLOCATE, attributes).code;
    let family = |family: &'static [u8; 4]| (0x0017, &family[..]);
    assert_eq!(code(&[]), 400, "no REQUESTED-TRANSPORT");
    assert_eq!(code(&[(0x0019, &[17, 0, 0])]), 400, "malformed");
    assert_eq!(code(&[(0x0019, &[6, 0, 0, 0])]), 442, "TCP");
    assert_eq!(code(&[TRANSPORT_UDP, (0x001A, &[])]), 420, "DONT-FRAGMENT");
    assert_eq!(code(&[TRANSPORT_UDP, family(&[3, 0, 0, 0])]), 440);
    assert_eq!(code(&[TRANSPORT_UDP, (0x0022, &[1; 8])]), 508, "no such reservation");
    assert_eq!(code(&[TRANSPORT_UDP, (0x0022, &[1; 8]), EVEN]), 400);
    assert_eq!(code(&[TRANSPORT_UDP, (0x0022, &[1; 8]), family(&[1, 0, 0, 0])]), 400);
    assert_eq!(rig.server.totals().allocations, 0);

    for kind in [REFRESH, CREATE_PERMISSION, CHANNEL_BIND] {
        assert_eq!(rig.ask_once(&mut phone, kind, &[]).code, 437, "no allocation");
        assert_eq!(rig.ask_once(&mut Phone::new(9, "nobody"), kind, &[]).code, 437, "nor credentials");
    }
    rig.allocate(&mut phone);
    assert_eq!(rig.ask_once(&mut phone, ALLOCATE, &[TRANSPORT_UDP]).code, 437, "a second one");
    assert_eq!(rig.ask_once(&mut phone, CREATE_PERMISSION, &[]).code, 400);
    assert_eq!(rig.ask_once(&mut phone, CREATE_PERMISSION, &[(XOR_PEER_ADDRESS, &[0, 9, 1, 1])]).code, 400);
    assert_eq!(rig.permit(&mut phone, address("[2001:db8::1]:4000")), 443);
    assert_eq!(rig.permit(&mut phone, address("8.8.8.8:53")), 403);
    assert_eq!(rig.ask_once(&mut phone, CHANNEL_BIND, &[(0x000C, &[0x40, 0, 0, 0])]).code, 400, "no peer");
    assert_eq!(rig.bind(&mut phone, 0x3FFF, local()), 400);
    assert_eq!(rig.bind(&mut phone, 0x7FFF, local()), 400);
    assert_eq!(rig.bind(&mut phone, 0x4000, address("[2001:db8::1]:4000")), 443);
    assert_eq!(rig.bind(&mut phone, 0x4000, address("203.0.113.5:22")), 403);
    assert_eq!(rig.bind(&mut phone, 0x4000, local()), 0);
    assert_eq!(rig.bind(&mut phone, 0x4000, local()), 0, "again");
    assert_eq!(rig.bind(&mut phone, 0x4001, local()), 400, "the peer has a channel");
    assert_eq!(rig.bind(&mut phone, 0x4000, listed()), 400, "the channel has a peer");
    assert_eq!(rig.ask_once(&mut phone, REFRESH, &[family(&[2, 0, 0, 0])]).code, 443);
    assert_eq!(
        rig.ask_once(&mut phone, REFRESH, &[(0x7FF0, &[]), (0x7FF1, &[])]).unknown,
        [0x7F, 0xF0, 0x7F, 0xF1]
    );
    let mut other = Phone::new(1, "bob");
    other.nonce = phone.nonce.clone();
    assert_eq!(rig.ask_once(&mut other, REFRESH, &[NO_LIFETIME]).code, 441);
    assert_eq!(rig.ask_once(&mut other, ALLOCATE, &[TRANSPORT_UDP]).code, 437);
    phone.nonce[5] ^= 1;
    assert_eq!(rig.ask_once(&mut phone, REFRESH, &[]).code, 438, "somebody else's nonce");
}

#[test] // RFC 8489 §9.2.4
fn a_nonce_ends_after_an_hour_and_belongs_to_one_address() {
    let mut rig = Rig::new();
    let mut phone = Phone::new(1, "alice");
    rig.allocate(&mut phone);
    let mut thief = Phone::new(2, "alice");
    thief.nonce = phone.nonce.clone();
    assert_eq!(rig.ask_once(&mut thief, ALLOCATE, &[TRANSPORT_UDP]).code, 438);
    for _ in 0..7 {
        rig.after(Duration::from_secs(550));
        assert_eq!(rig.ask(&mut phone, REFRESH, &[]).code, 0, "also after the password's expiry");
    }
    phone.nonce = thief.nonce;
    let stale = rig.ask_once(&mut phone, REFRESH, &[]);
    assert_eq!((stale.code, stale.is_signed, stale.nonce.len()), (438, false, 24));
}

#[test] // RFC 8656 §7.2, §8.2
fn lifetimes_are_kept_between_ten_minutes_and_an_hour() {
    let mut rig = Rig::new();
    let mut phone = Phone::new(1, "alice");
    let seconds = |asked: u32| asked.to_be_bytes();
    let reply = rig.ask(&mut phone, ALLOCATE, &[TRANSPORT_UDP, NO_LIFETIME]);
    assert_eq!((reply.code, reply.lifetime), (0, Some(600)));
    for (asked, granted) in [(1, 600), (1_000, 1_000), (u32::MAX, 3_600)] {
        let reply = rig.ask_once(&mut phone, REFRESH, &[(LIFETIME, &seconds(asked))]);
        assert_eq!((reply.code, reply.lifetime), (0, Some(granted)));
    }
    assert_eq!(rig.ask_once(&mut phone, REFRESH, &[NO_LIFETIME]).lifetime, Some(0));
    assert!(rig.is_empty());
    assert_eq!(rig.ask_once(&mut phone, REFRESH, &[NO_LIFETIME]).code, 437);
}

#[test]
fn quotas_are_exact_and_freed_at_once() {
    let mut rig = Rig::new();
    let mut phones: Vec<Phone> = (1..=4).map(|number| Phone::new(number, "alice")).collect();
    phones.extend((5..=12).map(|number| Phone::new(number, ["bob", "carol"][usize::from(number % 2)])));
    let mut codes: Vec<u16> = Vec::new();
    for phone in &mut phones {
        codes.push(rig.ask(phone, ALLOCATE, &[TRANSPORT_UDP]).code);
    }
    assert_eq!(codes, [0, 0, 0, 486, 0, 0, 0, 0, 0, 486, 486, 486]);
    assert_eq!(rig.quotas.0.lock().unwrap().held(), 8);
    assert_eq!(rig.ask(&mut phones[0], REFRESH, &[NO_LIFETIME]).code, 0);
    assert_eq!(rig.ask(&mut phones[3], ALLOCATE, &[TRANSPORT_UDP]).code, 0);
    let client = phones[1].client;
    rig.server.close(&client, rig.now, &mut rig.io);
    assert_eq!(rig.ask(&mut phones[1], ALLOCATE, &[TRANSPORT_UDP]).code, 0);
    rig.after(Duration::from_secs(601));
    assert!(rig.is_empty());
}

#[test]
fn a_full_range_is_told_and_costs_no_quota() {
    let mut rig = Rig::with(|config| config.relayed[0].ports = 50_000..=50_000);
    let (mut first, mut second) = (Phone::new(1, "alice"), Phone::new(2, "alice"));
    rig.allocate(&mut first);
    assert_eq!(rig.ask(&mut second, ALLOCATE, &[TRANSPORT_UDP]).code, 508);
    assert_eq!(rig.quotas.0.lock().unwrap().held(), 1);
    rig.ask(&mut first, REFRESH, &[NO_LIFETIME]);
    assert_eq!(rig.ask(&mut second, ALLOCATE, &[TRANSPORT_UDP]).code, 508, "the port rests");
    rig.after(QUARANTINE);
    assert_eq!(rig.ask(&mut second, ALLOCATE, &[TRANSPORT_UDP]).code, 0);
}

#[test] // RFC 8656 §7.2
fn a_reserved_port_goes_to_who_has_the_token() {
    let mut rig = Rig::new();
    let (mut rtp, mut rtcp, mut thief) =
        (Phone::new(1, "alice"), Phone::new(2, "alice"), Phone::new(3, "bob"));
    let reply = rig.ask(&mut rtp, ALLOCATE, &[TRANSPORT_UDP, EVEN_AND_NEXT]);
    let (port, token) = (reply.relayed.unwrap().port(), reply.token.unwrap());
    assert_eq!(port % 2, 0);
    let with_token: Attributes<'_> = &[TRANSPORT_UDP, (0x0022, &token)];
    assert_eq!(rig.ask(&mut thief, ALLOCATE, with_token).code, 508);
    assert_eq!(rig.ask(&mut rtcp, ALLOCATE, with_token).relayed.unwrap().port(), port + 1);
    assert_eq!(rig.ask(&mut thief, ALLOCATE, &[TRANSPORT_UDP, EVEN]).relayed.unwrap().port() % 2, 0);
    for phone in [&mut rtp, &mut rtcp, &mut thief] {
        rig.ask(phone, REFRESH, &[NO_LIFETIME]);
    }
    assert!(rig.is_empty());
    let reply = rig.ask(&mut rtp, ALLOCATE, &[TRANSPORT_UDP, EVEN_AND_NEXT]);
    rig.after(Duration::from_secs(31));
    let late: Attributes<'_> = &[TRANSPORT_UDP, (0x0022, &reply.token.unwrap())];
    assert_eq!(rig.ask(&mut rtcp, ALLOCATE, late).code, 508, "30 s are over");
    assert_eq!(rig.server.totals().ports, 1);
}

#[test]
fn sixty_cycles_with_even_port_leak_nothing() {
    let mut rig = Rig::new();
    let mut phone = Phone::new(1, "alice");
    for _ in 0..60 {
        phone.transaction = 0;
        assert_eq!(rig.ask(&mut phone, ALLOCATE, &[TRANSPORT_UDP, EVEN_AND_NEXT]).code, 0);
        assert_eq!(rig.server.totals().ports, 2);
        assert_eq!(rig.ask(&mut phone, REFRESH, &[NO_LIFETIME]).code, 0);
        assert!(rig.is_empty());
        rig.after(QUARANTINE);
    }
    for number in 0..8 {
        assert_eq!(
            rig.ask(&mut Phone::new(number, &number.to_string()), ALLOCATE, &[TRANSPORT_UDP, EVEN]).code,
            0
        );
    }
}

#[test]
fn an_allocation_may_be_ipv6() {
    let mut rig = Rig::new();
    let mut phone = Phone::new(1, "alice");
    let reply = rig.ask(&mut phone, ALLOCATE, &[TRANSPORT_UDP, (0x0017, &[2, 0, 0, 0])]);
    assert_eq!(reply.relayed.unwrap().ip(), ip("2001:db8::1"));
    assert_eq!(rig.permit(&mut phone, local()), 443);
    assert_eq!(rig.bind(&mut phone, 0x5000, address("[2001:db8::1]:4000")), 0);
    rig.receives(phone.client, &channel_data(0x5000, b"v6"));
    assert_eq!(rig.to_engine.as_ref().unwrap().mux, 1);
}

#[test] // RFC 8489 §6.3.1
fn binding_tells_the_address_and_bears_a_fingerprint_only_if_asked_with_one() {
    let mut rig = Rig::new();
    let mut phone = Phone::new(1, "");
    let request = phone.request(BINDING, &[]);
    let answer = rig.receives(phone.client, &request).unwrap();
    assert_eq!(answer.len(), 32);
    assert_eq!(Reply::read(&answer, &request, None).mapped, Some(phone.client.address()));
    let change_request = phone.request(BINDING, &[(0x0003, &[0, 0, 0, 6])]); // RFC 5780
    let answer = rig.receives(phone.client, &change_request).unwrap();
    let reply = Reply::read(&answer, &change_request, None);
    assert_eq!((reply.code, reply.unknown), (420, vec![0, 3]));
}
