//! Session descriptions without sessions: what a browser and a trunk would say, nobody sends media.

use std::fmt::Write;

/// Whose descriptions an endpoint makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// Chromium: ICE, DTLS-SRTP, BUNDLE.
    Browser,
    /// A trunk: RTP/AVP with G.711.
    Trunk,
}

impl Flavour {
    /// An offer of this side's usual shape and size.
    pub fn offer(self) -> String {
        match self {
            Self::Browser => format!(
                "{BROWSER_HEAD}{BROWSER_AUDIO}{BROWSER_KEYS}a=setup:actpass\r\na=mid:0\r\n{BROWSER_FORMATS}"
            ),
            Self::Trunk => TRUNK.to_owned(),
        }
    }

    /// An answer to `offer`. A browser refuses an offer without a fingerprint; the stand-in answers it plainly instead, since
    /// a proxy without media passes a trunk's offer through and its calls are to be measured too.
    pub fn answer(self, offer: &str) -> String {
        match self {
            Self::Browser if is_webrtc(offer) => {
                let mid = attribute(offer, "mid").unwrap_or("0");
                let head = BROWSER_HEAD.replace("BUNDLE 0", &format!("BUNDLE {mid}"));
                let mut audio = String::new();
                // Writing to a String cannot fail.
                let _ = write!(
                    audio,
                    "m=audio 9 UDP/TLS/RTP/SAVPF {}\r\nc=IN IP4 0.0.0.0\r\n",
                    common_formats(offer)
                );
                let mapping =
                    lines(offer).filter(|line| line.starts_with("a=rtpmap:") || line.starts_with("a=fmtp:"));
                let mapping: String = mapping.map(|line| format!("{line}\r\n")).collect();
                format!(
                    "{head}{audio}{BROWSER_KEYS}a=setup:active\r\na=mid:{mid}\r\na=sendrecv\r\na=rtcp-mux\r\n{mapping}"
                )
            }
            Self::Browser | Self::Trunk => TRUNK.to_owned(),
        }
    }
}

/// Whether a description is a browser's: something that must never reach a trunk.
pub fn is_webrtc(sdp: &str) -> bool {
    sdp.contains("\na=fingerprint:") || sdp.contains("\na=candidate:") || sdp.contains("/SAVPF ")
}

fn lines(sdp: &str) -> impl Iterator<Item = &str> {
    sdp.lines().map(str::trim_end)
}

fn attribute<'a>(sdp: &'a str, name: &str) -> Option<&'a str> {
    lines(sdp).find_map(|line| line.strip_prefix("a=")?.strip_prefix(name)?.strip_prefix(':'))
}

fn common_formats(offer: &str) -> &str {
    let audio = lines(offer).find(|line| line.starts_with("m=audio "));
    audio.and_then(|line| line.splitn(4, ' ').nth(3)).unwrap_or("0")
}

/// Written after what Chromium 140 offers for one microphone, addresses and keys invented (192.0.2.0/24 is documentation's).
const BROWSER_HEAD: &str = "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
    a=extmap-allow-mixed\r\na=msid-semantic: WMS 6f0d7c1e\r\n";
const BROWSER_AUDIO: &str = "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126\r\nc=IN IP4 0.0.0.0\r\n\
    a=rtcp:9 IN IP4 0.0.0.0\r\n\
    a=candidate:3085463461 1 udp 2122260223 192.0.2.17 54321 typ host generation 0 network-id 1 network-cost 10\r\n\
    a=candidate:1645719857 1 udp 1686052607 198.51.100.23 54321 typ srflx raddr 192.0.2.17 rport 54321 generation 0 network-id 1 network-cost 10\r\n\
    a=candidate:4117051153 1 tcp 1518280447 192.0.2.17 9 typ host tcptype active generation 0 network-id 1 network-cost 10\r\n";
const BROWSER_KEYS: &str = "a=ice-ufrag:Lq3x\r\na=ice-pwd:w1vBqT0oM5Jm2nXkYd7eR9aS\r\na=ice-options:trickle\r\n\
    a=fingerprint:sha-256 7B:8B:F0:65:5F:78:E2:51:3B:AC:6F:F3:3F:46:1B:35:DC:B8:5F:64:1A:24:C2:43:F0:A1:58:D0:A1:2C:19:08\r\n";
const BROWSER_FORMATS: &str = "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n\
    a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time\r\n\
    a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n\
    a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=sendrecv\r\na=msid:6f0d7c1e 0b1f2c3d\r\na=rtcp-mux\r\na=rtcp-rsize\r\n\
    a=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n\
    a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\na=rtpmap:9 G722/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
    a=rtpmap:13 CN/8000\r\na=rtpmap:110 telephone-event/48000\r\na=rtpmap:126 telephone-event/8000\r\n\
    a=ssrc:3570614608 cname:4TOk42mSjXCkVIa6\r\na=ssrc:3570614608 msid:6f0d7c1e 0b1f2c3d\r\n";
/// Where the trunk's descriptions want sound to be sent.
pub const TRUNK_MEDIA: std::net::SocketAddr =
    std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 40_000);

const TRUNK: &str = "v=0\r\no=- 20518 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0 8 101\r\n\
    a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_are_told_apart() {
        assert!(is_webrtc(&Flavour::Browser.offer()));
        assert!(!is_webrtc(&Flavour::Trunk.offer()));
        assert!((1_500..2_500).contains(&Flavour::Browser.offer().len()), "a browser's offer is some 2 kB");
    }

    #[test] // RFC 8829 §5.3.1: an answer keeps the offer's mid and formats, RFC 8842 §5.3: it decides the DTLS role.
    fn a_browser_answers_with_the_offers_mid_and_formats() {
        let offer = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE audio\r\n\
            m=audio 5000 UDP/TLS/RTP/SAVPF 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n\
            a=fingerprint:sha-256 00\r\na=setup:actpass\r\na=mid:audio\r\n";
        let answer = Flavour::Browser.answer(offer);
        for line in [
            "a=group:BUNDLE audio",
            "m=audio 9 UDP/TLS/RTP/SAVPF 0 101",
            "a=mid:audio",
            "a=setup:active",
            "a=rtpmap:0 PCMU/8000",
        ] {
            assert!(lines(&answer).any(|have| have == line), "no {line} in {answer}");
        }
    }

    #[test]
    fn every_line_is_a_field() {
        for sdp in [
            Flavour::Browser.offer(),
            Flavour::Trunk.offer(),
            Flavour::Browser.answer(&Flavour::Browser.offer()),
        ] {
            assert!(lines(&sdp).all(|line| line.as_bytes().get(1) == Some(&b'=')), "{sdp}");
            assert!(sdp.ends_with("\r\n"));
        }
    }
}
