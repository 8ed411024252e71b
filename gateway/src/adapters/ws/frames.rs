//! Where frames and messages begin and end in the bytes that come in (RFC 6455 §5.2).
//!
//! The library tells of whole messages only; a time limit needs to know what has begun.

/// Follows one direction of a WebSocket. What breaks the protocol is left to the library, which ends the connection.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// The head of a frame, as far as it came.
    head: [u8; LONGEST_HEAD],
    head_length: usize,
    /// Bytes of the payload still to come.
    payload: u64,
    /// A data frame was not the last of its message.
    fragmented: bool,
    /// Messages, and control frames between them, that have begun.
    begun: u64,
    /// Bytes of the payloads of the message that has begun, as far as heads of frames told.
    announced: u64,
}

impl Frames {
    /// Bytes came in.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) {
        while let Some((&first, rest)) = bytes.split_first() {
            if self.payload > 0 {
                let here = bytes.len().min(usize::try_from(self.payload).unwrap_or(usize::MAX));
                self.payload -= here as u64;
                bytes = &bytes[here..];
            } else {
                self.take_head(first);
                bytes = rest;
            }
            if self.payload == 0 && self.head_length > 0 && self.head_length == self.head_wanted() {
                self.end_frame();
            }
        }
    }

    /// The number of the message that has begun and not ended, of a control frame if there is only that.
    pub(super) fn unfinished(&self) -> Option<u64> {
        (self.head_length > 0 || self.fragmented).then_some(self.begun)
    }

    /// Bytes for which room may have been made: those of the message that has begun, come or still to come.
    pub(super) fn announced(&self) -> usize {
        usize::try_from(self.announced).unwrap_or(usize::MAX)
    }

    fn take_head(&mut self, byte: u8) {
        if self.head_length == 0 && !self.fragmented {
            self.begun += 1;
        }
        if let Some(place) = self.head.get_mut(self.head_length) {
            *place = byte;
            self.head_length += 1;
        }
        if self.head_length == self.head_wanted() {
            self.payload = self.payload_length();
            self.announced = self.announced.saturating_add(self.payload);
        }
    }

    fn end_frame(&mut self) {
        let is_control = self.head[0] & CONTROL != 0;
        if !is_control {
            self.fragmented = self.head[0] & FINAL == 0;
        }
        self.head_length = 0;
        if !self.fragmented {
            self.announced = 0;
        }
    }

    /// Bytes of the head, as far as its beginning tells.
    fn head_wanted(&self) -> usize {
        if self.head_length < 2 {
            return 2;
        }
        let length = match self.head[1] & !MASKED {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        2 + length + if self.head[1] & MASKED != 0 { 4 } else { 0 }
    }

    fn payload_length(&self) -> u64 {
        let extended = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        match self.head[1] & !MASKED {
            126 => extended(&self.head[2..4]),
            127 => extended(&self.head[2..10]),
            short => short.into(),
        }
    }
}

/// Two bytes, a length of eight, a mask of four.
const LONGEST_HEAD: usize = 14;
const FINAL: u8 = 0x80;
const CONTROL: u8 = 0x08;
const MASKED: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;

    /// A masked frame.
    fn frame(first: u8, payload: usize) -> Vec<u8> {
        let mut bytes = vec![first];
        match payload {
            0..126 => bytes.push(MASKED | u8::try_from(payload).unwrap_or_default()),
            126..65_536 => {
                bytes.push(MASKED | 126);
                bytes.extend(u16::try_from(payload).unwrap_or_default().to_be_bytes());
            }
            _ => {
                bytes.push(MASKED | 127);
                bytes.extend((payload as u64).to_be_bytes());
            }
        }
        bytes.extend([1, 2, 3, 4]);
        bytes.resize(bytes.len() + payload, 0xff);
        bytes
    }

    #[test]
    fn a_frame_of_any_length_is_unfinished_until_its_last_byte() {
        for payload in [0, 1, 125, 126, 65_535, 65_536] {
            let bytes = frame(0x81, payload);
            let mut frames = Frames::default();
            assert_eq!(frames.unfinished(), None);
            for byte in &bytes[..bytes.len() - 1] {
                frames.feed(std::slice::from_ref(byte));
                assert_eq!(frames.unfinished(), Some(1), "{payload}");
            }
            frames.feed(&bytes[bytes.len() - 1..]);
            assert_eq!(frames.unfinished(), None, "{payload}");
        }
    }

    #[test]
    fn half_a_frame_behind_a_whole_one_is_seen() {
        let mut frames = Frames::default();
        let bytes = [frame(0x81, 5), frame(0x81, 5)].concat();
        frames.feed(&bytes[..bytes.len() - 1]);
        assert_eq!(frames.unfinished(), Some(2));
    }

    #[test] // RFC 6455 §5.4: control frames may come between fragments
    fn pings_between_fragments_do_not_make_the_message_younger() {
        let mut frames = Frames::default();
        frames.feed(&frame(0x01, 3));
        for _ in 0..3 {
            frames.feed(&frame(0x89, 0));
            assert_eq!(frames.unfinished(), Some(1));
            frames.feed(&frame(0x00, 3));
            assert_eq!(frames.unfinished(), Some(1));
        }
        frames.feed(&frame(0x80, 0));
        assert_eq!(frames.unfinished(), None);
        frames.feed(&frame(0x89, 2)[..3]);
        assert_eq!(frames.unfinished(), Some(2));
    }
}
