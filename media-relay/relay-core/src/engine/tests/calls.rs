//! Sound, digits, silence and reports through a connected call.

use super::*;

#[test]
fn sound_crosses_both_ways_in_both_dtls_roles() {
    for role in [DtlsRole::Active, DtlsRole::Passive] {
        let mut rig = Rig::new();
        let (mut browser, _, pair) = rig.call(role);
        let mut ours = Vec::new();
        for sequence in 0..10 {
            let sealed = browser.seal(&rtp(sequence, 0x11));
            let sent = rig.receives(MUX, browser.address, &sealed);
            assert_eq!((sent.len(), sent[0].socket, sent[0].to), (1, SocketId::Rtp(pair), remote().rtp));
            let header = crate::rtp::Header::parse(&sent[0].datagram).unwrap();
            assert_eq!(sent[0].datagram[header.payload.clone()], [0x11; 160]);
            ours.push((header.sequence, header.timestamp, header.ssrc));

            let sent = rig.receives(SocketId::Rtp(pair), remote().rtp, &rtp(sequence, 0x22));
            assert_eq!((sent.len(), sent[0].socket, sent[0].to), (1, MUX, browser.address));
            assert_eq!(browser.open(&sent[0].datagram)[12..], [0x22; 160]);
            rig.after(Duration::from_millis(20));
        }
        for (earlier, later) in ours.iter().zip(&ours[1..]) {
            assert_eq!(*later, (earlier.0.wrapping_add(1), earlier.1.wrapping_add(160), earlier.2));
        }
        assert_eq!(
            rig.events(),
            [(LegName::A, EventKind::MediaStarted), (LegName::B, EventKind::MediaStarted)]
        );
        let statistics = rig.statistics("call");
        assert_eq!((statistics.a.received.packets, statistics.a.sent.packets), (10, 10));
        assert_eq!((statistics.b.received.bytes, statistics.b.sent.bytes), (1_600, 1_600));
    }
}

#[test] // GENESYS: PT 13 that nobody negotiated must not disturb
fn an_unnegotiated_payload_type_is_dropped_and_counted() {
    let mut rig = Rig::new();
    let (_, _, pair) = rig.call(DtlsRole::Passive);
    for sequence in 0..50 {
        assert_eq!(rig.receives(SocketId::Rtp(pair), remote().rtp, &rtp_of(13, sequence, &[0x40])), []);
    }
    assert_eq!(rig.statistics("call").b.unknown_payload_type, 50);
    assert_eq!(rig.receives(SocketId::Rtp(pair), remote().rtp, &rtp(50, 1)).len(), 1);
}

#[test] // RFC 4733, both mapped and told
fn digits_are_remapped_and_told_once() {
    let mut rig = Rig::new();
    let (mut browser, _, pair) = rig.call(DtlsRole::Passive);
    let event = |sequence: u16, flags: u8, duration: u16| {
        let [high, low] = duration.to_be_bytes();
        let mut packet = rtp_of(126, sequence, &[9, flags, high, low]);
        packet[4..8].copy_from_slice(&77_u32.to_be_bytes());
        packet
    };
    for (sequence, (flags, duration)) in
        (0..).zip([(10, 160), (10, 320), (0x8A, 480), (0x8A, 480), (0x8A, 480)])
    {
        let sealed = browser.seal(&event(sequence, flags, duration));
        let sent = rig.receives(MUX, browser.address, &sealed);
        assert_eq!(sent[0].socket, SocketId::Rtp(pair));
        assert_eq!(sent[0].datagram[1] & 0x7F, 97);
    }
    let told: Vec<_> =
        rig.events().into_iter().filter(|(_, kind)| *kind != EventKind::MediaStarted).collect();
    assert_eq!(told, [(LegName::A, EventKind::Dtmf { digit: '9', duration_ms: 60 })]);
}

#[test] // SIP INFO becomes RFC 4733, and the sound waits meanwhile
fn a_digit_for_the_plain_leg_replaces_sound_while_it_lasts() {
    let mut rig = Rig::new();
    let (mut browser, spec, pair) = rig.call(DtlsRole::Passive);
    rig.engine.dtmf(&spec.id, LegName::B, '1', Duration::from_millis(60), rig.now).unwrap();
    let mut seen = Vec::new();
    for sequence in 0..20 {
        let sealed = browser.seal(&rtp(sequence, 0x11));
        seen.extend(rig.receives(MUX, browser.address, &sealed));
        seen.extend(rig.after(Duration::from_millis(20)));
    }
    let rtp: Vec<_> = seen.iter().filter(|sent| sent.socket == SocketId::Rtp(pair)).collect();
    let headers: Vec<_> = rtp.iter().map(|sent| crate::rtp::Header::parse(&sent.datagram).unwrap()).collect();
    let digits = headers.iter().filter(|header| header.payload_type == 97).count();
    assert_eq!(digits, 5); // 20, 40, 60 ms, and the end twice again
    assert!(headers.windows(2).all(|two| two[1].sequence == two[0].sequence.wrapping_add(1)));
    assert!(headers.windows(2).all(|two| two[1].timestamp.wrapping_sub(two[0].timestamp) < 8_000));
    assert_eq!(headers.first().map(|header| header.payload_type), Some(0));
    assert_eq!(headers.last().map(|header| header.payload_type), Some(0));
    let refused = rig.engine.dtmf(&spec.id, LegName::B, 'x', Duration::from_millis(60), rig.now);
    assert!(matches!(refused, Err(RelayError::Invalid { .. })));
}

#[test] // a Genesys phone hangs up after 30 s without RTP
fn a_plain_peer_hears_silence_every_20_ms_while_the_browser_is_mute() {
    let mut rig = Rig::new();
    let (mut browser, _, pair) = rig.call(DtlsRole::Passive);
    let sealed = browser.seal(&rtp(1, 0x11));
    rig.receives(MUX, browser.address, &sealed);
    let sent = rig.after(Duration::from_secs(10));
    let silence: Vec<_> = sent.iter().filter(|sent| sent.socket == SocketId::Rtp(pair)).collect();
    assert!((490..=500).contains(&silence.len()), "{}", silence.len());
    assert!(silence.iter().all(|sent| sent.datagram[12..] == [0xFF; 160]));
    let headers: Vec<_> =
        silence.iter().map(|sent| crate::rtp::Header::parse(&sent.datagram).unwrap()).collect();
    assert!(headers.windows(2).all(|two| two[1].timestamp.wrapping_sub(two[0].timestamp) == 160));
    // The sound comes back in its own time, without a gap in the numbers.
    let mut back = rtp(2, 0x11);
    back[4..8].copy_from_slice(&(160 + 80_000_u32).to_be_bytes());
    let sealed = browser.seal(&back);
    let sent = rig.receives(MUX, browser.address, &sealed);
    let last = crate::rtp::Header::parse(&silence.last().unwrap().datagram).unwrap();
    let back = crate::rtp::Header::parse(&sent[0].datagram).unwrap();
    assert_eq!(back.sequence, last.sequence.wrapping_add(1));
    assert!(back.marker && back.timestamp.wrapping_sub(last.timestamp) <= 320);
}

#[test]
fn hold_stops_the_sound_but_not_the_silence() {
    let mut rig = Rig::new();
    let (mut browser, mut spec, pair) = rig.call(DtlsRole::Passive);
    spec.revision = 2;
    for leg in [&mut spec.a, &mut spec.b] {
        match leg {
            LegSpec::WebRtc(web) => web.direction = Direction::Inactive,
            LegSpec::Rtp(rtp) => rtp.direction = Direction::Inactive,
            LegSpec::Service(_) => {}
        }
    }
    rig.put(&spec).unwrap();
    let sealed = browser.seal(&rtp(1, 0x11));
    assert_eq!(rig.receives(MUX, browser.address, &sealed), []);
    assert_eq!(rig.receives(SocketId::Rtp(pair), remote().rtp, &rtp(1, 0x22)), []);
    let sent = rig.after(Duration::from_secs(1));
    assert!(sent.iter().filter(|sent| sent.socket == SocketId::Rtp(pair)).count() >= 49);
    // On hold nobody is expected to speak.
    rig.after(2 * MEDIA_TIMEOUT);
    assert!(rig.events().iter().all(|(_, kind)| *kind != EventKind::MediaTimeout));
}

#[test]
fn a_silent_peer_is_told_of_once_and_again_after_it_spoke() {
    let mut rig = Rig::new();
    let (browser, _, pair) = rig.call(DtlsRole::Passive);
    let timeouts = |rig: &mut Rig, browser: &Browser| {
        let mut browser_check = browser.clone_for_checks();
        for _ in 0..30 {
            let check = browser_check.check(true);
            rig.receives(MUX, browser.address, &check);
            rig.after(Duration::from_secs(5));
        }
        rig.events()
            .into_iter()
            .filter(|(_, kind)| *kind == EventKind::MediaTimeout)
            .map(|(leg, _)| leg)
            .collect::<Vec<_>>()
    };
    assert_eq!(timeouts(&mut rig, &browser), [LegName::A, LegName::B]);
    rig.receives(SocketId::Rtp(pair), remote().rtp, &rtp(1, 0x22));
    assert_eq!(timeouts(&mut rig, &browser), [LegName::B]);
}

#[test]
fn a_silence_after_the_first_is_told_in_time_too() {
    let mut rig = Rig::new();
    // Below the time between two reports; and the relay has no silence in G.722 that would wake the session.
    rig.engine.config.media_timeout = Duration::from_secs(2);
    let (_, mut spec, pair) = rig.call(DtlsRole::Passive);
    spec.revision = 2;
    if let LegSpec::Rtp(leg) = &mut spec.b {
        leg.codecs = vec![codec("G722", 9, 9)];
    }
    rig.put(&spec).unwrap();
    rig.after(Duration::from_secs(3));
    rig.events();
    for sequence in 0..8 {
        rig.receives(SocketId::Rtp(pair), remote().rtp, &rtp_of(9, sequence, &[0x22; 160]));
        rig.after(Duration::from_secs(2) + GRID);
        let events = rig.events();
        assert_eq!(events.last(), Some(&(LegName::B, EventKind::MediaTimeout)), "{sequence}");
    }
}

impl Browser {
    /// The same browser as far as ICE sees.
    fn clone_for_checks(&self) -> Self {
        let mut twin = Self::new("198.51.100.7:50000", DtlsRole::Passive);
        twin.address = self.address;
        twin.relay_ufrag.clone_from(&self.relay_ufrag);
        twin.relay_key = self.relay_key.clone();
        twin.transaction = self.transaction;
        twin
    }
}

#[test] // RFC 3550 §6.4
fn reports_are_made_and_understood_on_both_legs() {
    let mut rig = Rig::new();
    let (mut browser, _, pair) = rig.call(DtlsRole::Passive);
    for sequence in 0..500 {
        if sequence % 10 != 3 {
            rig.receives(SocketId::Rtp(pair), remote().rtp, &rtp(sequence, 0x22));
            let sealed = browser.seal(&rtp(sequence, 0x11));
            rig.receives(MUX, browser.address, &sealed);
        }
        let sent = rig.after(Duration::from_millis(20));
        for report in sent.iter().filter(|sent| sent.socket == SocketId::Rtcp(pair)) {
            assert_eq!(report.to, remote().rtcp);
            let answer = answered(&report.datagram, Block::default());
            rig.after(Duration::from_millis(50));
            rig.receives(SocketId::Rtcp(pair), remote().rtcp, &answer);
        }
    }
    let statistics = rig.statistics("call");
    assert_eq!((lost(statistics.a), lost(statistics.b)), (Some(50), Some(50)));
    let round_trip = statistics.b.round_trip_ms.unwrap();
    assert!((49.0..51.5).contains(&round_trip), "{round_trip}");
    assert_eq!(statistics.a.round_trip_ms, None);
}

#[test]
fn echo_and_tone_need_no_second_peer() {
    let mut rig = Rig::new();
    let mut browser = Browser::new("198.51.100.7:50000", DtlsRole::Passive);
    let echo = spec("echo", 1, browser.leg(), LegSpec::Service(relay_api::Service::Echo));
    let description = rig.put(&echo).unwrap();
    rig.connect(&mut browser, &description.a);
    let sealed = browser.seal(&rtp(5, 0x33));
    let sent = rig.receives(MUX, browser.address, &sealed);
    assert_eq!(browser.open(&sent[0].datagram)[12..], [0x33; 160]);

    let mut rig = Rig::new();
    let mut browser = Browser::new("198.51.100.7:50000", DtlsRole::Passive);
    let tone = spec("tone", 1, LegSpec::Service(relay_api::Service::Tone), browser.leg());
    let description = rig.put(&tone).unwrap();
    rig.connect(&mut browser, &description.b);
    let sent = rig.after(Duration::from_secs(1));
    let packets: Vec<_> = sent
        .iter()
        .filter(|sent| demux::kind(&sent.datagram) == Kind::Rtp)
        .map(|sent| browser.open(&sent.datagram))
        .collect();
    assert!((49..=51).contains(&packets.len()), "{}", packets.len());
    assert!(
        packets.iter().all(|packet| packet.len() == 172 && packet[12..].iter().any(|code| *code != 0xFF))
    );
}
