//! The RTP header: RFC 3550 §5.1.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::ops::Range;

/// The fields of a received packet that the relay looks at, and where its payload lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Set on the first packet after a pause.
    pub marker: bool,
    /// 0–127.
    pub payload_type: u8,
    /// Rises by one per packet.
    pub sequence: u16,
    /// In units of the format's clock.
    pub timestamp: u32,
    /// Who sends.
    pub ssrc: u32,
    /// Behind CSRCs and extension, without padding.
    pub payload: Range<usize>,
}

impl Header {
    /// Reads a clear packet.
    pub fn parse(packet: &[u8]) -> Option<Self> {
        let start = header_length(packet)?;
        let [first, second, s0, s1, t0, t1, t2, t3, i0, i1, i2, i3] = *packet.first_chunk::<MINIMUM>()?;
        let padding = if first & PADDING != 0 { usize::from(*packet.last()?) } else { 0 };
        let end = packet.len().checked_sub(padding).filter(|end| *end >= start)?;
        // RFC 3550 §5.1: the padding counts its own last byte.
        let padding_is_valid = first & PADDING == 0 || padding > 0;
        padding_is_valid.then_some(Self {
            marker: second & MARKER != 0,
            payload_type: second & !MARKER,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([i0, i1, i2, i3]),
            payload: start..end,
        })
    }
}

/// The header of a packet that the relay sends: no CSRC, no extension (their meaning is each leg's own), no padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Set on the first packet after a pause.
    pub marker: bool,
    /// 0–127.
    pub payload_type: u8,
    /// Rises by one per packet.
    pub sequence: u16,
    /// In units of the format's clock.
    pub timestamp: u32,
    /// Ours.
    pub ssrc: u32,
}

impl Outgoing {
    /// As on the wire.
    pub fn bytes(&self) -> [u8; MINIMUM] {
        let marker = if self.marker { MARKER } else { 0 };
        let [s0, s1] = self.sequence.to_be_bytes();
        let [t0, t1, t2, t3] = self.timestamp.to_be_bytes();
        let [i0, i1, i2, i3] = self.ssrc.to_be_bytes();
        [VERSION, marker | (self.payload_type & !MARKER), s0, s1, t0, t1, t2, t3, i0, i1, i2, i3]
    }
}

/// Where the payload begins; `None` if this is no RTP packet. True of a protected packet too.
pub fn header_length(packet: &[u8]) -> Option<usize> {
    let first = *packet.first()?;
    if first & 0xC0 != VERSION {
        return None;
    }
    let csrcs = usize::from(first & 0x0F).checked_mul(4)?;
    let mut length = MINIMUM.checked_add(csrcs)?;
    if first & EXTENSION != 0 {
        let (_, extension) = packet.split_at_checked(length)?;
        let [_, _, words0, words1] = *extension.first_chunk::<4>()?;
        let words = usize::from(u16::from_be_bytes([words0, words1]));
        length = length.checked_add(4)?.checked_add(words.checked_mul(4)?)?;
    }
    (length <= packet.len()).then_some(length)
}

/// The fixed part of the header.
pub const MINIMUM: usize = 12;

const VERSION: u8 = 0x80;
const PADDING: u8 = 0x20;
const EXTENSION: u8 = 0x10;
const MARKER: u8 = 0x80;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

    use super::*;

    #[test] // RFC 3550 §5.1, §5.3.1
    fn csrcs_extension_and_padding_are_no_payload() {
        let mut packet = vec![0x80 | 0x20 | 0x10 | 2, 0x80 | 111, 0x12, 0x34, 0, 0, 0, 9, 1, 2, 3, 4];
        packet.extend_from_slice(&[0; 8]); // two CSRCs
        packet.extend_from_slice(&[0xBE, 0xDE, 0, 1, 0x10, 0xFF, 0, 0]); // RFC 8285
        packet.extend_from_slice(b"sound");
        packet.extend_from_slice(&[0, 0, 3]);
        let header = Header::parse(&packet).unwrap();
        assert_eq!(&packet[header.payload.clone()], b"sound");
        assert!(header.marker);
        assert_eq!((header.payload_type, header.sequence, header.timestamp), (111, 0x1234, 9));
        assert_eq!(header.ssrc, 0x0102_0304);
    }

    #[test]
    fn what_is_cut_short_or_pads_too_much_is_refused() {
        let mut packet = vec![0x80 | 0x10 | 15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(header_length(&packet), None);
        packet.resize(12 + 60 + 4, 0xFF);
        assert_eq!(header_length(&packet), None); // the extension says 65,535 words
        for padding in [0, 2] {
            let padded = [0xA0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, padding];
            assert_eq!(Header::parse(&padded), None);
        }
        assert_eq!(header_length(&[0x40; 12]), None);
    }

    #[test]
    fn an_outgoing_header_reads_back() {
        let sent = Outgoing { marker: true, payload_type: 8, sequence: 65_535, timestamp: 7, ssrc: 99 };
        let read = Header::parse(&sent.bytes()).unwrap();
        assert_eq!((read.marker, read.payload_type, read.sequence), (true, 8, 65_535));
        assert_eq!((read.timestamp, read.ssrc, read.payload), (7, 99, 12..12));
    }
}
