//! Declaring sessions: idempotent, versioned, bounded, and leaving nothing behind.

use super::*;

#[test]
fn a_repeated_specification_changes_nothing_and_an_older_one_is_refused() {
    let mut rig = Rig::new();
    let browser = Browser::new("198.51.100.7:50000", DtlsRole::Passive);
    let first = spec("call", 5, browser.leg(), rtp_leg(None));
    let description = rig.put(&first).unwrap();
    assert_eq!(rig.put(&first).unwrap(), description);
    let mut other = first.clone();
    other.b = rtp_leg(Some(remote()));
    assert_eq!(rig.put(&other), Err(RelayError::Stale { revision: 5 }));
    other.revision = 4;
    assert_eq!(rig.put(&other), Err(RelayError::Stale { revision: 5 }));
    other.revision = 6;
    let changed = rig.put(&other).unwrap();
    assert_eq!((changed.revision, &changed.a, &changed.b), (6, &description.a, &description.b));
}

#[test]
fn what_is_told_to_peers_comes_from_the_configuration() {
    let mut rig = Rig::new();
    let browser = Browser::new("198.51.100.7:50000", DtlsRole::Passive);
    let description = rig.put(&spec("call", 1, browser.leg(), rtp_leg(None))).unwrap();
    let LegDescription::WebRtc { ufrag, password, candidates, fingerprint } = description.a else {
        panic!("a browser's leg")
    };
    assert_eq!(candidates, [address("203.0.113.1:3478")]);
    assert_eq!((ufrag.len(), password.len()), (8, 24));
    assert_eq!((fingerprint.algorithm.as_str(), fingerprint.value.len()), ("sha-256", 95));
    assert_eq!(
        description.b,
        LegDescription::Rtp { rtp: address("203.0.113.2:40000"), rtcp: address("203.0.113.2:40001") }
    );
}

#[test]
fn a_specification_that_cannot_be_carried_out_is_refused_before_anything_changes() {
    let mut rig = Rig::new();
    let browser = Browser::new("198.51.100.7:50000", DtlsRole::Passive);
    let good = spec("call", 1, browser.leg(), rtp_leg(Some(remote())));
    let with_rtp = |change: fn(&mut RtpLeg)| {
        let mut bad = good.clone();
        if let LegSpec::Rtp(rtp) = &mut bad.b {
            change(rtp);
        }
        bad
    };
    let with_web = |change: fn(&mut WebRtcRemote)| {
        let mut bad = good.clone();
        if let LegSpec::WebRtc(WebRtcLeg { remote: Some(remote), .. }) = &mut bad.a {
            change(remote);
        }
        bad
    };
    let to = |text: &str| Some(RtpRemote { rtp: address(text), rtcp: address(text) });
    let mut bad = vec![
        with_rtp(|rtp| rtp.codecs = vec![codec("PCMU", 128, 0)]),
        with_rtp(|rtp| rtp.codecs = vec![codec("PCMU", 0, 0); 33]),
        with_web(|remote| remote.ufrag = "abc".to_owned()),
        with_web(|remote| remote.ufrag = "a".repeat(257)),
        with_web(|remote| remote.password = "short".to_owned()),
        with_web(|remote| remote.fingerprints.clear()),
        with_web(|remote| remote.fingerprints[0].algorithm = "sha-1".to_owned()),
    ];
    for address in ["0.0.0.0:5000", "[::]:5000", "192.0.2.1:0", "224.0.0.1:5000"] {
        bad.push(spec("call", 1, browser.leg(), rtp_leg(to(address))));
    }
    for id in ["", "a b", "ä", &"x".repeat(65)] {
        bad.push(spec(id, 1, browser.leg(), rtp_leg(None)));
    }
    for spec in bad {
        assert!(matches!(rig.put(&spec), Err(RelayError::Invalid { .. })), "{spec:?}");
    }
    let elsewhere = with_rtp(|rtp| rtp.interface = Some("elsewhere".to_owned()));
    assert!(matches!(rig.put(&elsewhere), Err(RelayError::NoInterface { .. })));
    assert_eq!(rig.engine.totals(), Totals::default());
    assert!(rig.io.open.is_empty() && rig.engine.by_ufrag.is_empty());
}

#[test]
fn when_sessions_or_ports_run_out_the_answer_is_full_and_freed_ports_rest() {
    let mut rig = Rig::with(3, 40_000..=40_003);
    let full = |what: &str| Err(RelayError::Full { what: what.to_owned() });
    for id in ["one", "two"] {
        rig.put(&spec(id, 1, rtp_leg(None), LegSpec::Service(relay_api::Service::Echo))).unwrap();
    }
    let third = spec("three", 1, rtp_leg(None), LegSpec::Service(relay_api::Service::Echo));
    assert_eq!(rig.put(&third), full("ports"));
    let browser = Browser::new("198.51.100.7:50000", DtlsRole::Passive);
    let web = spec("web", 1, browser.leg(), rtp_leg(None));
    assert_eq!(rig.put(&web), full("ports"));
    assert!(rig.engine.by_ufrag.is_empty(), "the leg made first is taken back");
    let echo = spec("echo", 1, browser.leg(), LegSpec::Service(relay_api::Service::Echo));
    rig.put(&echo).unwrap();
    assert_eq!(rig.put(&spec("four", 1, browser.leg(), browser.leg())), full("sessions"));
    rig.delete("one");
    rig.delete("echo");
    assert_eq!(rig.put(&third), full("ports"));
    rig.after(QUARANTINE);
    rig.put(&third).unwrap();
    for id in ["two", "three", "three", "never was"] {
        rig.delete(id);
    }
    assert_eq!(rig.engine.totals(), Totals::default());
    assert!(rig.io.open.is_empty() && rig.engine.by_ufrag.is_empty() && rig.engine.by_path.is_empty());
    assert_eq!(rig.engine.poll_timeout(), None);
}

#[test]
fn a_port_that_another_process_holds_is_passed_over() {
    let mut rig = Rig::new();
    rig.io.taken = [40_000, 40_002].into();
    let description =
        rig.put(&spec("call", 1, rtp_leg(None), LegSpec::Service(relay_api::Service::Echo))).unwrap();
    assert_eq!(pair_of(&description.a).rtp, 40_004);
}

#[test]
fn a_leg_may_become_another_kind() {
    let mut rig = Rig::new();
    let (mut browser, mut spec, _) = rig.call(DtlsRole::Passive);
    spec.revision = 2;
    spec.b = LegSpec::Service(relay_api::Service::Echo);
    rig.put(&spec).unwrap();
    assert!(rig.io.open.is_empty());
    let sealed = browser.seal(&rtp(1, 0x44));
    let sent = rig.receives(MUX, browser.address, &sealed);
    assert_eq!(browser.open(&sent[0].datagram)[12..], [0x44; 160]);
}

#[test] // a Genesys ACK may carry our own SDP
fn our_own_address_is_nobodys() {
    let mut rig = Rig::new();
    let (browser, mut spec, pair) = rig.call(DtlsRole::Passive);
    spec.revision = 2;
    let own = RtpRemote { rtp: address("203.0.113.2:40000"), rtcp: address("203.0.113.2:40001") };
    assert_eq!(own.rtp.port(), pair.rtp);
    spec.b = rtp_leg(Some(own));
    rig.put(&spec).unwrap();
    assert_eq!(rig.receives(SocketId::Rtp(pair), own.rtp, &rtp(1, 0x22)), []);
    let sent = rig.after(Duration::from_secs(10));
    assert!(sent.iter().all(|sent| sent.to == browser.address));
}

fn moved() -> RtpRemote {
    RtpRemote { rtp: address("192.0.2.10:7000"), rtcp: address("192.0.2.10:7001") }
}

/// A call whose plain peer has spoken and is elsewhere from now on; the header that the browser heard last.
fn peer_moves() -> (Rig, Browser, PortPair, crate::rtp::Header) {
    let mut rig = Rig::new();
    let (mut browser, mut spec, pair) = rig.call(DtlsRole::Passive);
    let sent = rig.receives(SocketId::Rtp(pair), remote().rtp, &rtp(700, 0x22));
    let before = crate::rtp::Header::parse(&browser.open(&sent[0].datagram)).unwrap();
    rig.after(Duration::from_millis(20));
    spec.revision = 2;
    spec.b = rtp_leg(Some(moved()));
    rig.put(&spec).unwrap();
    (rig, browser, pair, before)
}

#[test] // re-anchoring: the peer hears one stream, whoever is behind it
fn a_new_plain_peer_continues_the_stream_to_the_browser() {
    let (mut rig, mut browser, pair, before) = peer_moves();
    let mut packet = rtp(9, 0x23);
    packet[8..12].copy_from_slice(&[9; 4]);
    let sent = rig.receives(SocketId::Rtp(pair), moved().rtp, &packet);
    let after = crate::rtp::Header::parse(&browser.open(&sent[0].datagram)).unwrap();
    assert_eq!((after.ssrc, after.sequence), (before.ssrc, before.sequence.wrapping_add(1)));
    assert_eq!(after.timestamp, before.timestamp.wrapping_add(160));
}

#[test] // a media server takes over another's stream, and is a little behind
fn a_plain_peer_that_moves_under_its_old_ssrc_is_heard_at_once() {
    let (mut rig, mut browser, pair, before) = peer_moves();
    for (sequence, step) in [(690, 1), (691, 2)] {
        let sent = rig.receives(SocketId::Rtp(pair), moved().rtp, &rtp(sequence, 0x23));
        let after = crate::rtp::Header::parse(&browser.open(&sent[0].datagram)).unwrap();
        assert_eq!((after.ssrc, after.sequence), (before.ssrc, before.sequence.wrapping_add(step)));
        assert_eq!(after.timestamp, before.timestamp.wrapping_add(160 * u32::from(step)));
    }
    assert_eq!(lost(rig.statistics("call").b), Some(0));
}

#[test]
fn unfetched_events_are_bounded() {
    let mut events = Events::default();
    for _ in 0..10_000 {
        events.push(&SessionId("call".to_owned()), LegName::A, EventKind::MediaTimeout);
    }
    assert_eq!(events.lost(), 10_000 - 4_096);
    assert_eq!(std::iter::from_fn(|| events.pop()).count(), 4_096);
}
