//! Offer/answer as a leg sees it: what peers send, and what we say to it.

use relay_api::{Direction, DtlsRole};
use sip_core::sdp::{
    CodecName, Negotiation, Profile, RemoteAudio, SdpError, Setup, State, join, offered, select,
};

use crate::input::{plain, webrtc};
use crate::support::*;

#[test] // RFC 8829 §5.3: the answer to a browser
fn chromium_calls_and_gets_an_ice_lite_answer() {
    let mut leg = Negotiation::new(Profile::WebRtc, 7);
    let offer = leg.receive_offer(&crlf(CHROMIUM)).unwrap();

    assert_eq!(
        summary(&offer),
        "opus/48000/2@111 red/48000/2@63 G722/8000@9 PCMU/8000@0 PCMA/8000@8 CN/8000@13 \
         telephone-event/48000@110 telephone-event/8000@126"
    );
    assert_eq!(offer.direction, Direction::SendRecv);
    assert_eq!((offer.setup, offer.dtls_role()), (Some(Setup::ActPass), DtlsRole::Passive));
    let remote = offer.webrtc_remote().unwrap();
    assert_eq!((remote.ufrag.as_str(), remote.password.as_str()), ("sS3c", "7Ptq1cQ8yM2cVv0xkJ0oGm5R"));
    assert_eq!(remote.fingerprints.len(), 1);
    assert!(!offer.held && !offer.rejected && !offer.echoed && offer.rtp.is_none());

    let formats = select(&offer.formats, &CodecName::ALL);
    insta::assert_snapshot!(leg.answer(&webrtc(formats)), @r"
    v=0
    o=- 7 1 IN IP4 0.0.0.0
    s=-
    t=0 0
    a=group:BUNDLE 0
    a=ice-lite
    m=audio 40000 UDP/TLS/RTP/SAVPF 111 9 0 8 110 126
    c=IN IP4 203.0.113.1
    a=mid:0
    a=rtpmap:111 opus/48000/2
    a=fmtp:111 minptime=10;useinbandfec=1
    a=rtpmap:9 G722/8000
    a=rtpmap:0 PCMU/8000
    a=rtpmap:8 PCMA/8000
    a=rtpmap:110 telephone-event/48000
    a=rtpmap:126 telephone-event/8000
    a=ptime:20
    a=sendrecv
    a=msid:gateway audio
    a=rtcp-mux
    a=ice-ufrag:relay001
    a=ice-pwd:0123456789abcdefABCDEF+/
    a=fingerprint:sha-256 0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A
    a=setup:passive
    a=candidate:1 1 udp 2130706431 203.0.113.1 40000 typ host
    a=candidate:2 1 udp 2130706175 2001:db8::1 40000 typ host
    a=end-of-candidates
    ");
    assert_eq!(leg.state(), State::Stable);
}

#[test] // RFC 3264 §6: every stream is answered; RFC 9143 §7.3.3: a refused one leaves the group
fn video_and_data_are_refused_and_leave_the_bundle() {
    let mut leg = Negotiation::new(Profile::WebRtc, 7);
    let offer = leg.receive_offer(&crlf(CHROMIUM_VIDEO)).unwrap();
    assert!(!offer.held, "0.0.0.0 and port 9 are a browser's way to say that candidates follow");
    let answer = leg.answer(&webrtc(select(&offer.formats, &[CodecName::Opus])));
    insta::assert_snapshot!(answer, @r"
    v=0
    o=- 7 1 IN IP4 0.0.0.0
    s=-
    t=0 0
    a=group:BUNDLE 0
    a=ice-lite
    m=audio 40000 UDP/TLS/RTP/SAVPF 111
    c=IN IP4 203.0.113.1
    a=mid:0
    a=rtpmap:111 opus/48000/2
    a=fmtp:111 minptime=10;useinbandfec=1
    a=ptime:20
    a=sendrecv
    a=msid:gateway audio
    a=rtcp-mux
    a=ice-ufrag:relay001
    a=ice-pwd:0123456789abcdefABCDEF+/
    a=fingerprint:sha-256 0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A
    a=setup:passive
    a=candidate:1 1 udp 2130706431 203.0.113.1 40000 typ host
    a=candidate:2 1 udp 2130706175 2001:db8::1 40000 typ host
    a=end-of-candidates
    m=video 0 UDP/TLS/RTP/SAVPF 96
    c=IN IP4 0.0.0.0
    a=mid:1
    m=application 0 UDP/DTLS/SCTP webrtc-datachannel
    c=IN IP4 0.0.0.0
    a=mid:2
    ");

    // Our own later offer keeps the three lines (RFC 3264 §8).
    let offer = leg.offer(&webrtc(offered(&[CodecName::Opus])));
    assert_eq!(m_lines(&offer), ["audio 40000", "video 0", "application 0"]);
    assert_eq!(attribute(&offer, "setup"), ["actpass"]);
}

#[test] // Firefox: fingerprint at session level, fmtp before rtpmap, a channel count on mono codecs
fn firefox_calls() {
    let mut leg = Negotiation::new(Profile::WebRtc, 7);
    let offer = leg.receive_offer(&crlf(FIREFOX)).unwrap();
    assert_eq!(
        summary(&offer),
        "opus/48000/2@109 G722/8000@9 PCMU/8000@0 PCMA/8000@8 telephone-event/8000@101"
    );
    assert_eq!(offer.formats[0].fmtp.as_deref(), Some("maxplaybackrate=48000;stereo=1;useinbandfec=1"));
    assert_eq!(offer.fingerprints[0].algorithm, "sha-256");
    assert_eq!(offer.ice.unwrap().ufrag, "dd5e7b6a");
}

#[test] // RFC 8829 §5.2.1, max-bundle: one group, one mid, rtcp-mux
fn a_browser_is_called() {
    let mut leg = Negotiation::new(Profile::WebRtc, 9);
    let formats = offered(&[CodecName::Opus, CodecName::Pcmu, CodecName::TelephoneEvent]);
    insta::assert_snapshot!(leg.offer(&webrtc(formats.clone())), @r"
    v=0
    o=- 9 1 IN IP4 0.0.0.0
    s=-
    t=0 0
    a=group:BUNDLE 0
    a=ice-lite
    m=audio 40000 UDP/TLS/RTP/SAVPF 111 0 101 110
    c=IN IP4 203.0.113.1
    a=mid:0
    a=rtpmap:111 opus/48000/2
    a=fmtp:111 minptime=10;useinbandfec=1
    a=rtpmap:0 PCMU/8000
    a=rtpmap:101 telephone-event/8000
    a=fmtp:101 0-15
    a=rtpmap:110 telephone-event/48000
    a=fmtp:110 0-15
    a=ptime:20
    a=sendrecv
    a=msid:gateway audio
    a=rtcp-mux
    a=ice-ufrag:relay001
    a=ice-pwd:0123456789abcdefABCDEF+/
    a=fingerprint:sha-256 0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A:0A
    a=setup:actpass
    a=candidate:1 1 udp 2130706431 203.0.113.1 40000 typ host
    a=candidate:2 1 udp 2130706175 2001:db8::1 40000 typ host
    a=end-of-candidates
    ");
    assert_eq!(leg.state(), State::LocalOffer);

    let answer = leg.receive_answer(&crlf(CHROMIUM_ANSWER)).unwrap();
    assert_eq!(summary(&answer), "PCMU/8000@0 telephone-event/8000@101");
    assert_eq!(answer.dtls_role(), DtlsRole::Passive);
    let codecs = join(&formats, &answer.formats);
    assert_eq!(
        codecs.iter().map(|codec| (codec.receive, codec.send)).collect::<Vec<_>>(),
        [(0, 0), (101, 101)]
    );
}

#[test]
fn a_trunk_is_called_with_plain_rtp_alone() {
    let mut leg = Negotiation::new(Profile::PlainRtp, 5);
    let offer = leg.offer(&plain(offered(&[CodecName::Pcmu, CodecName::Pcma, CodecName::TelephoneEvent])));
    insta::assert_snapshot!(offer, @r"
    v=0
    o=- 5 1 IN IP4 192.0.2.1
    s=-
    t=0 0
    m=audio 30000 RTP/AVP 0 8 101
    c=IN IP4 192.0.2.1
    a=rtpmap:0 PCMU/8000
    a=rtpmap:8 PCMA/8000
    a=rtpmap:101 telephone-event/8000
    a=fmtp:101 0-15
    a=ptime:20
    a=sendrecv
    ");

    let answer = leg.receive_answer(&crlf(SIPP)).unwrap();
    assert_eq!(answer.rtp_remote(None).unwrap().rtp, "127.0.0.1:6000".parse().unwrap());
    assert_eq!(answer.rtp_remote(None).unwrap().rtcp, "127.0.0.1:6001".parse().unwrap());
    assert_eq!(summary(&answer), "PCMU/8000@0");
}

#[test] // RFC 3551 table 4: 0, 8, 13 and 18 need no rtpmap
fn a_genesys_server_writes_names_in_lower_case_and_leaves_some_out() {
    let mut leg = Negotiation::new(Profile::PlainRtp, 5);
    let offer = leg.receive_offer(&crlf(GENESYS)).unwrap();
    assert_eq!(summary(&offer), "PCMU/8000@0 PCMA/8000@8 G729/8000@18 telephone-event/8000@101 CN/8000@13");
    assert_eq!(offer.ptime, Some(20));
    let allowed = [CodecName::Pcma, CodecName::Pcmu, CodecName::TelephoneEvent];
    insta::assert_snapshot!(leg.answer(&plain(select(&offer.formats, &allowed))), @r"
    v=0
    o=- 5 1 IN IP4 192.0.2.1
    s=-
    t=0 0
    m=audio 30000 RTP/AVP 0 8 101
    c=IN IP4 192.0.2.1
    a=rtpmap:0 PCMU/8000
    a=rtpmap:8 PCMA/8000
    a=rtpmap:101 telephone-event/8000
    a=fmtp:101 0-15
    a=ptime:20
    a=sendrecv
    ");
}

#[test] // RFC 3264 §8: the o= line
fn the_version_rises_with_the_text_and_only_with_it() {
    let mut leg = Negotiation::new(Profile::PlainRtp, 5);
    leg.receive_offer(&crlf(GENESYS)).unwrap();
    let first = leg.answer(&plain(offered(&[CodecName::Pcmu])));
    assert_eq!(origin(&first), "- 5 1 IN IP4 192.0.2.1");

    leg.receive_offer(&crlf(GENESYS)).unwrap();
    assert_eq!(leg.answer(&plain(offered(&[CodecName::Pcmu]))), first);

    // Ladder L1: the re-INVITE without SDP gets the full list.
    let full = leg.offer(&plain(offered(&[CodecName::Pcmu, CodecName::Pcma])));
    assert_eq!(origin(&full), "- 5 2 IN IP4 192.0.2.1");
    assert_eq!(leg.current_local(), Some(full.as_str()));
    leg.receive_answer(&crlf(GENESYS)).unwrap();

    // Another relay: the session stays the same one.
    let mut moved = plain(offered(&[CodecName::Pcmu, CodecName::Pcma]));
    moved.description = rtp("198.51.100.99:31000", "198.51.100.99:31001");
    let moved = leg.offer(&moved);
    assert_eq!(origin(&moved), "- 5 3 IN IP4 192.0.2.1");
    assert!(moved.contains("c=IN IP4 198.51.100.99\r\n"));
}

#[test] // RFC 3261 §14.1: a refused re-INVITE leaves the session as it was
fn a_refused_offer_is_rolled_back_and_its_version_is_not_used_again() {
    let mut leg = stable_plain_leg();
    let agreed = leg.current_local().unwrap().to_owned();
    let refused = leg.offer(&LocalAudioBuilder::plain().direction(Direction::SendOnly).build());
    assert!(origin(&refused).starts_with("- 5 2 "));
    leg.rollback();
    assert_eq!((leg.state(), leg.current_local()), (State::Stable, Some(agreed.as_str())));
    assert!(origin(&leg.offer(&LocalAudioBuilder::plain().build())).starts_with("- 5 3 "));
    leg.rollback();
    leg.rollback();
    assert_eq!(leg.state(), State::Stable);

    let mut fresh = Negotiation::new(Profile::PlainRtp, 5);
    fresh.offer(&LocalAudioBuilder::plain().build());
    fresh.rollback();
    assert_eq!((fresh.state(), fresh.current_local()), (State::Idle, None));
}

#[test] // RFC 3261 §14.2
fn two_offers_at_once_are_a_glare() {
    let mut leg = stable_plain_leg();
    leg.offer(&LocalAudioBuilder::plain().build());
    assert_eq!(leg.receive_offer(&crlf(GENESYS)), Err(SdpError::Glare));
    assert_eq!(leg.state(), State::LocalOffer);
    leg.rollback();
    assert!(leg.receive_offer(&crlf(GENESYS)).is_ok());
}

#[test] // a 183 and a 200 of another fork both answer our one offer
fn a_second_answer_replaces_the_first() {
    let mut leg = Negotiation::new(Profile::PlainRtp, 5);
    assert_eq!(leg.receive_answer(&crlf(SIPP)), Err(SdpError::NoOffer));
    leg.offer(&LocalAudioBuilder::plain().build());
    leg.receive_answer(&crlf(SIPP)).unwrap();
    let other = leg.receive_answer(&crlf(GENESYS)).unwrap();
    assert_eq!(other.rtp, Some("198.51.100.20:11542".parse().unwrap()));

    leg.receive_offer(&crlf(SIPP)).unwrap();
    assert_eq!(leg.receive_answer(&crlf(SIPP)), Err(SdpError::NoOffer));
    leg.answer(&LocalAudioBuilder::plain().build());
    assert_eq!(leg.receive_answer(&crlf(SIPP)), Err(SdpError::NoOffer), "the last offer was the peer's");
}

#[test] // RFC 3264 §8.4
fn holds() {
    for (change, direction, held) in [
        ("a=sendonly", Direction::SendOnly, true),
        ("a=inactive", Direction::Inactive, true),
        ("a=recvonly", Direction::RecvOnly, false),
        ("a=sendrecv", Direction::SendRecv, false),
        ("c=IN IP4 0.0.0.0", Direction::SendOnly, true),
        ("a=recvonly\r\nc=IN IP4 0.0.0.0", Direction::Inactive, true),
        ("c=IN IP6 ::", Direction::SendOnly, true),
    ] {
        let mut leg = Negotiation::new(Profile::PlainRtp, 5);
        let offer = leg.receive_offer(&plus(SIPP, change)).unwrap();
        assert_eq!((offer.direction, offer.held), (direction, held), "{change}");
        assert_eq!(offer.rtp.is_none(), change.contains("c="), "{change}");
        // RFC 3264 §6.1: no answer wants more than the offer gives.
        let answer = leg.answer(&LocalAudioBuilder::plain().build());
        assert!(answer.contains(&format!("a={}\r\n", name(direction.reversed()))), "{change}: {answer}");
    }
}

#[test] // RFC 3264 §6.1: our own hold is kept whatever the offer says
fn an_answer_is_never_wider_than_we_want() {
    let mut leg = Negotiation::new(Profile::PlainRtp, 5);
    leg.receive_offer(&crlf(SIPP)).unwrap();
    let local = LocalAudioBuilder::plain().direction(Direction::SendOnly).build();
    assert!(leg.answer(&local).contains("a=sendonly\r\n"));
}

#[test]
fn a_session_level_direction_is_the_default() {
    let held = SIPP.replace("t=0 0\n", "t=0 0\na=inactive\n");
    let mut leg = Negotiation::new(Profile::PlainRtp, 5);
    assert_eq!(leg.receive_offer(&crlf(&held)).unwrap().direction, Direction::Inactive);
    assert_eq!(leg.receive_offer(&plus(&held, "a=sendonly")).unwrap().direction, Direction::SendOnly);
}

#[test] // RFC 3605 and RFC 5761
fn rtcp_lies_where_the_peer_says() {
    for (line, rtcp) in [
        ("a=rtcp:7001", "127.0.0.1:7001"),
        ("a=rtcp:7001 IN IP4 127.0.0.9", "127.0.0.9:7001"),
        ("a=rtcp:7001 IN IP6 ::1", "[::1]:7001"),
        ("a=rtcp-mux", "127.0.0.1:6001"),
        ("a=rtcp-mux\r\na=rtcp:7001", "127.0.0.1:7001"),
        ("a=x-nothing", "127.0.0.1:6001"),
    ] {
        let offer = Negotiation::new(Profile::PlainRtp, 5).receive_offer(&plus(SIPP, line)).unwrap();
        assert_eq!(offer.rtcp, Some(rtcp.parse().unwrap()), "{line}");
    }
}

#[test] // RFC 5761 §5.1.1: an offer alone agrees on nothing, nor does an answer to what was not offered
fn one_port_for_rtp_and_rtcp_is_agreed_by_both_or_not_at_all() {
    let apart = LocalAudioBuilder::plain().build();
    let mut muxed = apart.clone();
    muxed.description = rtp("192.0.2.1:30000", "192.0.2.1:30000");
    for (ours, theirs, port) in
        [(&apart, "a=rtcp-mux", 6001), (&muxed, "a=rtcp-mux", 6000), (&muxed, "a=x-nothing", 6001)]
    {
        let mut leg = Negotiation::new(Profile::PlainRtp, 5);
        let offer = leg.receive_offer(&plus(SIPP, theirs)).unwrap();
        let answer = leg.answer(ours);
        let remote = offer.rtp_remote(Some(&ours.description)).unwrap();
        assert_eq!(answer.contains("a=rtcp-mux"), port == 6000, "{answer}");
        assert_eq!((remote.rtp.port(), remote.rtcp.port()), (6000, port), "offered {theirs}");

        let mut leg = Negotiation::new(Profile::PlainRtp, 5);
        assert_eq!(leg.offer(ours).contains("a=rtcp-mux"), ours.description == muxed.description);
        let answer = leg.receive_answer(&plus(SIPP, theirs)).unwrap();
        let remote = answer.rtp_remote(Some(&ours.description)).unwrap();
        assert_eq!((remote.rtp.port(), remote.rtcp.port()), (6000, port), "answered {theirs}");
    }
}

#[test]
fn our_rtcp_is_told_when_it_is_not_the_next_port() {
    let mut odd = LocalAudioBuilder::plain().build();
    odd.description = rtp("192.0.2.1:30000", "192.0.2.1:30007");
    let mut muxed = odd.clone();
    muxed.description = rtp("192.0.2.1:30000", "192.0.2.1:30000");

    let mut leg = Negotiation::new(Profile::PlainRtp, 5);
    leg.receive_offer(&crlf(SIPP)).unwrap();
    assert_eq!(attribute(&leg.answer(&odd), "rtcp"), ["30007"]);
    leg.receive_offer(&plus(SIPP, "a=rtcp-mux")).unwrap();
    assert!(leg.answer(&muxed).contains("a=rtcp-mux\r\n"));
    leg.receive_offer(&crlf(SIPP)).unwrap();
    assert!(!leg.answer(&muxed).contains("a=rtcp-mux\r\n"), "only when offered");
}

#[test]
fn ipv6_peers_are_reached() {
    let text = SIPP.replace("IN IP4 127.0.0.1", "IN IP6 2001:db8::9");
    let offer = Negotiation::new(Profile::PlainRtp, 5).receive_offer(&crlf(&text)).unwrap();
    assert_eq!(offer.rtp, Some("[2001:db8::9]:6000".parse().unwrap()));
    let mapped = SIPP.replace("IN IP4 127.0.0.1", "IN IP6 ::ffff:127.0.0.1");
    let offer = Negotiation::new(Profile::PlainRtp, 5).receive_offer(&crlf(&mapped)).unwrap();
    assert_eq!(offer.rtp, Some("127.0.0.1:6000".parse().unwrap()));

    let mut local = LocalAudioBuilder::plain().build();
    local.description = rtp("[2001:db8::1]:30000", "[2001:db8::1]:30001");
    let printed = Negotiation::new(Profile::PlainRtp, 5).offer(&local);
    assert!(printed.contains("c=IN IP6 2001:db8::1\r\n"), "{printed}");
}

#[test] // RFC 8839 §4.4.1.1.1
fn a_new_ufrag_is_an_ice_restart() {
    let mut leg = Negotiation::new(Profile::WebRtc, 7);
    let first = leg.receive_offer(&crlf(CHROMIUM)).unwrap();
    leg.answer(&webrtc(first.formats.clone()));
    let again = leg.receive_offer(&crlf(CHROMIUM)).unwrap();
    assert!(!again.restarts_ice_of(&first));
    let restarted = leg.receive_offer(&crlf(&CHROMIUM.replace("sS3c", "Wq8Z"))).unwrap();
    assert!(restarted.restarts_ice_of(&again));
}

#[test] // RFC 8839 §5.4: ufrag and password have a default each
fn ice_credentials_may_stand_at_two_levels() {
    let moved = |line: &str| {
        let text = CHROMIUM.replace(&format!("{line}\n"), "");
        text.replacen("t=0 0\n", &format!("t=0 0\n{line}\n"), 1)
    };
    let (ufrag, password) = ("a=ice-ufrag:sS3c", "a=ice-pwd:7Ptq1cQ8yM2cVv0xkJ0oGm5R");
    for text in [moved(ufrag), moved(password), CHROMIUM.to_owned()] {
        // What stands under the m-line counts more than what stands before it.
        for default in ["", "a=ice-ufrag:other\n", "a=ice-pwd:otherotherotherotherother\n"] {
            let (before, _) = text.split_once("m=audio").unwrap();
            if default.split(':').next().is_some_and(|name| !name.is_empty() && before.contains(name)) {
                continue;
            }
            let text = text.replacen("t=0 0\n", &format!("t=0 0\n{default}"), 1);
            let ice = Negotiation::new(Profile::WebRtc, 7).receive_offer(&crlf(&text)).unwrap().ice.unwrap();
            assert_eq!((ice.ufrag.as_str(), ice.password.as_str()), ("sS3c", "7Ptq1cQ8yM2cVv0xkJ0oGm5R"));
        }
    }
}

#[test] // RFC 8842 §5.3
fn the_dtls_role_is_the_one_the_browser_left() {
    for (theirs, ours) in [("actpass", "passive"), ("active", "passive"), ("passive", "active")] {
        let mut leg = Negotiation::new(Profile::WebRtc, 7);
        let text = CHROMIUM.replace("setup:actpass", &format!("setup:{theirs}"));
        let offer = leg.receive_offer(&crlf(&text)).unwrap();
        let mut local = webrtc(offer.formats.clone());
        local.setup = offer.dtls_role().into();
        assert_eq!(attribute(&leg.answer(&local), "setup"), [ours], "{theirs}");
    }
}

#[test] // RFC 9143 §7.3: no group in the offer, none in the answer; RFC 8829 §5.3.1: no mid, no mid
fn an_offer_without_mid_is_answered_without() {
    let text = CHROMIUM.replace("a=group:BUNDLE 0\n", "").replace("a=mid:0\n", "");
    let mut leg = Negotiation::new(Profile::WebRtc, 7);
    let offer = leg.receive_offer(&crlf(&text)).unwrap();
    let answer = leg.answer(&webrtc(offer.formats));
    assert!(!answer.contains("BUNDLE") && !answer.contains("a=mid"), "{answer}");
    assert_eq!(attribute(&leg.offer(&webrtc(offered(&[CodecName::Opus]))), "mid"), ["0"]);
}

#[test] // RFC 9143 §7.1.1: port 0 with bundle-only is not refused; its transport is the group's first stream's
fn a_bundle_only_audio_stream_borrows_the_transport() {
    let (session, rest) = CHROMIUM_VIDEO.split_once("m=audio").unwrap();
    let (audio, rest) = rest.split_once("m=video").unwrap();
    let bare: String = audio
        .lines()
        .filter(|line| !["a=ice", "a=fing", "a=setup", "a=rtcp"].iter().any(|start| line.starts_with(start)))
        .map(|line| format!("{}\n", line.replace(" 9 UDP", " 0 UDP")))
        .collect();
    let text =
        format!("{session}m=video{rest}m=audio{bare}a=bundle-only\n").replace("BUNDLE 0 1 2", "BUNDLE 1 2 0");
    let mut leg = Negotiation::new(Profile::WebRtc, 7);
    let offer = leg.receive_offer(&crlf(&text)).unwrap();
    assert_eq!(offer.ice.unwrap().ufrag, "F7gI");
    let answer = leg.answer(&webrtc(select(&offer.formats, &[CodecName::Pcmu])));
    assert_eq!(m_lines(&answer), ["video 0", "application 0", "audio 40000"]);
    assert!(answer.contains("a=group:BUNDLE 0\r\n"));
}

#[test] // RFC 3264 §6: a refused stream in an answer is not an error of SDP
fn a_stream_refused_by_the_peer_is_told() {
    let mut leg = Negotiation::new(Profile::PlainRtp, 5);
    leg.offer(&LocalAudioBuilder::plain().build());
    let answer = leg.receive_answer(&crlf(&SIPP.replace("audio 6000", "audio 0"))).unwrap();
    assert!(answer.rejected && answer.held && answer.formats.is_empty() && answer.rtp_remote(None).is_none());
}

#[test] // a second audio line with encryption we do not speak; plain RTP is taken
fn the_first_audio_line_of_our_kind_is_taken() {
    let text = SIPP.replace("m=audio 6000 RTP/AVP 0", "m=audio 7000 RTP/SAVP 0\nm=audio 6000 RTP/AVPF 0");
    let mut leg = Negotiation::new(Profile::PlainRtp, 5);
    let offer = leg.receive_offer(&crlf(&text)).unwrap();
    assert_eq!(offer.rtp.unwrap().port(), 6000);
    let answer = leg.answer(&LocalAudioBuilder::plain().build());
    assert!(
        answer.contains("m=audio 0 RTP/SAVP 0\r\n") && answer.contains("m=audio 30000 RTP/AVPF 0\r\n"),
        "{answer}"
    );
}

#[test] // ladder L3: the ACK brings our own description back
fn our_own_description_is_recognised() {
    let mut leg = Negotiation::new(Profile::PlainRtp, 5);
    let ours = leg.offer(&LocalAudioBuilder::plain().build());
    assert!(leg.receive_answer(ours.as_bytes()).unwrap().echoed);
}

#[test]
fn a_leg_never_takes_or_gives_the_other_kind_of_sdp() {
    let refused = |profile, text: &str| {
        matches!(Negotiation::new(profile, 5).receive_offer(&crlf(text)), Err(SdpError::NotAcceptable(_)))
    };
    assert!(refused(Profile::PlainRtp, CHROMIUM));
    assert!(refused(Profile::WebRtc, SIPP));
    // Were the relay's leg of the wrong kind, the stream would be closed rather than told in the wrong words.
    let mut trunk = Negotiation::new(Profile::PlainRtp, 5);
    let printed = trunk.offer(&webrtc(offered(&[CodecName::Opus])));
    for word in ["fingerprint", "candidate", "SAVPF", "ice-"] {
        assert!(!printed.contains(word), "{printed}");
    }
}

#[test] // the value is stored with the call and read by any node
fn a_negotiation_survives_storage_at_every_step() {
    let stored = |leg: &Negotiation| {
        let text = serde_json::to_string(leg).unwrap();
        assert_eq!(&serde_json::from_str::<Negotiation>(&text).unwrap(), leg);
    };
    let mut leg = Negotiation::new(Profile::WebRtc, u64::MAX);
    stored(&leg);
    let offer: RemoteAudio = leg.receive_offer(&crlf(CHROMIUM_VIDEO)).unwrap();
    stored(&leg);
    assert_eq!(serde_json::from_str::<RemoteAudio>(&serde_json::to_string(&offer).unwrap()).unwrap(), offer);
    leg.answer(&webrtc(select(&offer.formats, &CodecName::ALL)));
    stored(&leg);
    leg.offer(&webrtc(offered(&CodecName::ALL)));
    stored(&leg);
    leg.rollback();
    stored(&leg);
}
