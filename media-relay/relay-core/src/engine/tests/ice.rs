//! ICE-lite through the engine: RFC 8445 §7.3, consent RFC 7675, restart §9.

use super::*;
use crate::ice::CONSENT;

/// A check's answer went to its source and is a success.
fn is_success(sent: &[Sent], to: SocketAddr) -> bool {
    sent.iter().any(|sent| sent.to == to && sent.datagram[..2] == [1, 1])
}

#[test]
fn what_does_not_authenticate_gets_no_answer() {
    let mut rig = Rig::new();
    let mut browser = Browser::new("198.51.100.7:50000", DtlsRole::Passive);
    let description = rig.put(&spec("call", 1, browser.leg(), rtp_leg(Some(remote())))).unwrap();
    browser.learn(&description.a);
    let right = (browser.relay_ufrag.clone(), browser.relay_key.clone(), browser.ufrag.clone());
    for (relay_ufrag, relay_key, ufrag) in [
        ("unknown".to_owned(), right.1.clone(), right.2.clone()),
        (right.0.clone(), Key::new("not the password, by far"), right.2.clone()),
        (right.0.clone(), right.1.clone(), "othr".to_owned()),
        (right.0.clone(), right.1.clone(), String::new()),
        (String::new(), right.1.clone(), right.2.clone()),
    ] {
        (browser.relay_ufrag, browser.relay_key, browser.ufrag) = (relay_ufrag, relay_key, ufrag);
        let check = browser.check(true);
        assert_eq!(rig.receives(MUX, browser.address, &check), []);
    }
    (browser.relay_ufrag, browser.relay_key, browser.ufrag) = right;
    let mut check = browser.check(true);
    *check.last_mut().unwrap() ^= 1;
    assert_eq!(rig.receives(MUX, browser.address, &check), []);
    assert_eq!(rig.engine.totals().paths, 0);
    let check = browser.check(true);
    assert!(is_success(&rig.receives(MUX, browser.address, &check), browser.address));
}

#[test] // RFC 8445 §7.3.1.1
fn a_peer_that_thinks_it_is_controlled_is_told_otherwise() {
    let mut rig = Rig::new();
    let mut browser = Browser::new("198.51.100.7:50000", DtlsRole::Passive);
    let description = rig.put(&spec("call", 1, browser.leg(), rtp_leg(Some(remote())))).unwrap();
    browser.learn(&description.a);
    let check = browser.check_with(false, false);
    let sent = rig.receives(MUX, browser.address, &check);
    assert_eq!(sent[0].datagram[..2], [0x01, 0x11]);
    assert_eq!(rig.engine.totals().paths, 0);
}

#[test]
fn sound_follows_the_nominated_path() {
    let mut rig = Rig::new();
    let (mut browser, _, pair) = rig.call(DtlsRole::Passive);
    let (old, new) = (browser.address, address("198.51.100.8:50001"));
    let check = browser.check(false);
    assert!(is_success(&rig.receives(MUX, new, &check), new));
    let sent = rig.receives(SocketId::Rtp(pair), remote().rtp, &rtp(1, 0x22));
    assert_eq!(sent[0].to, old, "valid, but not nominated");
    let check = browser.check(true);
    rig.receives(MUX, new, &check);
    let sent = rig.receives(SocketId::Rtp(pair), remote().rtp, &rtp(2, 0x22));
    assert_eq!(sent[0].to, new);
    // Both addresses were validated, so that the browser may still send from either.
    for (sequence, from) in [(1, old), (2, new)] {
        let sealed = browser.seal(&rtp(sequence, 0x11));
        assert_eq!(rig.receives(MUX, from, &sealed).len(), 1);
    }
}

#[test]
fn an_overheard_check_leads_the_sound_nowhere_else() {
    let mut rig = Rig::new();
    let (mut browser, _, pair) = rig.call(DtlsRole::Passive);
    let check = browser.check(true);
    assert!(is_success(&rig.receives(MUX, browser.address, &check), browser.address));
    // More often than a browser's checks are answered: they cost it nothing.
    for port in 1..=200 {
        let stranger = SocketAddr::from(([203, 0, 113, 66], port));
        assert_eq!(rig.receives(MUX, stranger, &check), []);
    }
    rig.after(Duration::from_secs(9));
    assert_eq!(rig.receives(MUX, address("203.0.113.66:1"), &check), [], "nor when the path is old");
    assert_eq!(rig.engine.totals().paths, 1);
    let sent = rig.receives(SocketId::Rtp(pair), remote().rtp, &rtp(1, 0x22));
    assert_eq!(sent[0].to, browser.address);
    let repeated = rig.receives(MUX, browser.address, &check);
    assert!(is_success(&repeated, browser.address), "its answer was lost");
    let (moved, check) = (address("198.51.100.8:50001"), browser.check(true));
    assert!(is_success(&rig.receives(MUX, moved, &check), moved));
}

#[test] // RFC 7675 §5.1: consent is renewed by the browser alone
fn an_overheard_check_renews_no_consent_and_chooses_no_path() {
    let mut rig = Rig::new();
    let (mut browser, _, pair) = rig.call(DtlsRole::Passive);
    let (old, new) = (browser.address, address("198.51.100.8:50001"));
    let nominates_old = browser.check(true);
    rig.receives(MUX, old, &nominates_old);
    let nominates_new = browser.check(true);
    rig.receives(MUX, new, &nominates_new);
    // Sent by somebody else, under the browser's addresses.
    rig.after(Duration::from_secs(5));
    assert!(is_success(&rig.receives(MUX, old, &nominates_old), old));
    let sent = rig.receives(SocketId::Rtp(pair), remote().rtp, &rtp(1, 0x22));
    assert_eq!(sent[0].to, new);
    for _ in 0..3 {
        rig.after(Duration::from_secs(8));
        assert!(is_success(&rig.receives(MUX, new, &nominates_new), new));
    }
    rig.after(CONSENT - Duration::from_secs(28));
    assert_eq!(rig.engine.totals().failures.of(Failure::Consent), 1);
}

#[test]
fn a_browser_that_moved_without_nominating_is_followed() {
    let mut rig = Rig::new();
    let (mut browser, _, pair) = rig.call(DtlsRole::Passive);
    let new = address("198.51.100.8:50001");
    rig.after(Duration::from_secs(9));
    let check = browser.check(false);
    rig.receives(MUX, new, &check);
    let sent = rig.receives(SocketId::Rtp(pair), remote().rtp, &rtp(1, 0x22));
    assert_eq!(sent[0].to, new);
}

#[test] // RFC 7675 §5.1
fn lost_consent_is_told_once_and_may_come_back() {
    let mut rig = Rig::new();
    let (mut browser, ..) = rig.call(DtlsRole::Passive);
    rig.after(CONSENT - Duration::from_secs(1));
    assert_eq!(rig.events(), []);
    rig.after(Duration::from_secs(20));
    assert_eq!(failures(&mut rig), 1);
    let check = browser.check(true);
    rig.receives(MUX, browser.address, &check);
    rig.after(CONSENT / 2);
    assert_eq!(failures(&mut rig), 0);
    rig.after(CONSENT);
    assert_eq!(failures(&mut rig), 1);
    assert_eq!(rig.engine.totals().failures.of(Failure::Consent), 2);
}

#[test] // RFC 7675 §5.1
fn nothing_is_sent_after_consent_expired_until_the_browser_checks_again() {
    let mut rig = Rig::new();
    let (mut browser, _, pair) = rig.call(DtlsRole::Passive);
    let to_browser = |sent: Vec<Sent>| sent.iter().filter(|sent| sent.socket == MUX).count();
    assert_eq!(to_browser(rig.receives(SocketId::Rtp(pair), remote().rtp, &rtp(1, 0x22))), 1);
    rig.after(CONSENT + GRID);
    rig.events();
    for sequence in 2..100 {
        assert_eq!(rig.receives(SocketId::Rtp(pair), remote().rtp, &rtp(sequence, 0x22)), []);
        assert_eq!(to_browser(rig.after(Duration::from_millis(200))), 0, "a report or digits of ours");
    }
    // What the browser says meanwhile is heard: consent is for what we send.
    let sealed = browser.seal(&rtp(1, 0x11));
    assert_eq!(rig.receives(MUX, browser.address, &sealed).len(), 1);
    let check = browser.check(true);
    assert!(is_success(&rig.receives(MUX, browser.address, &check), browser.address));
    let sent = rig.receives(SocketId::Rtp(pair), remote().rtp, &rtp(100, 0x22));
    assert_eq!((sent.len(), sent[0].to), (1, browser.address));
    assert_eq!(browser.open(&sent[0].datagram)[12..], [0x22; 160]);
}

#[test] // RFC 7675 §5.1: a new offer is no sign of the browser's life on its old path
fn an_ice_restart_alone_brings_no_consent_back() {
    let mut rig = Rig::new();
    let (mut browser, mut spec, pair) = rig.call(DtlsRole::Passive);
    rig.after(CONSENT + GRID);
    let description = restarts(&mut rig, &mut browser, &mut spec);
    assert_eq!(rig.receives(SocketId::Rtp(pair), remote().rtp, &rtp(1, 0x22)), []);
    browser.learn(&description);
    let check = browser.check(true);
    rig.receives(MUX, browser.address, &check);
    assert_eq!(rig.receives(SocketId::Rtp(pair), remote().rtp, &rtp(2, 0x22)).len(), 1);
}

/// The browser's page offers new ICE credentials; nothing of ICE arrives, and the relay's answer is not used either.
fn restarts(rig: &mut Rig, browser: &mut Browser, spec: &mut SessionSpec) -> LegDescription {
    spec.revision += 1;
    browser.ufrag = format!("new{}", spec.revision);
    browser.password = format!("password-{}-of-the-browser's-page", spec.revision);
    spec.a = browser.leg();
    rig.put(spec).unwrap().a
}

/// How often the end of a transport was told.
fn failures(rig: &mut Rig) -> usize {
    let events = rig.events();
    events.iter().filter(|(_, kind)| matches!(kind, EventKind::TransportFailed { .. })).count()
}

#[test] // RFC 7675 §5.1, RFC 8445 §9
fn a_restart_gives_a_call_thirty_seconds_to_be_mended_in_which_nothing_is_sent_without_consent() {
    let mut rig = Rig::new();
    let (mut browser, mut spec, pair) = rig.call(DtlsRole::Passive);
    rig.after(Duration::from_secs(20));
    let description = restarts(&mut rig, &mut browser, &mut spec);
    rig.after(CONSENT - Duration::from_secs(21));
    assert_eq!(rig.receives(SocketId::Rtp(pair), remote().rtp, &rtp(1, 0x22)).len(), 1, "consent is left");
    rig.after(Duration::from_secs(15));
    for sequence in 2..50 {
        assert_eq!(rig.receives(SocketId::Rtp(pair), remote().rtp, &rtp(sequence, 0x22)), []);
        assert!(rig.after(Duration::from_millis(20)).iter().all(|sent| sent.socket != MUX));
    }
    assert_eq!(failures(&mut rig), 0);
    browser.learn(&description);
    let check = browser.check(true);
    assert!(is_success(&rig.receives(MUX, browser.address, &check), browser.address));
    let sent = rig.receives(SocketId::Rtp(pair), remote().rtp, &rtp(50, 0x22));
    assert_eq!(browser.open(&sent[0].datagram)[12..], [0x22; 160], "the same association");
    rig.after(CONSENT - Duration::from_secs(1));
    assert_eq!(failures(&mut rig), 0);
    rig.after(Duration::from_secs(2));
    assert_eq!(failures(&mut rig), 1, "the time of the restart is not added to that of a check");
}

#[test] // RFC 7675 §5.1
fn a_restart_without_a_check_ends_the_call_thirty_seconds_after_it() {
    let mut rig = Rig::new();
    let (mut browser, mut spec, _) = rig.call(DtlsRole::Passive);
    rig.after(Duration::from_secs(10));
    restarts(&mut rig, &mut browser, &mut spec);
    rig.after(CONSENT - Duration::from_secs(1));
    assert_eq!(failures(&mut rig), 0);
    rig.after(Duration::from_secs(2));
    assert_eq!(failures(&mut rig), 1);
    assert_eq!(rig.engine.totals().failures.of(Failure::Consent), 1);
}

#[test]
fn a_page_that_restarts_for_ever_and_is_never_heard_loses_its_call_a_minute_after_the_last_check() {
    let mut rig = Rig::new();
    let (mut browser, mut spec, _) = rig.call(DtlsRole::Passive);
    for _ in 0..11 {
        rig.after(Duration::from_secs(5));
        restarts(&mut rig, &mut browser, &mut spec);
    }
    rig.after(Duration::from_secs(4));
    assert_eq!(failures(&mut rig), 0);
    rig.after(Duration::from_secs(2));
    assert_eq!(failures(&mut rig), 1);
    for _ in 0..30 {
        restarts(&mut rig, &mut browser, &mut spec);
        rig.after(Duration::from_secs(5));
    }
    assert_eq!(failures(&mut rig), 0, "told once");
    assert_eq!(rig.engine.totals().failures.of(Failure::Consent), 1);
}

#[test]
fn a_page_that_never_connects_is_given_no_more_than_a_minute_by_its_restarts() {
    let mut rig = Rig::new();
    let mut browser = Browser::new("198.51.100.7:50000", DtlsRole::Passive);
    let mut spec = spec("call", 1, browser.leg(), rtp_leg(Some(remote())));
    rig.put(&spec).unwrap();
    for _ in 0..11 {
        rig.after(Duration::from_secs(5));
        restarts(&mut rig, &mut browser, &mut spec);
    }
    rig.after(Duration::from_secs(4));
    assert_eq!(failures(&mut rig), 0);
    rig.after(Duration::from_secs(2));
    assert_eq!(failures(&mut rig), 1);
    assert_eq!(rig.engine.totals().failures.of(Failure::Unreachable), 1);
}

#[test] // RFC 8445 §9: a restart is new credentials and nothing else
fn an_offer_without_new_credentials_gives_no_new_time_nor_does_a_new_certificate() {
    let mut rig = Rig::new();
    let (mut browser, mut spec, _) = rig.call(DtlsRole::Passive);
    for (seconds, is_renewed) in [(10, false), (10, true), (9, false)] {
        rig.after(Duration::from_secs(seconds));
        if is_renewed {
            browser.identity = DimplIdentity::generate().unwrap();
        }
        spec.revision += 1;
        spec.a = browser.leg();
        rig.put(&spec).unwrap();
    }
    assert_eq!(failures(&mut rig), 0);
    rig.after(Duration::from_secs(2));
    assert_eq!(failures(&mut rig), 1);
    assert_eq!(rig.engine.totals().failures.of(Failure::Consent), 1);
}

#[test]
fn a_browser_that_never_connects_is_told_of_once_both_sides_are_known() {
    let mut rig = Rig::new();
    let browser = Browser::new("198.51.100.7:50000", DtlsRole::Passive);
    rig.put(&spec("call", 1, browser.leg(), rtp_leg(None))).unwrap();
    rig.after(Duration::from_secs(300)); // it rings
    assert_eq!(rig.events(), []);
    rig.put(&spec("call", 2, browser.leg(), rtp_leg(Some(remote())))).unwrap();
    rig.after(CONSENT + Duration::from_secs(1));
    assert!(matches!(rig.events()[..], [(LegName::A, EventKind::TransportFailed { .. })]));
    assert_eq!(rig.engine.totals().failures.of(Failure::Unreachable), 1);
}

#[test] // RFC 8445 §9: the old path carries the sound until the new credentials are checked
fn an_ice_restart_changes_both_halves_without_a_gap() {
    let mut rig = Rig::new();
    let (mut browser, mut spec, pair) = rig.call(DtlsRole::Passive);
    let old_ufrag = browser.relay_ufrag.clone();
    let description = restarts(&mut rig, &mut browser, &mut spec);
    let sent = rig.receives(SocketId::Rtp(pair), remote().rtp, &rtp(1, 0x22));
    assert_eq!(sent[0].to, browser.address);

    let new = address("198.51.100.8:50001");
    browser.learn(&description);
    assert_ne!(browser.relay_ufrag, old_ufrag);
    let check = browser.check(true);
    assert!(is_success(&rig.receives(MUX, new, &check), new));
    let sent = rig.receives(SocketId::Rtp(pair), remote().rtp, &rtp(2, 0x22));
    assert_eq!(sent[0].to, new);
    // Same association, same keys.
    assert_eq!(browser.open(&sent[0].datagram)[12..], [0x22; 160]);
    // The old credentials are gone, and the old address with them.
    assert_eq!(rig.engine.totals().paths, 1);
    let sealed = browser.seal(&rtp(1, 0x11));
    assert_eq!(rig.receives(MUX, browser.address, &sealed), []);
}

#[test]
fn checks_beyond_a_browsers_pace_are_not_answered() {
    let mut rig = Rig::new();
    let (mut browser, ..) = rig.call(DtlsRole::Passive);
    let answered = (0..200)
        .filter(|_| {
            browser.transaction = 0;
            let check = browser.check(true);
            !rig.receives(MUX, browser.address, &check).is_empty()
        })
        .count();
    assert!((90..=100).contains(&answered), "{answered}");
    rig.after(Duration::from_secs(1));
    let check = browser.check(true);
    assert!(is_success(&rig.receives(MUX, browser.address, &check), browser.address));
}

#[test]
fn only_so_many_paths_are_kept() {
    let mut rig = Rig::new();
    let (mut browser, ..) = rig.call(DtlsRole::Passive);
    for port in 1..=50 {
        let check = browser.check(false);
        rig.receives(MUX, SocketAddr::new(browser.address.ip(), port), &check);
    }
    assert_eq!(rig.engine.totals().paths, 8);
    let sealed = browser.seal(&rtp(1, 0x11));
    assert_eq!(rig.receives(MUX, browser.address, &sealed).len(), 1, "the selected path stays");
}
