//! Sound between a browser stand-in and plain RTP peers, found by its frequency.
use std::time::Duration;

use crate::browser::Browser;
use crate::peer::Peer;
use crate::sound::{Tone, is_tone};
use crate::{relay, rtp_leg, spec};
use media_relay::Relay;
use relay_api::{
    DtlsRole, EventKind, LegDescription, LegName, LegSpec, RelayError, Service, SessionDescription,
};
use tokio::time::{MissedTickBehavior, interval};
use webrtc::peer_connection::SrtpProtectionProfile;

const BROWSER: f64 = 440.0;
const TRUNK: f64 = 1_000.0;

#[tokio::test(flavor = "multi_thread")]
async fn both_hear_each_other_with_the_browser_as_dtls_client() {
    both_hear_each_other("client", Browser::new().await, DtlsRole::Passive, 24_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_hear_each_other_with_the_browser_as_dtls_server() {
    both_hear_each_other("server", Browser::new().await, DtlsRole::Active, 24_020).await;
}

#[tokio::test(flavor = "multi_thread")] // RFC 5764 §4.1.2, RFC 7714 §14.2
async fn every_srtp_profile_carries_sound_in_both_dtls_roles() {
    for profile in [
        SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm,
        SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
        SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
    ] {
        for dtls in [DtlsRole::Passive, DtlsRole::Active] {
            both_hear_each_other("profile", Browser::of_profile(profile).await, dtls, 24_080).await;
        }
    }
}

async fn both_hear_each_other(id: &str, mut browser: Browser, dtls: DtlsRole, port: u16) {
    let (relay, mut events) = relay(port..=port + 9);
    let mut peer = Peer::new().await;
    let wanted = spec(id, 1, browser.leg(dtls), rtp_leg(Some(peer.remote())));
    let description = relay.put(wanted.clone()).await.unwrap();
    browser.accept(&description.a, dtls).await;
    browser.connected().await;
    let trunk = rtp_address(&description);

    let (mut at_browser, mut at_trunk) = (0, 0);
    let (mut browser_tone, mut trunk_tone) = (Tone::new(BROWSER), Tone::new(TRUNK));
    let mut pace = pace();
    while at_browser < 50 || at_trunk < 50 {
        tokio::select! {
            _ = pace.tick() => {
                browser.say(&browser_tone.frame()).await;
                peer.send(trunk, 0, &trunk_tone.frame()).await;
            }
            heard = browser.hear() => at_browser += u32::from(is_tone(&heard.payload, TRUNK)),
            heard = peer.receive() => at_trunk += u32::from(is_tone(&heard.payload, BROWSER)),
        }
    }
    let mut started = [events.next().await.unwrap(), events.next().await.unwrap()];
    started.sort_by_key(|event| event.leg == LegName::B);
    assert!(started.iter().all(|event| event.kind == EventKind::MediaStarted));
    assert_eq!([started[0].leg, started[1].leg], [LegName::A, LegName::B]);

    let statistics = relay.statistics(&wanted.id).await.unwrap();
    assert!(statistics.a.received.packets >= 50 && statistics.a.sent.packets >= 50, "{statistics:?}");
    assert!(statistics.b.received.packets >= 50 && statistics.b.sent.packets >= 50, "{statistics:?}");
    assert_eq!((statistics.a.unauthentic, statistics.b.wrong_source), (0, 0));

    relay.delete(&wanted.id).await.unwrap();
    assert_eq!(relay.statistics(&wanted.id).await, Err(RelayError::Unknown));
    browser.close().await;
    let totals = relay.totals();
    assert_eq!((totals.sessions, totals.rtp_sockets), (0, 0));
    relay.stop().await;
    assert!(relay.put(wanted).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn echo_plays_back_what_it_hears() {
    let (relay, _events) = relay(24_040..=24_041);
    let mut browser = Browser::new().await;
    connect(&relay, &mut browser, "echo", LegSpec::Service(Service::Echo)).await;
    let (mut heard_back, mut tone, mut pace) = (0, Tone::new(BROWSER), pace());
    while heard_back < 50 {
        tokio::select! {
            _ = pace.tick() => browser.say(&tone.frame()).await,
            heard = browser.hear() => heard_back += u32::from(is_tone(&heard.payload, BROWSER)),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tone_plays_its_melody() {
    let (relay, _events) = relay(24_044..=24_045);
    let mut browser = Browser::new().await;
    connect(&relay, &mut browser, "tone", LegSpec::Service(Service::Tone)).await;
    let mut notes = [0; 3];
    while notes.iter().any(|count| *count < 5) {
        let heard = browser.hear().await;
        for (count, frequency) in notes.iter_mut().zip([659.26, 698.46, 783.99]) {
            *count += u32::from(is_tone(&heard.payload, frequency));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn digits_cross_in_both_ways() {
    let (relay, mut events) = relay(24_050..=24_059);
    let (mut browser, peer) = (Browser::new().await, Peer::new().await);
    let description = connect(&relay, &mut browser, "digits", rtp_leg(Some(peer.remote()))).await;
    relay.dtmf(&description.id, LegName::B, '5', 100).await.unwrap();
    relay.dtmf(&description.id, LegName::B, '#', 100).await.unwrap();
    let (mut ends, mut last) = (Vec::new(), None);
    while ends.len() < 6 {
        let packet = peer.receive().await;
        // The digits continue the silence's sequence without a gap.
        assert!(last.is_none_or(|last: u16| packet.sequence == last.wrapping_add(1)));
        last = Some(packet.sequence);
        if packet.payload_type == 101 && packet.payload[1] & 0x80 != 0 {
            ends.push((packet.payload[0], packet.timestamp, packet.ssrc));
        }
    }
    assert!(ends[..3].iter().all(|end| *end == (5, ends[0].1, ends[0].2)));
    assert!(ends[3..].iter().all(|end| *end == (11, ends[3].1, ends[0].2)));

    // The other way: the trunk's digit is told, and the browser gets it under its own payload type.
    let mut peer = peer;
    let trunk = rtp_address(&description);
    for flags in [10, 10, 0x8A, 0x8A, 0x8A] {
        let mut packet = peer.packet(101, &[3, flags, 1, 0x40]);
        packet[4..8].copy_from_slice(&[0, 0, 1, 0]);
        peer.rtp.send_to(&packet, trunk).await.unwrap();
    }
    let heard = browser.hear().await;
    assert_eq!((heard.payload_type, &heard.payload[..2]), (126, &[3_u8, 10][..]));
    loop {
        let event = events.next().await.unwrap();
        if let EventKind::Dtmf { digit, duration_ms } = event.kind {
            assert_eq!((event.leg, digit, duration_ms), (LegName::B, '3', 40));
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_hears_silence_when_the_browser_says_nothing() {
    let (relay, _events) = relay(24_060..=24_069);
    let (mut browser, peer) = (Browser::new().await, Peer::new().await);
    let description = connect(&relay, &mut browser, "silence", rtp_leg(Some(peer.remote()))).await;
    let mut last: Option<(u16, u32)> = None;
    for _ in 0..50 {
        let packet = peer.receive().await;
        assert_eq!((packet.payload_type, packet.payload), (0, vec![0xFF; 160]));
        let next = last.map(|(sequence, timestamp)| (sequence.wrapping_add(1), timestamp.wrapping_add(160)));
        assert!(next.is_none_or(|next| next == (packet.sequence, packet.timestamp)));
        last = Some((packet.sequence, packet.timestamp));
    }
    let statistics = relay.statistics(&description.id).await.unwrap();
    assert!(statistics.b.silence_packets >= 50);
}

pub async fn connect(relay: &Relay, browser: &mut Browser, id: &str, other: LegSpec) -> SessionDescription {
    let description = relay.put(spec(id, 1, browser.leg(DtlsRole::Passive), other)).await.unwrap();
    browser.accept(&description.a, DtlsRole::Passive).await;
    browser.connected().await;
    description
}

pub fn rtp_address(description: &SessionDescription) -> std::net::SocketAddr {
    match description.b {
        LegDescription::Rtp { rtp, .. } => rtp,
        LegDescription::WebRtc { .. } | LegDescription::Service => panic!("not a plain leg"),
    }
}

/// Faster than real time: what is heard is counted, not timed.
pub fn pace() -> tokio::time::Interval {
    let mut pace = interval(Duration::from_millis(5));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pace
}
