//! What strangers, or peers that misbehave, can do: nothing.

use super::*;

#[test] // rtp bleed and injection: before media, in mid-call, while the caller is silent, after a change
fn rtp_from_elsewhere_is_never_believed_and_draws_nothing() {
    let mut rig = Rig::new();
    let mut browser = Browser::new("198.51.100.7:50000", DtlsRole::Passive);
    let mut wanted = spec("call", 1, browser.leg(), rtp_leg(None));
    let description = rig.put(&wanted).unwrap();
    let pair = pair_of(&description.b);
    let same_ip = address("192.0.2.9:6002");
    let mut injected = 0;
    let mut inject = |rig: &mut Rig| {
        for source in [stranger(), same_ip] {
            for socket in [SocketId::Rtp(pair), SocketId::Rtcp(pair)] {
                for datagram in [rtp(9, 0x66), vec![0x80, 201, 0, 1, 0, 0, 0, 9], vec![0, 1, 0, 0], vec![]] {
                    assert_eq!(rig.receives(socket, source, &datagram), []);
                    injected += 1;
                }
            }
        }
    };
    inject(&mut rig);
    wanted.revision = 2;
    wanted.b = rtp_leg(Some(remote()));
    rig.put(&wanted).unwrap();
    inject(&mut rig);
    rig.connect(&mut browser, &description.a);
    inject(&mut rig);
    for sequence in 0..20 {
        inject(&mut rig);
        let sent = rig.receives(SocketId::Rtp(pair), remote().rtp, &rtp(sequence, 0x22));
        assert_eq!(sent[0].to, browser.address);
    }
    wanted.revision = 3;
    let moved = RtpRemote { rtp: address("192.0.2.10:7000"), rtcp: address("192.0.2.10:7001") };
    wanted.b = rtp_leg(Some(moved));
    rig.put(&wanted).unwrap();
    inject(&mut rig);
    assert_eq!(rig.receives(SocketId::Rtp(pair), remote().rtp, &rtp(20, 0x22)), [], "the old address");
    assert_eq!(rig.receives(SocketId::Rtp(pair), moved.rtp, &rtp(20, 0x22)).len(), 1);
    let sent = rig.after(Duration::from_millis(200));
    assert!(sent.iter().all(|sent| [moved.rtp, moved.rtcp, browser.address].contains(&sent.to)));
    let statistics = rig.statistics("call");
    assert_eq!(statistics.b.wrong_source, injected + 1);
    assert_eq!((statistics.b.received.packets, lost(statistics.b)), (21, Some(0)));
}

#[test]
fn sound_from_elsewhere_is_told_once_for_a_leg_with_both_addresses() {
    let mut rig = Rig::new();
    let browser = Browser::new("198.51.100.7:50000", DtlsRole::Passive);
    let mut wanted = spec("call", 1, browser.leg(), rtp_leg(None));
    let pair = pair_of(&rig.put(&wanted).unwrap().b);
    let misdirected = |rig: &mut Rig, packets: u16| {
        for sequence in 0..packets {
            rig.receives(SocketId::Rtp(pair), stranger(), &rtp(sequence, 0x66));
        }
        rig.events()
    };
    assert_eq!(misdirected(&mut rig, 50), [], "nothing is expected yet");
    wanted.revision = 2;
    wanted.b = rtp_leg(Some(remote()));
    rig.put(&wanted).unwrap();
    assert_eq!(misdirected(&mut rig, 4), [], "left-overs of before");
    let told = EventKind::WrongSource { from: stranger(), expected: remote().rtp };
    assert_eq!(misdirected(&mut rig, 300), [(LegName::B, told)]);
    assert_eq!(rig.statistics("call").b.wrong_source, 354);
}

#[test]
fn learning_takes_the_first_source_that_speaks_and_no_other() {
    let mut rig = Rig::new();
    let browser = Browser::new("198.51.100.7:50000", DtlsRole::Passive);
    let mut leg = rtp_leg(Some(remote()));
    if let LegSpec::Rtp(rtp) = &mut leg {
        rtp.learn = Learn::Once;
    }
    let description = rig.put(&spec("call", 1, browser.leg(), leg)).unwrap();
    let pair = pair_of(&description.b);
    let natted = address("198.51.100.77:1024");
    rig.receives(SocketId::Rtp(pair), stranger(), &rtp_of(13, 1, &[1]));
    rig.receives(SocketId::Rtp(pair), natted, &rtp(1, 0x22));
    rig.receives(SocketId::Rtp(pair), stranger(), &rtp(2, 0x66));
    rig.receives(SocketId::Rtp(pair), remote().rtp, &rtp(3, 0x66));
    let statistics = rig.statistics("call");
    assert_eq!((statistics.b.received.packets, statistics.b.wrong_source), (1, 3));
    let sent = rig.after(Duration::from_millis(100));
    assert!(!sent.is_empty() && sent.iter().all(|sent| sent.to == natted));
}

#[test] // records only from an ICE-validated source; nothing is sent to others
fn a_hello_from_a_stranger_is_ignored_in_every_position() {
    let mut rig = Rig::new();
    let mut browser = Browser::new("198.51.100.7:50000", DtlsRole::Passive);
    let description = rig.put(&spec("call", 1, browser.leg(), rtp_leg(Some(remote())))).unwrap();
    browser.learn(&description.a);
    let mut attacker = Browser::new("192.0.2.66:6000", DtlsRole::Passive);
    let hello = attacker.pump(rig.now).remove(0);
    let attack = |rig: &mut Rig| {
        for _ in 0..20 {
            let sent = rig.receives(MUX, stranger(), &hello);
            assert!(sent.iter().all(|sent| sent.to != stranger()));
        }
    };
    attack(&mut rig);
    let check = browser.check(true);
    let sent = rig.receives(MUX, browser.address, &check);
    assert_eq!(sent.len(), 1);
    attack(&mut rig);
    let first = browser.pump(rig.now).remove(0);
    let sent = rig.receives(MUX, browser.address, &first);
    attack(&mut rig);
    let mut replies = Vec::new();
    for sent in sent {
        replies.extend(browser.receives(&sent.datagram, rig.now));
    }
    rig.exchange(&mut browser, replies);
    assert!(browser.keys.is_some());
    let sealed = browser.seal(&rtp(1, 0x11));
    assert_eq!(rig.receives(MUX, browser.address, &sealed).len(), 1);
}

#[test] // a ClientHello that overtook the check costs no retransmission
fn an_early_hello_is_read_when_its_source_is_validated() {
    let mut rig = Rig::new();
    let mut browser = Browser::new("198.51.100.7:50000", DtlsRole::Passive);
    let description = rig.put(&spec("call", 1, browser.leg(), rtp_leg(Some(remote())))).unwrap();
    browser.learn(&description.a);
    for hello in browser.pump(rig.now) {
        assert_eq!(rig.receives(MUX, browser.address, &hello), []);
    }
    let check = browser.check(true);
    rig.exchange(&mut browser, vec![check]);
    assert!(browser.keys.is_some());
}

#[test] // 10,000 bad packets: the call stays
fn forged_and_replayed_srtp_is_counted_and_changes_nothing() {
    let mut rig = Rig::new();
    let (mut browser, _, pair) = rig.call(DtlsRole::Passive);
    let sealed = browser.seal(&rtp(1, 0x11));
    assert_eq!(rig.receives(MUX, browser.address, &sealed).len(), 1);
    for number in 0..10_000_u32 {
        let mut forged = sealed.clone();
        forged[8..12].copy_from_slice(&number.to_be_bytes());
        assert_eq!(rig.receives(MUX, browser.address, &forged), []);
    }
    assert_eq!(rig.receives(MUX, browser.address, &sealed), [], "a repeat");
    let mut report = vec![0x80, 201, 0, 1, 0, 0, 0, 9];
    report.resize(40, 0);
    assert_eq!(rig.receives(MUX, browser.address, &report), []);
    assert_eq!(rig.statistics("call").a.unauthentic, 10_002);
    let sealed = browser.seal(&rtp(2, 0x11));
    let sent = rig.receives(MUX, browser.address, &sealed);
    assert_eq!((sent.len(), sent[0].socket), (1, SocketId::Rtp(pair)));
    assert!(rig.events().iter().all(|(_, kind)| *kind == EventKind::MediaStarted));
}

#[test]
fn a_wrong_certificate_ends_the_transport_and_gives_no_keys() {
    let mut rig = Rig::new();
    let mut browser = Browser::new("198.51.100.7:50000", DtlsRole::Passive);
    let named = Browser::new("198.51.100.7:50000", DtlsRole::Passive);
    let description = rig.put(&spec("call", 1, named.leg(), rtp_leg(Some(remote())))).unwrap();
    browser.learn(&description.a);
    let check = browser.check(true);
    rig.exchange(&mut browser, vec![check]);
    let hello = browser.pump(rig.now);
    rig.exchange(&mut browser, hello);
    let events = rig.events();
    assert!(matches!(events[..], [(LegName::A, EventKind::TransportFailed { .. })]), "{events:?}");
    assert_eq!(rig.engine.totals().failures.of(Failure::Fingerprint), 1);
    if browser.keys.is_some() {
        let sealed = browser.seal(&rtp(1, 0x11));
        assert_eq!(rig.receives(MUX, browser.address, &sealed), []);
    }
}

#[test]
fn the_address_of_one_call_can_be_taken_by_another_only_with_its_credentials() {
    let mut rig = Rig::new();
    let (mut first, _, first_pair) = rig.call(DtlsRole::Passive);
    let mut second = Browser::new("198.51.100.7:50000", DtlsRole::Passive);
    let description = rig.put(&spec("second", 1, second.leg(), rtp_leg(Some(remote())))).unwrap();
    rig.connect(&mut second, &description.a);
    // The browser's port now belongs to its second call; the first has no path any more.
    let sealed = first.seal(&rtp(1, 0x11));
    assert_eq!(rig.receives(MUX, first.address, &sealed), []);
    assert_eq!(rig.receives(SocketId::Rtp(first_pair), remote().rtp, &rtp(1, 0x22)), []);
    let check = first.check(true);
    rig.receives(MUX, first.address, &check);
    let sealed = first.seal(&rtp(2, 0x11));
    assert_eq!(rig.receives(MUX, first.address, &sealed).len(), 1);
    assert_eq!(rig.engine.totals().paths, 1);
}
