//! What the parser takes, drops and refuses.

use sip_core::sdp::{
    Address, CodecName, Description, Negotiation, Number, Profile, SdpError, Unacceptable, offered,
};

use crate::input::{plain, says_the_same, webrtc};
use crate::support::*;

#[test] // RFC 8866 §5, §9: answered 400
fn what_is_not_sdp_is_malformed() {
    for (text, line, what) in [
        ("", 0, "v=0 is missing"),
        ("o=- 1 1 IN IP4 a\r\n", 1, "v=0 is missing"),
        ("v=1\r\n", 1, "v=0 is missing"),
        ("v=0\r\ns=-\r\n", 2, "o= is missing"),
        ("v=0\r\no=- 1\r\n", 2, "bad o="),
        ("v=0\r\no=IN IP4 a\r\n", 2, "bad o="),
    ] {
        assert_eq!(Description::parse(text.as_bytes()), Err(SdpError::Malformed { line, what }), "{text:?}");
    }
    for (lines, what) in [
        ("v=0", "a second v= or o="),
        ("o=- 1 1 IN IP4 a", "a second v= or o="),
        ("m=a(b) 6002 RTP/AVP 0", "m= without media"),
    ] {
        let found = Description::parse(&plus(SIPP, lines)).map(|_| ());
        assert_eq!(found, Err(SdpError::Malformed { line: 8, what }), "{lines}");
    }
}

#[test] // nothing is sent to where an origin points
fn an_odd_origin_is_no_reason_to_refuse() {
    for origin in [
        "pbx 1 1 IN IP4 2001:db8::1",
        "pbx 1 1 IN IP4 fe80::1%eth0",
        "pbx 1 1 IN IP4 pbx_1.example",
        "pbx 1 1 IN IP9 a",
        "pbx 1 1 IN IP4 192.0.2.1;x",
        " 77 1 IN IP4 192.0.2.1",
        "- one two IN IP4 192.0.2.1",
    ] {
        let text = crlf(&SIPP.replace("user1 53655765 2353687637 IN IP4 127.0.0.1", origin));
        let offer = Negotiation::new(Profile::PlainRtp, 5).receive_offer(&text);
        assert!(offer.is_ok_and(|offer| offer.rtp.is_some()), "{origin}");
        says_the_same(&text);
    }
}

#[test] // one odd line must not cost the call, unless this leg lives by it: then it says which
fn faults_in_what_a_leg_does_not_use_are_passed_over() {
    let taken = |profile, text: &[u8]| Negotiation::new(profile, 5).receive_offer(text).map(|_| ());
    let at_the_end = |sample: &str| 1 + u32::try_from(sample.lines().count()).unwrap();
    let refused = |sample: &str, lines: &str, what| {
        let line = at_the_end(sample) - 1 + u32::try_from(lines.lines().count()).unwrap();
        Err(SdpError::Malformed { line, what })
    };
    // Under the m-line of sound: of no matter to whom, and what a leg that needs it says.
    for (lines, to_plain, to_webrtc) in [
        ("a=ice-ufrag:abc", "", "bad ice-ufrag"),
        ("a=ice-ufrag:ab cd", "", "bad ice-ufrag"),
        ("a=ice-pwd:tooshort", "", "bad ice-pwd"),
        ("a=fingerprint:sha-256 00:11", "", "bad fingerprint"),
        ("a=fingerprint:sha-256", "", "bad fingerprint"),
        ("a=mid:", "", "bad mid"),
        ("c=IN IP4", "bad address", ""),
        ("c=IN IP4 192.0.2.1;x", "bad address", ""),
        ("c=IN IP6 192.0.2.1%eth0", "bad address", ""),
        ("c=ATM NSAP 1234", "bad network or address type", ""),
        ("a=rtpmap:0", "", ""),
        ("a=rtpmap:x PCMU/8000", "", ""),
        ("a=rtpmap:300 foo/8000", "", ""),
        ("a=rtpmap:0 PCMU", "", ""),
        ("a=rtpmap:0 PCMU/4294967296", "", ""),
        ("a=rtpmap:0 PCMU/8000/256", "", ""),
        ("a=fmtp:0", "", ""),
        ("a=fmtp:18", "", ""),
        ("a=rtcp:65536", "", ""),
        ("a=rtcp:6001 IN", "", ""),
        ("nonsense", "", ""),
        ("C=IN IP4 192.0.2.1", "", ""),
        ("m=video 0 RTP/AVP", "", ""),
        ("m=video many RTP/AVP 96", "", ""),
        ("m=video 6002", "", ""),
        ("m=audio 0 RTP/AVP 255", "", ""),
        ("m=audio -1 RTP/AVP 0", "", ""),
        ("m=audio +6002 RTP/AVP 0", "", ""),
        ("m=audio 65536 RTP/AVP 0", "", ""),
        ("m=audio 6002/x RTP/AVP 0", "", ""),
        ("m=audio 6002 RTP/AVP pcmu", "", ""),
        ("m=video 0 RTP/AVP 96\r\nc=IN IP4 x;y", "", ""),
        ("m=video 0 RTP/AVP 96\r\na=mid:0\r\nm=video 0 RTP/AVP 96\r\na=mid:0", "", ""),
        ("m=video 0 RTP/AVP 96\r\na=ice-pwd:short", "", ""),
    ] {
        for (profile, sample, what) in
            [(Profile::PlainRtp, SIPP, to_plain), (Profile::WebRtc, CHROMIUM, to_webrtc)]
        {
            let text = plus(sample, lines);
            let expected = if what.is_empty() { Ok(()) } else { refused(sample, lines, what) };
            assert_eq!(taken(profile, &text), expected, "{lines} to {profile:?}");
            says_the_same(&text);
        }
    }
}

#[test]
fn a_refusal_names_the_line_that_could_not_be_read() {
    let plain = |text: &str| Negotiation::new(Profile::PlainRtp, 5).receive_offer(&crlf(text)).map(|_| ());
    let webrtc = |text: &str| Negotiation::new(Profile::WebRtc, 5).receive_offer(&crlf(text)).map(|_| ());
    let malformed = |text: &str, start: &str, what| {
        let at = text.lines().position(|line| line.starts_with(start)).unwrap();
        Err(SdpError::Malformed { line: u32::try_from(at + 1).unwrap(), what })
    };
    for (wrong, what) in [
        ("m=audio many RTP/AVP 0", "m= without port"),
        ("m=audio 6000", "m= without protocol"),
        ("m=audio 6000 RTP/AVP", "m= without format"),
        ("m=audio 6000 RTP/AVP 128", "bad payload type"),
    ] {
        let text = SIPP.replace("m=audio 6000 RTP/AVP 0", wrong);
        assert_eq!(plain(&text), malformed(&text, "m=", what), "{wrong}");
    }
    let text = SIPP.replace("RTP/AVP 0", "RTP/AVP 96").replace("a=rtpmap:0 PCMU/8000", "a=rtpmap:96 PCMU");
    assert_eq!(plain(&text), malformed(&text, "a=rtpmap", "rtpmap without clock rate"));
    let text = SIPP.replace("c=IN IP4 127.0.0.1", "c=IN IP4 x;y");
    assert_eq!(plain(&text), malformed(&text, "c=", "bad address"));
    assert!(plain(&format!("{text}c=IN IP4 127.0.0.1\n")).is_ok(), "a default that is not used");
    // Of what stands before the m-lines the browser's leg needs what is not said under them.
    let moved = CHROMIUM.replace("a=ice-ufrag:sS3c\n", "").replacen("t=0 0\n", "t=0 0\na=ice-ufrag:x\n", 1);
    assert_eq!(webrtc(&moved), malformed(&moved, "a=ice-ufrag", "bad ice-ufrag"));
    let unused = CHROMIUM.replacen("t=0 0\n", "t=0 0\na=ice-ufrag:x\n", 1);
    assert!(webrtc(&unused).is_ok());

    // In an answer as well.
    let mut leg = Negotiation::new(Profile::PlainRtp, 5);
    leg.offer(&LocalAudioBuilder::plain().build());
    let text = SIPP.replace("m=audio 6000", "m=audio many");
    let answered = leg.receive_answer(&crlf(&text)).map(|_| ());
    assert_eq!(answered, malformed(&text, "m=", "m= without port"));
}

#[test] // answered 488
fn what_nobody_could_send_to_is_not_acceptable() {
    let plain = |line: &str| Negotiation::new(Profile::PlainRtp, 5).receive_offer(&plus(SIPP, line));
    for line in
        ["c=IN IP4 pbx.example.com", "c=IN IP4 224.2.1.1/127", "c=IN IP4 255.255.255.255", "c=IN IP6 ff02::1"]
    {
        assert!(matches!(plain(line), Err(SdpError::NotAcceptable(_))), "{line}: {:?}", plain(line));
    }
    for text in [
        SIPP.replace("audio 6000", "audio 0"),
        SIPP.replace("m=audio", "m=video"),
        SIPP.replace("RTP/AVP", "RTP/SAVP"),
        SIPP.replace("c=IN IP4 127.0.0.1\n", ""),
        SIPP.lines().take(5).map(|line| format!("{line}\n")).collect(),
    ] {
        let found = Negotiation::new(Profile::PlainRtp, 5).receive_offer(&crlf(&text));
        assert!(matches!(found, Err(SdpError::NotAcceptable(_))), "{text}: {found:?}");
    }
    for (without, reason) in [
        ("a=ice-ufrag", Unacceptable::NoIceCredentials),
        ("a=ice-pwd", Unacceptable::NoIceCredentials),
        ("a=fingerprint", Unacceptable::NoFingerprint),
        ("a=setup", Unacceptable::NoDtlsRole),
        ("a=rtcp-mux", Unacceptable::NoRtcpMux),
    ] {
        let text: String = CHROMIUM
            .lines()
            .filter(|line| !line.starts_with(without))
            .map(|line| format!("{line}\n"))
            .collect();
        let found = Negotiation::new(Profile::WebRtc, 5).receive_offer(&crlf(&text));
        assert_eq!(found, Err(SdpError::NotAcceptable(reason)), "{without}");
    }
    let lite = CHROMIUM.replace("t=0 0\n", "t=0 0\na=ice-lite\n");
    let found = Negotiation::new(Profile::WebRtc, 5).receive_offer(&crlf(&lite));
    assert_eq!(found, Err(SdpError::NotAcceptable(Unacceptable::BothIceLite)));
    let weak = CHROMIUM.replace("sha-256", "sha-1");
    let found = Negotiation::new(Profile::WebRtc, 5).receive_offer(&crlf(&weak));
    assert_eq!(found, Err(SdpError::NotAcceptable(Unacceptable::NoFingerprint)));
}

#[test] // RFC 3264 §6
fn an_answer_with_other_m_lines_than_the_offer_is_malformed() {
    let mut leg = Negotiation::new(Profile::PlainRtp, 5);
    leg.offer(&LocalAudioBuilder::plain().build());
    let two = plus(SIPP, "m=video 0 RTP/AVP 96");
    assert!(matches!(leg.receive_answer(&two), Err(SdpError::Malformed { line: 0, .. })));
    assert!(leg.receive_answer(&crlf(SIPP)).is_ok(), "an error changes nothing");
}

#[test]
fn limits_hold_at_their_edge() {
    let malformed = |text: &[u8]| matches!(Description::parse(text), Err(SdpError::Malformed { .. }));
    let times = |line: &str, count: usize| format!("{SIPP}{}", format!("{line}\n").repeat(count));
    let sized = |bytes: usize| {
        let mut text = crlf(SIPP);
        text.extend(b"i=");
        text.resize(bytes, b'x');
        text
    };
    assert!(!malformed(&sized(65_536)) && malformed(&sized(65_537)));
    assert!(!malformed(&crlf(&times("m=video 0 RTP/AVP 96", 31))));
    assert!(malformed(&crlf(&times("m=video 0 RTP/AVP 96", 32))));
    let formats = |count: u8| (0..count).map(|number| format!(" {number}")).collect::<String>();
    let listed = |count: u8| {
        let text = plus(SIPP, &format!("m=audio 6002 RTP/AVP{}", formats(count)));
        Description::parse(&text).unwrap().media[1].flaws.formats.map(|flaw| flaw.what)
    };
    assert_eq!((listed(64), listed(65)), (None, Some("too many formats")));
    let hash = ["00"; 32].join(":");
    let flaw = |lines: &str| {
        let text = plus(SIPP, lines);
        Description::parse(&text).unwrap().media[0].flaws.transport.map(|flaw| flaw.what)
    };
    let hashes = |count: usize| format!("a=fingerprint:sha-256 {hash}\n").repeat(count);
    assert_eq!((flaw(&hashes(8)), flaw(&hashes(9))), (None, Some("too many fingerprints")));
    for (length, ufrag, password) in [(256, None, None), (257, Some("bad ice-ufrag"), Some("bad ice-pwd"))] {
        let letters = "u".repeat(length);
        assert_eq!(flaw(&format!("a=ice-ufrag:{letters}")), ufrag);
        assert_eq!(flaw(&format!("a=ice-pwd:{letters}")), password);
    }
}

#[test] // RFC 8445 §2.5: who is ICE-lite starts no checks, so 900 candidates are as good as none
fn the_candidates_of_a_peer_are_not_read() {
    let line = "a=candidate:1 1 udp 2122260223 192.0.2.7 40000 typ host\n";
    let (many, few) = (crlf(&format!("{CHROMIUM}{}", line.repeat(900))), crlf(CHROMIUM));
    assert_eq!(Description::parse(&many), Description::parse(&few));
}

#[test] // a blank behind a direction must not make a hold unheard
fn blanks_at_the_ends_of_lines_mean_nothing() {
    for sample in SAMPLES {
        let plain = crlf(sample);
        for blanks in [" ", "\t", " \t  "] {
            let text = String::from_utf8(plain.clone()).unwrap().replace("\r\n", &format!("{blanks}\r\n"));
            assert_eq!(Description::parse(text.as_bytes()), Description::parse(&plain), "{text:?}");
        }
    }
    for direction in ["sendonly", "recvonly", "inactive", "sendrecv"] {
        let mut leg = Negotiation::new(Profile::PlainRtp, 5);
        let offer = leg.receive_offer(&plus(SIPP, &format!("a={direction} "))).unwrap();
        assert_eq!(name(offer.direction), direction);
    }
}

#[test] // what we do not know does not stop a call, and goes nowhere
fn unknown_lines_and_attributes_are_dropped() {
    let text = plus(
        SIPP,
        "b=AS:64\r\nk=clear:secret\r\ni=hello\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0\r\na=x\r\n\r\nz=0 0",
    );
    let description = Description::parse(&text).unwrap();
    let printed = description.to_string();
    assert!(
        !printed.contains("secret") && !printed.contains("crypto") && !printed.contains("hello"),
        "{printed}"
    );
}

#[test]
fn latin_1_in_a_session_name_and_bare_line_feeds_are_no_reason_to_refuse() {
    let mut text = SIPP.replace("s=-", "s=caf?").into_bytes();
    let at = text.iter().position(|byte| *byte == b'?').unwrap();
    text[at] = 0xE9;
    assert!(Description::parse(&text).is_ok());
}

#[test]
fn origins_with_spaces_and_long_numbers_are_read() {
    let long = "123456789012345678901234567890";
    let text = crlf(&SIPP.replace("o=user1 53655765 2353687637", &format!("o=John Doe {long} 7")));
    let description = Description::parse(&text).unwrap();
    assert_eq!(description.origin.id, Number::Text(long));
    assert_eq!(description.origin.version, Number::Value(7));
    assert_eq!(description.origin.address, Address::Ip([127, 0, 0, 1].into()));
    let audio = Negotiation::new(Profile::PlainRtp, 5).receive_offer(&text).unwrap();
    assert_eq!((audio.origin_id.as_str(), audio.origin_version.as_str()), (long, "7"));
}

#[test] // parameters may reach the other leg, so only known ones stay
fn format_parameters_are_filtered() {
    let fmtp = |line: &str| {
        let text = CHROMIUM.replace("a=fmtp:111 minptime=10;useinbandfec=1", line);
        let audio = Negotiation::new(Profile::WebRtc, 5).receive_offer(&crlf(&text)).unwrap();
        audio.formats.into_iter().find(|format| format.name == "opus").unwrap().fmtp
    };
    assert_eq!(fmtp("a=fmtp:111 stereo=1; usedtx=1").as_deref(), Some("stereo=1;usedtx=1"));
    assert_eq!(
        fmtp("a=fmtp:111 stereo=1;x-evil=<script>;minptime=10").as_deref(),
        Some("stereo=1;minptime=10")
    );
    assert_eq!(fmtp("a=fmtp:111 stereo=yes;cbr"), None);
    assert_eq!(fmtp(&format!("a=fmtp:111 stereo=1;{}", "x".repeat(300))), None);
    let dtmf = |line: &str| {
        let text = GENESYS.replace("a=fmtp:101 0-15", line);
        let audio = Negotiation::new(Profile::PlainRtp, 5).receive_offer(&crlf(&text)).unwrap();
        audio.formats.into_iter().find(|format| format.is_telephone_event()).unwrap().fmtp
    };
    assert_eq!(dtmf("a=fmtp:101 0-11,16").as_deref(), Some("0-11,16"));
    assert_eq!(dtmf("a=fmtp:101 events=0-15"), None);
}

#[test]
fn dynamic_types_without_meaning_and_repeated_types_are_left_out() {
    let text =
        SIPP.replace("RTP/AVP 0\n", "RTP/AVP 96 0 0 97\na=rtpmap:97 iLBC/8000\na=rtpmap:98 speex/8000\n");
    let audio = Negotiation::new(Profile::PlainRtp, 5).receive_offer(&crlf(&text)).unwrap();
    assert_eq!(summary(&audio), "PCMU/8000@0 iLBC/8000@97");
}

#[test]
fn a_printed_sample_says_the_same() {
    for sample in SAMPLES {
        says_the_same(&crlf(sample));
    }
    says_the_same(Negotiation::new(Profile::WebRtc, 1).offer(&webrtc(offered(&CodecName::ALL))).as_bytes());
    says_the_same(Negotiation::new(Profile::PlainRtp, 1).offer(&plain(offered(&CodecName::ALL))).as_bytes());
}
