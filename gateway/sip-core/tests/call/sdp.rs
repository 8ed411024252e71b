//! What the scripted peers say about their sound.

/// A browser's description; `setup` is actpass in offers, active in answers.
pub fn browser(version: u32, ufrag: &str, formats: &str, direction: &str, setup: &str) -> String {
    let maps: String = formats.split(' ').map(|format| rtpmap(format, true)).collect();
    lines(&format!(
        "v=0\no=- 4611731400430051336 {version} IN IP4 127.0.0.1\ns=-\nt=0 0\na=group:BUNDLE 0\n\
         m=audio 9 UDP/TLS/RTP/SAVPF {formats}\nc=IN IP4 0.0.0.0\na=rtcp:9 IN IP4 0.0.0.0\n\
         a=ice-ufrag:{ufrag}\na=ice-pwd:asd88fgpdd777uzjYhagZgaa\na=ice-options:trickle\n\
         a=fingerprint:sha-256 {FINGERPRINT}\na=setup:{setup}\na=mid:0\na={direction}\na=rtcp-mux\n{maps}"
    ))
}

/// A plain RTP peer's description.
pub fn trunk(version: u32, address: &str, formats: &str, direction: &str) -> String {
    let maps: String = formats.split(' ').map(|format| rtpmap(format, false)).collect();
    lines(&format!(
        "v=0\no=genesys 7 {version} IN IP4 {address}\ns=-\nc=IN IP4 {address}\nt=0 0\n\
         m=audio 6000 RTP/AVP {formats}\na={direction}\n{maps}"
    ))
}

pub fn browser_offer() -> String {
    browser(2, "aaaa", "111 0 8 101", "sendrecv", "actpass")
}

pub fn browser_answer() -> String {
    browser(2, "bbbb", "0 8 101", "sendrecv", "active")
}

pub fn trunk_offer() -> String {
    trunk(1, "192.0.2.9", "0 8 101", "sendrecv")
}

pub fn trunk_answer() -> String {
    trunk(1, "192.0.2.9", "0 101", "sendrecv")
}

fn rtpmap(format: &str, browser: bool) -> String {
    let name = match format {
        "0" => "PCMU/8000",
        "8" => "PCMA/8000",
        "9" => "G722/8000",
        "111" => "opus/48000/2",
        "101" => "telephone-event/8000",
        "13" => "CN/8000",
        other => panic!("no name for format {other}"),
    };
    // The trunk writes codec names in lower case.
    let name = if browser { name.to_owned() } else { name.to_lowercase() };
    let fmtp = if format == "101" { "a=fmtp:101 0-15\n" } else { "" };
    format!("a=rtpmap:{format} {name}\n{fmtp}")
}

fn lines(text: &str) -> String {
    text.trim_end().replace('\n', "\r\n") + "\r\n"
}

const FINGERPRINT: &str =
    "D2:FA:0E:C3:22:59:5E:14:95:69:92:3D:13:B4:84:24:2C:C2:A2:C0:3E:FD:34:8E:5E:EA:6F:AF:52:CE:E6:0F";
