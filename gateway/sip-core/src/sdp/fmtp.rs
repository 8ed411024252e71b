//! Format parameters: only those that the registration of a codec knows go on, since they may reach the other leg.

use super::codec::CodecName;

/// What is left of a peer's `fmtp` for this codec.
pub(super) fn known(codec: CodecName, parameters: &str) -> Option<String> {
    match codec {
        CodecName::Opus => opus(parameters),
        CodecName::TelephoneEvent => events(parameters),
        CodecName::G729 => annex_b(parameters),
        CodecName::Pcmu | CodecName::Pcma | CodecName::G722 => None,
    }
}

/// RFC 7587 §6.1: `name=number` pairs.
fn opus(parameters: &str) -> Option<String> {
    let mut kept = String::with_capacity(parameters.len());
    for (name, value) in parameters.split(';').filter_map(|pair| pair.trim_ascii().split_once('=')) {
        let is_number = (1..=6).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_digit());
        if is_number && OPUS.contains(&name) {
            let separator = if kept.is_empty() { "" } else { ";" };
            kept.extend([separator, name, "=", value]);
        }
    }
    Some(kept).filter(|kept| !kept.is_empty())
}

/// RFC 4733 §2.4.1: a list of events and ranges.
fn events(parameters: &str) -> Option<String> {
    let list = parameters.trim_ascii();
    let is_list = list.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b',' | b'-'));
    ((1..=64).contains(&list.len()) && is_list).then(|| list.to_owned())
}

/// RFC 7261 §3.1.
fn annex_b(parameters: &str) -> Option<String> {
    let wanted = parameters.trim_ascii();
    ["annexb=no", "annexb=yes"]
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(wanted))
        .map(str::to_owned)
}

const OPUS: [&str; 10] = [
    "maxplaybackrate",
    "sprop-maxcapturerate",
    "maxaveragebitrate",
    "stereo",
    "sprop-stereo",
    "cbr",
    "useinbandfec",
    "usedtx",
    "minptime",
    "maxptime",
];
