//! The formats of an m-line of sound.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::description::Payload;
use super::limits;
use super::words::{Fault, cut, is_printable, is_token, number};

/// Where each payload type of the line lies in its list of formats, while its attributes are read.
pub(super) struct AudioLine {
    slots: [u8; 128],
}

impl AudioLine {
    /// One without formats.
    pub(super) const NONE: Self = Self { slots: [NO_SLOT; 128] };

    /// The line and its formats, and what was wrong with one that is left out. Static types have their meaning at once
    /// (RFC 3551 §6), dynamic ones wait for `rtpmap`.
    pub(super) fn start<'a>(words: impl Iterator<Item = &'a str>) -> (Self, Vec<Payload<'a>>, Option<Fault>) {
        let mut line = Self::NONE;
        let mut formats = Vec::with_capacity(FORMATS_USUAL);
        let mut fault = None;
        for word in words {
            if let Err(what) = line.add(&mut formats, word) {
                fault = fault.or(Some(what));
            }
        }
        (line, formats, fault)
    }

    fn add(&mut self, formats: &mut Vec<Payload<'_>>, word: &str) -> Result<(), Fault> {
        let payload_type: u8 = number(word).ok_or("bad payload type")?;
        let slot = self.slots.get_mut(usize::from(payload_type)).ok_or("bad payload type")?;
        if *slot == NO_SLOT {
            let at = u8::try_from(formats.len()).ok().filter(|at| *at < limits::FORMATS);
            *slot = at.ok_or("too many formats")?;
            formats.push(static_payload(payload_type));
        }
        Ok(())
    }

    /// `<payload type> <name>/<clock rate>[/<channels>]`, RFC 8866 §6.6. Of a type not on the m-line: nothing. One that
    /// can't be read changes nothing, so a dynamic type stays without meaning.
    pub(super) fn rtpmap<'a>(&self, formats: &mut [Payload<'a>], value: &'a str) -> Result<(), Fault> {
        let (payload_type, encoding) = cut(value.trim_ascii(), b' ').ok_or("bad rtpmap")?;
        let Some(payload) = self.payload(formats, payload_type)? else { return Ok(()) };
        let (name, rest) = cut(encoding.trim_ascii(), b'/').ok_or("rtpmap without clock rate")?;
        let (clock_rate, channels) = cut(rest, b'/').unwrap_or((rest, "1"));
        let name = Some(name).filter(|name| is_token(name)).ok_or("bad rtpmap")?;
        let clock_rate = number(clock_rate).ok_or("rtpmap without clock rate")?;
        let channels = number(channels).ok_or("bad rtpmap")?;
        *payload = Payload { name, clock_rate, channels, ..*payload };
        Ok(())
    }

    /// `<payload type> <parameters>`, RFC 8866 §6.15.
    pub(super) fn fmtp<'a>(&self, formats: &mut [Payload<'a>], value: &'a str) -> Result<(), Fault> {
        let (payload_type, parameters) = cut(value.trim_ascii(), b' ').ok_or("bad fmtp")?;
        if let Some(payload) = self.payload(formats, payload_type)? {
            payload.fmtp = Some(parameters).filter(|text| is_printable(text, limits::FMTP));
        }
        Ok(())
    }

    fn payload<'m, 'a>(
        &self,
        formats: &'m mut [Payload<'a>],
        word: &str,
    ) -> Result<Option<&'m mut Payload<'a>>, Fault> {
        let payload_type: u8 = number(word).ok_or("bad payload type")?;
        let slot = self.slots.get(usize::from(payload_type)).copied().unwrap_or(NO_SLOT);
        Ok(formats.get_mut(usize::from(slot)))
    }
}

/// RFC 3551 table 4; an empty name is a type without meaning yet.
fn static_payload<'a>(payload_type: u8) -> Payload<'a> {
    let (name, clock_rate) = match payload_type {
        0 => ("PCMU", 8_000),
        3 => ("GSM", 8_000),
        4 => ("G723", 8_000),
        8 => ("PCMA", 8_000),
        9 => ("G722", 8_000),
        13 => ("CN", 8_000),
        15 => ("G728", 8_000),
        18 => ("G729", 8_000),
        _ => ("", 0),
    };
    Payload { payload_type, name, clock_rate, channels: 1, fmtp: None }
}

const NO_SLOT: u8 = u8::MAX;
/// Room without a second allocation for what browsers send.
const FORMATS_USUAL: usize = 12;
