//! RTCP: RFC 3550 §6. Reports are read for what they tell of our stream, and written for what we hear.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

/// One thing that a compound tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// A sender's report: who, and the middle 32 bits of its NTP time.
    Sender {
        /// Who sends.
        ssrc: u32,
        /// To be given back as LSR.
        ntp_middle: u32,
    },
    /// What somebody hears of a stream.
    Block(Block),
}

/// A report block: RFC 3550 §6.4.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// Of whom it speaks.
    pub ssrc: u32,
    /// Lost of 256 since the last report.
    pub fraction_lost: u8,
    /// Lost since the start, 24 bits signed.
    pub lost: i32,
    /// Sequence number with its cycles.
    pub highest_sequence: u32,
    /// In units of the format's clock.
    pub jitter: u32,
    /// Middle 32 bits of the last sender report's NTP time, 0 if none.
    pub last_report: u32,
    /// Since then, in 1/65,536 s.
    pub delay: u32,
}

/// What we send, if we have sent anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderInfo {
    /// Now, as NTP time; RFC 3550 §6.4.1 allows the time since the start.
    pub ntp: u64,
    /// Now, in units of the format's clock.
    pub timestamp: u32,
    /// Packets since the start.
    pub packets: u32,
    /// Payload bytes since the start.
    pub octets: u32,
}

/// Reads a compound; malformed parts end it. `visit` is called at most once per 24 bytes.
pub fn read(compound: &[u8], mut visit: impl FnMut(Item)) {
    let mut rest = compound;
    while let Some(([first, kind, words0, words1], body)) = rest.split_first_chunk::<4>() {
        let words = usize::from(u16::from_be_bytes([*words0, *words1]));
        let Some((packet, after)) = body.split_at_checked(words.saturating_mul(4)) else { return };
        if first & 0xC0 != VERSION {
            return;
        }
        let blocks = match *kind {
            SENDER_REPORT => sender(packet, &mut visit),
            RECEIVER_REPORT => packet.get(4..),
            _ => None,
        };
        let count = usize::from(first & 0x1F);
        for chunk in blocks.unwrap_or_default().chunks_exact(BLOCK).take(count) {
            if let Some(block) = Block::read(chunk) {
                visit(Item::Block(block));
            }
        }
        rest = after;
    }
}

/// SSRC and sender info; what follows are the blocks.
fn sender<'a>(packet: &'a [u8], visit: &mut impl FnMut(Item)) -> Option<&'a [u8]> {
    let (ssrc, _) = word(packet)?;
    let (ntp_middle, _) = word(packet.get(6..)?)?;
    visit(Item::Sender { ssrc, ntp_middle });
    packet.get(24..)
}

impl Block {
    fn read(bytes: &[u8]) -> Option<Self> {
        let (ssrc, rest) = word(bytes)?;
        let (losses, rest) = word(rest)?;
        let (highest_sequence, rest) = word(rest)?;
        let (jitter, rest) = word(rest)?;
        let (last_report, rest) = word(rest)?;
        let (delay, _) = word(rest)?;
        let [fraction_lost, ..] = losses.to_be_bytes();
        // The sign is bit 23.
        let lost = losses.wrapping_shl(8).cast_signed() >> 8;
        Some(Self { ssrc, fraction_lost, lost, highest_sequence, jitter, last_report, delay })
    }

    fn write(&self, out: &mut Writer<'_>) {
        let lost = self.lost.clamp(-0x80_0000, 0x7F_FFFF).cast_unsigned() & 0xFF_FFFF;
        out.word(self.ssrc);
        out.word(u32::from(self.fraction_lost).wrapping_shl(24) | lost);
        out.word(self.highest_sequence);
        out.word(self.jitter);
        out.word(self.last_report);
        out.word(self.delay);
    }
}

/// Writes a compound of a report and our name (RFC 3550 §6.1); its length in `out`, 0 if it does not fit.
pub fn write(
    out: &mut [u8],
    ssrc: u32,
    sender: Option<&SenderInfo>,
    block: Option<&Block>,
    cname: &[u8; CNAME],
) -> usize {
    let mut writer = Writer { out, length: Some(0) };
    let kind = if sender.is_some() { SENDER_REPORT } else { RECEIVER_REPORT };
    let info_words: u16 = if sender.is_some() { 5 } else { 0 };
    let (count, block_words): (u8, u16) = if block.is_some() { (1, 6) } else { (0, 0) };
    let [words0, words1] = info_words.saturating_add(block_words).saturating_add(1).to_be_bytes();
    writer.push(&[VERSION | count, kind, words0, words1]);
    writer.word(ssrc);
    if let Some(info) = sender {
        writer.push(&info.ntp.to_be_bytes());
        writer.word(info.timestamp);
        writer.word(info.packets);
        writer.word(info.octets);
    }
    if let Some(block) = block {
        block.write(&mut writer);
    }
    // RFC 3550 §6.5: one chunk with the CNAME, ended by a zero and filled up to a word.
    writer.push(&[VERSION | 1, DESCRIPTION, 0, 6]);
    writer.word(ssrc);
    writer.push(&[CNAME_ITEM, CNAME as u8]);
    writer.push(cname);
    writer.push(&[0, 0]);
    writer.length.unwrap_or(0)
}

struct Writer<'a> {
    out: &'a mut [u8],
    length: Option<usize>,
}

impl Writer<'_> {
    fn word(&mut self, word: u32) {
        self.push(&word.to_be_bytes());
    }

    fn push(&mut self, bytes: &[u8]) {
        self.length = self.length.and_then(|length| {
            let end = length.checked_add(bytes.len())?;
            self.out.get_mut(length..end)?.copy_from_slice(bytes);
            Some(end)
        });
    }
}

fn word(bytes: &[u8]) -> Option<(u32, &[u8])> {
    bytes.split_first_chunk().map(|(word, rest)| (u32::from_be_bytes(*word), rest))
}

/// Characters of our CNAME (RFC 7022 §4.2: random, 96 bits).
pub const CNAME: usize = 16;

const VERSION: u8 = 0x80;
const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const DESCRIPTION: u8 = 202;
const CNAME_ITEM: u8 = 1;
const BLOCK: usize = 24;

#[cfg(test)]
mod tests {
    #![expect(clippy::indexing_slicing, reason = "tests")]

    use super::*;

    const REPORT: Block = Block {
        ssrc: 0x0102_0304,
        fraction_lost: 25,
        lost: -3,
        highest_sequence: 0x0001_FFFF,
        jitter: 77,
        last_report: 0xAABB_CCDD,
        delay: 65_536,
    };

    fn items(compound: &[u8]) -> Vec<Item> {
        let mut items = Vec::new();
        read(compound, |item| items.push(item));
        items
    }

    #[test]
    fn what_is_written_reads_back() {
        let info = SenderInfo { ntp: 0x0011_2233_4455_6677, timestamp: 160, packets: 9, octets: 1_440 };
        let mut out = [0; 128];
        let length = write(&mut out, 7, Some(&info), Some(&REPORT), b"0123456789abcdef");
        assert_eq!(length, 8 + 20 + 24 + 28);
        assert_eq!(
            items(&out[..length]),
            [Item::Sender { ssrc: 7, ntp_middle: 0x2233_4455 }, Item::Block(REPORT)]
        );
        let length = write(&mut out, 7, None, None, b"0123456789abcdef");
        assert_eq!(length, 8 + 28);
        assert_eq!(items(&out[..length]), []);
        assert_eq!(write(&mut out[..20], 7, Some(&info), None, b"0123456789abcdef"), 0);
    }

    #[test]
    fn a_compound_cut_anywhere_is_read_up_to_the_cut() {
        let info = SenderInfo { ntp: 1, timestamp: 2, packets: 3, octets: 4 };
        let mut out = [0; 128];
        let length = write(&mut out, 7, Some(&info), Some(&REPORT), b"0123456789abcdef");
        for cut in 0..length {
            assert!(items(&out[..cut]).len() <= 2);
        }
        assert_eq!(items(&[0x9F, 201, 0xFF, 0xFF, 0, 0]), []);
    }
}
