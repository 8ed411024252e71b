//! Payload both ways: to the engine of the same process, to listed peers, within the bandwidth.

use super::*;

fn data_of(indication: &[u8]) -> (SocketAddr, Vec<u8>) {
    assert_eq!(indication[..2], [0, 0x17]);
    let transaction = indication[8..20].try_into().unwrap();
    let (peer, rest) = Attribute::split(&indication[20..]).unwrap();
    let (data, rest) = Attribute::split(rest).unwrap();
    assert_eq!((peer.kind, data.kind, rest), (XOR_PEER_ADDRESS, 0x0013, &[][..]));
    (read_xor_address(peer.value, &transaction).unwrap(), data.value.to_vec())
}

#[test]
fn packets_for_our_own_media_address_go_to_the_engine_and_back_without_a_socket() {
    let mut rig = Rig::new();
    let mut phone = Phone::new(1, "alice");
    let relayed = rig.allocate(&mut phone);
    let indication = phone.indication(local(), b"check");
    assert_eq!((rig.receives(phone.client, &indication), &rig.to_engine), (None, &None), "no permission yet");
    assert_eq!(rig.permit(&mut phone, local()), 0);
    let indication = phone.indication(local(), b"check");
    rig.receives(phone.client, &indication);
    let to_engine = rig.to_engine.clone().unwrap();
    assert_eq!((to_engine.mux, to_engine.relayed), (0, relayed));
    assert_eq!(&indication[to_engine.payload], b"check");

    rig.server.from_engine(0, relayed, b"answer", rig.now, &mut rig.io);
    let (client, answer) = rig.io.to_clients.pop().unwrap();
    assert_eq!((client, data_of(&answer)), (phone.client, (local(), b"answer".to_vec())));

    assert_eq!(rig.bind(&mut phone, 0x4001, local()), 0);
    let message = channel_data(0x4001, b"sound");
    rig.receives(phone.client, &message);
    assert_eq!(&message[rig.to_engine.clone().unwrap().payload], b"sound");
    rig.server.from_engine(0, relayed, b"sound", rig.now, &mut rig.io);
    assert_eq!(rig.io.to_clients.pop().unwrap().1, message);
    assert!(rig.io.open.is_empty() && rig.io.to_peers.is_empty());

    rig.server.from_engine(1, relayed, b"another socket", rig.now, &mut rig.io);
    rig.server.from_engine(0, address("198.51.100.1:50019"), b"nobody", rig.now, &mut rig.io);
    rig.after(Duration::from_secs(301));
    rig.server.from_engine(0, relayed, b"permission is over", rig.now, &mut rig.io);
    assert!(rig.io.to_clients.is_empty());
}

#[test]
fn the_engine_answers_from_the_address_it_was_spoken_to() {
    let mut rig = Rig::new();
    let mut phone = Phone::new(1, "alice");
    let relayed = rig.allocate(&mut phone);
    let private = address("10.0.0.1:4000");
    rig.permit(&mut phone, local());
    rig.permit(&mut phone, private);
    for peer in [local(), private, local()] {
        let indication = phone.indication(peer, b"check");
        rig.receives(phone.client, &indication);
        rig.server.from_engine(0, relayed, b"answer", rig.now, &mut rig.io);
        assert_eq!(data_of(&rig.io.to_clients.pop().unwrap().1).0, peer);
    }
}

#[test]
fn a_listed_peer_is_reached_through_a_socket_that_opens_with_the_first_packet() {
    let mut rig = Rig::new();
    let mut phone = Phone::new(1, "alice");
    let relayed = rig.allocate(&mut phone);
    assert_eq!(rig.bind(&mut phone, 0x7FFE, listed()), 0);
    assert!(rig.io.open.is_empty());
    rig.io.is_taken = true;
    rig.receives(phone.client, &channel_data(0x7FFE, b"lost"));
    rig.io.is_taken = false;
    rig.receives(phone.client, &channel_data(0x7FFE, b"out"));
    let port = RelayedPort { relayed: 0, port: relayed.port() };
    assert_eq!(std::mem::take(&mut rig.io.to_peers), [(port, listed(), b"out".to_vec())]);

    rig.server.from_peer(port, listed(), b"in", rig.now, &mut rig.io);
    assert_eq!(rig.io.to_clients.pop().unwrap().1, channel_data(0x7FFE, b"in"));
    rig.server.from_peer(port, address("203.0.113.5:6001"), b"in", rig.now, &mut rig.io);
    assert_eq!(data_of(&rig.io.to_clients.pop().unwrap().1).0, address("203.0.113.5:6001"));
    for stranger in ["203.0.113.6:6000", "203.0.113.5:22", "8.8.8.8:53"] {
        rig.server.from_peer(port, address(stranger), b"in", rig.now, &mut rig.io);
    }
    assert!(rig.io.to_clients.is_empty());
    rig.server.close(&phone.client, rig.now, &mut rig.io);
    assert!(rig.is_empty());
}

#[test] // RFC 8656 §12.5
fn channel_data_is_padded_on_streams() {
    let mut rig = Rig::new();
    let mut phone = Phone::new(1, "alice");
    phone.client = stream(7);
    let relayed = rig.allocate(&mut phone);
    rig.bind(&mut phone, 0x4000, local());
    rig.receives(phone.client, &[&channel_data(0x4000, b"abcde")[..], &[0; 3]].concat());
    assert_eq!(rig.to_engine.as_ref().unwrap().payload, 4..9);
    rig.server.from_engine(0, relayed, b"abcde", rig.now, &mut rig.io);
    assert_eq!(rig.io.to_clients.pop().unwrap().1, b"\x40\x00\x00\x05abcde\0\0\0");
}

#[test] // RFC 8656 §10.2
fn one_create_permission_permits_several_peers_or_none() {
    let mut rig = Rig::new();
    let mut phone = Phone::new(1, "alice");
    rig.allocate(&mut phone);
    let peers = |phone: &Phone, last| [local(), listed(), last].map(|peer| phone.next_xor(peer));
    let three = peers(&phone, address("8.8.8.8:53"));
    let attributes: Vec<(u16, &[u8])> = three.iter().map(|peer| (XOR_PEER_ADDRESS, &peer[..])).collect();
    assert_eq!(rig.ask_once(&mut phone, CREATE_PERMISSION, &attributes).code, 403);
    let slot = rig.server.by_client[&phone.client];
    assert!(!rig.server.allocations[slot].permits(local().ip(), rig.now));
    let three = peers(&phone, address("203.0.113.9:1"));
    let attributes: Vec<(u16, &[u8])> = three.iter().map(|peer| (XOR_PEER_ADDRESS, &peer[..])).collect();
    assert_eq!(rig.ask_once(&mut phone, CREATE_PERMISSION, &attributes).code, 0);
    for permitted in [local().ip(), listed().ip(), ip("203.0.113.9")] {
        assert!(rig.server.allocations[slot].permits(permitted, rig.now));
    }
}

#[test]
fn packets_beyond_the_bandwidth_are_dropped_and_counted() {
    let mut rig = Rig::new();
    let mut phone = Phone::new(1, "alice");
    let relayed = rig.allocate(&mut phone);
    rig.bind(&mut phone, 0x4000, local());
    for _ in 0..100 {
        rig.receives(phone.client, &channel_data(0x4000, &[0; 200]));
        rig.server.from_engine(0, relayed, &[0; 200], rig.now, &mut rig.io);
        rig.io.to_clients.clear();
    }
    let totals = rig.server.totals();
    assert_eq!((totals.from_clients, totals.to_clients, totals.throttled), (50, 50, 100));
    rig.after(Duration::from_millis(100));
    rig.receives(phone.client, &channel_data(0x4000, &[0; 1_000]));
    assert_eq!(rig.server.totals().from_clients, 51);
}
