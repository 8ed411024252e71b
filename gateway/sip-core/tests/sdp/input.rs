//! Fuzz entry: a peer's text goes through everything that is done with one; what must hold of the outcome is checked.
//! Used by the fuzz target `sdp` and by the tests.

use relay_api::{Direction, Fingerprint, LegDescription};
use sip_core::sdp::{
    CodecName, Description, Flaws, Format, LocalAudio, Negotiation, Profile, Setup, offered, select,
};

/// Takes the text as offer and as answer of both kinds of leg.
pub fn run(text: &[u8]) {
    if Description::parse(text).is_ok() {
        says_the_same(text);
    }
    for profile in [Profile::WebRtc, Profile::PlainRtp] {
        take_as_offer(profile, text);
        take_as_answer(profile, text);
    }
}

/// What was parsed prints as a description with the same meaning.
pub fn says_the_same(text: &[u8]) {
    let parsed = Description::parse(text).expect("the caller has parsed it");
    let printed = parsed.to_string();
    let again = Description::parse(printed.as_bytes()).expect("we print SDP");
    assert_eq!(meaning(again), meaning(parsed), "{printed}");
}

/// Our side of a browser's leg.
pub fn webrtc(formats: Vec<Format>) -> LocalAudio {
    let address = |host: &str| format!("{host}:40000").parse().expect("an address");
    let description = LegDescription::WebRtc {
        ufrag: "relay001".to_owned(),
        password: "0123456789abcdefABCDEF+/".to_owned(),
        candidates: vec![address("203.0.113.1"), address("[2001:db8::1]")],
        fingerprint: Fingerprint { algorithm: "sha-256".to_owned(), value: ["0A"; 32].join(":") },
    };
    LocalAudio {
        description,
        formats,
        direction: Direction::SendRecv,
        setup: Setup::Passive,
        ptime: Some(20),
    }
}

/// Our side of a trunk's leg.
pub fn plain(formats: Vec<Format>) -> LocalAudio {
    let address = |port: u16| ([192, 0, 2, 1], port).into();
    LocalAudio {
        description: LegDescription::Rtp { rtp: address(30_000), rtcp: address(30_001) },
        ..webrtc(formats)
    }
}

/// The answer has a line for each of the offer's, and holds the leg's own kind of SDP alone.
fn take_as_offer(profile: Profile, text: &[u8]) {
    let mut leg = Negotiation::new(profile, 1);
    let before = leg.clone();
    let Ok(offer) = leg.receive_offer(text) else {
        assert_eq!(leg, before, "an error changes nothing");
        return;
    };
    let printed = leg.answer(&local(profile, select(&offer.formats, &CodecName::ALL)));
    let answer = Description::parse(printed.as_bytes()).expect("we print SDP");
    let lines = Description::parse(text).expect("it was taken").media.len();
    assert_eq!(answer.media.len(), lines, "{printed}");
    assert_eq!(answer.media.iter().filter(|media| media.port != 0).count(), 1, "{printed}");
    let secured = answer.media.iter().filter(|media| media.transport.ufrag.is_some()).count();
    assert_eq!(secured, usize::from(profile == Profile::WebRtc), "{printed}");
    says_the_same(printed.as_bytes());
}

fn take_as_answer(profile: Profile, text: &[u8]) {
    let mut leg = Negotiation::new(profile, 1);
    leg.offer(&local(profile, offered(&CodecName::ALL)));
    let before = leg.clone();
    if leg.receive_answer(text).is_err() {
        assert_eq!(leg, before, "an error changes nothing");
    }
}

fn local(profile: Profile, formats: Vec<Format>) -> LocalAudio {
    match profile {
        Profile::WebRtc => webrtc(formats),
        Profile::PlainRtp => plain(formats),
    }
}

/// The first format may be one that was left out for having no meaning; what could not be read is not printed.
fn meaning(mut description: Description<'_>) -> Description<'_> {
    description.flaws = Flaws::default();
    for media in &mut description.media {
        media.flaws = Flaws::default();
        if !media.formats.is_empty() {
            media.first_format = "";
        }
    }
    description
}
