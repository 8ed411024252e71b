//! ChannelData and the framing of a stream: RFC 8656 §12.4 and §12.5, RFC 8489 §6.2.2.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::ops::{Range, RangeInclusive};

/// The channel and the place of the payload; padding and what else follows is left out.
pub(super) fn read(datagram: &[u8]) -> Option<(u16, Range<usize>)> {
    let ([channel0, channel1, length0, length1], rest) = datagram.split_first_chunk()?;
    let channel = u16::from_be_bytes([*channel0, *channel1]);
    let length = usize::from(u16::from_be_bytes([*length0, *length1]));
    let is_whole = CHANNELS.contains(&channel) && length <= rest.len();
    is_whole.then(|| (channel, HEADER..HEADER.saturating_add(length)))
}

/// The first four octets of a ChannelData message.
pub(super) fn header(channel: u16, length: u16) -> [u8; HEADER] {
    let ([channel0, channel1], [length0, length1]) = (channel.to_be_bytes(), length.to_be_bytes());
    [channel0, channel1, length0, length1]
}

/// A stream carries neither STUN nor ChannelData, or a message larger than any of ours: close it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client's stream is not STUN")]
pub struct NotStun;

/// How many octets the first message in `stream` takes, padding included; `None` until its head has arrived. The
/// decision needs four octets, so that nothing is kept for a length that is refused.
pub fn frame_length(stream: &[u8]) -> Result<Option<usize>, NotStun> {
    let Some([first, _, length0, length1]) = stream.first_chunk() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([*length0, *length1]));
    let whole = match first {
        0..=3 if length.is_multiple_of(4) => length.saturating_add(crate::stun::HEADER),
        0x40..=0x7F => length.next_multiple_of(4).saturating_add(HEADER),
        _ => return Err(NotStun),
    };
    if whole > LARGEST_FRAME { Err(NotStun) } else { Ok(Some(whole)) }
}

/// RFC 8656 §12 gives out 0x4000–0x4FFF; RFC 5766 §11 went on to 0x7FFE, and Debian's turnutils_uclient binds 0x5000.
pub(super) const CHANNELS: RangeInclusive<u16> = 0x4000..=0x7FFE;

pub(super) const HEADER: usize = 4;

/// The largest message that a stream may carry: more than any datagram of a network that carries sound.
pub const LARGEST_FRAME: usize = 4_096;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test] // RFC 8656 §12.5
    fn frames_of_a_stream_are_padded_to_four_octets() {
        assert_eq!(frame_length(b"\x40\x00\x00").unwrap(), None);
        assert_eq!(frame_length(b"\x40\x00\x00\x05").unwrap(), Some(12));
        assert_eq!(frame_length(b"\x40\x00\x00\x08 and more").unwrap(), Some(12));
        assert_eq!(frame_length(b"\x00\x01\x00\x00\x21\x12\xa4\x42").unwrap(), Some(20));
        assert_eq!(frame_length(b"\x00\x01\x00\x05"), Err(NotStun));
        assert_eq!(frame_length(b"\x00\x01\xff\xfc"), Err(NotStun));
        assert_eq!(frame_length(b"\x16\x03\x01\x00"), Err(NotStun));
        assert_eq!(frame_length(b"GET / HTTP/1.1"), Err(NotStun));
    }

    #[test]
    fn channel_data_shorter_than_it_claims_is_none() {
        assert_eq!(read(b"\x50\x00\x00\x02ab\0\0"), Some((0x5000, 4..6)));
        assert_eq!(read(b"\x50\x00\x00\x00"), Some((0x5000, 4..4)));
        assert_eq!(read(b"\x50\x00\x00\x03ab"), None);
        assert_eq!(read(b"\x7f\xff\x00\x00"), None);
    }
}
