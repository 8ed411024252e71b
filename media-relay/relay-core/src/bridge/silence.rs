//! What nothing sounds like, format by format.

use relay_api::Codec;

/// 20 ms of silence in one of a leg's formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Silence {
    pub(crate) payload_type: u8,
    pub(crate) clock_rate: u32,
    pub(crate) payload: &'static [u8],
}

impl Silence {
    /// In the first format of the list whose silence is known; the others would need an encoder.
    pub(crate) fn of(codecs: &[Codec]) -> Option<Self> {
        codecs.iter().find_map(|codec| {
            let payload: &'static [u8] = match codec.name.to_ascii_uppercase().as_str() {
                "PCMU" if codec.clock_rate == 8_000 => &[0xFF; 160],
                "PCMA" if codec.clock_rate == 8_000 => &[0xD5; 160],
                // A 20 ms CELT frame that codes silence: RFC 6716 §3.1 (configuration 31), §4.3.
                "OPUS" => &[0xF8, 0xFF, 0xFE],
                _ => return None,
            };
            Some(Self { payload_type: codec.send, clock_rate: codec.clock_rate, payload })
        })
    }
}
