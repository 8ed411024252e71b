//! What the relay plays itself: a melody in G.711.

use std::f32::consts::TAU;

use relay_api::Codec;

/// Which G.711 law a leg takes, and under which payload type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct G711 {
    law: Law,
    pub(crate) payload_type: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Law {
    Mu,
    A,
}

impl G711 {
    /// The first of the list.
    pub(crate) fn of(codecs: &[Codec]) -> Option<Self> {
        codecs.iter().filter(|codec| codec.clock_rate == CLOCK_RATE).find_map(|codec| {
            let law = match codec.name.to_ascii_uppercase().as_str() {
                "PCMU" => Law::Mu,
                "PCMA" => Law::A,
                _ => return None,
            };
            Some(Self { law, payload_type: codec.send })
        })
    }
}

/// A melody without end.
#[derive(Default)]
pub(crate) struct Melody {
    note: usize,
    sample: u32,
    /// Of one turn.
    phase: f32,
}

impl Melody {
    /// The next 20 ms.
    pub(crate) fn play(&mut self, format: G711) -> [u8; FRAME] {
        std::array::from_fn(|_| {
            let sample = self.sample();
            match format.law {
                Law::Mu => mu_law(sample),
                Law::A => a_law(sample),
            }
        })
    }

    fn sample(&mut self) -> i16 {
        let (frequency, milliseconds) = NOTES[self.note];
        let length = milliseconds * CLOCK_RATE / 1_000;
        // Notes swell and fade over 10 ms, so that they do not click.
        let edge = self.sample.min(length - self.sample).min(FADE) as f32 / FADE as f32;
        let value = (self.phase * TAU).sin() * edge * AMPLITUDE;
        self.phase = (self.phase + frequency / CLOCK_RATE as f32).fract();
        self.sample += 1;
        if self.sample >= length {
            (self.note, self.sample) = ((self.note + 1) % NOTES.len(), 0);
        }
        value as i16
    }
}

/// ITU-T G.711, table 2: sign, three bits of segment, four of step, all inverted.
fn mu_law(sample: i16) -> u8 {
    let magnitude = sample.unsigned_abs().min(32_635) + 132;
    let segment = (magnitude >> 7).checked_ilog2().unwrap_or(0) as u8;
    let step = ((magnitude >> (segment + 3)) & 0x0F) as u8;
    let sign = if sample < 0 { 0x80 } else { 0 };
    !(sign | (segment << 4) | step)
}

/// ITU-T G.711, table 1: as above, every other bit inverted.
fn a_law(sample: i16) -> u8 {
    let magnitude = if sample < 0 { !sample } else { sample }.unsigned_abs() >> 3;
    let segment = (magnitude >> 5).checked_ilog2().map_or(0, |top| top as u8 + 1).min(7);
    let step = if segment < 2 { magnitude >> 1 } else { magnitude >> segment };
    let sign = if sample < 0 { 0 } else { 0x80 };
    (sign | (segment << 4) | (step & 0x0F) as u8) ^ 0x55
}

/// Hz and milliseconds: the opening of Beethoven's "Ode to Joy" (1824), in C.
const NOTES: [(f32, u32); 15] = [
    (659.26, 300),
    (659.26, 300),
    (698.46, 300),
    (783.99, 300),
    (783.99, 300),
    (698.46, 300),
    (659.26, 300),
    (587.33, 300),
    (523.25, 300),
    (523.25, 300),
    (587.33, 300),
    (659.26, 300),
    (659.26, 450),
    (587.33, 150),
    (587.33, 600),
];

/// Hz, of G.711.
pub(crate) const CLOCK_RATE: u32 = 8_000;
/// Samples of 20 ms.
pub(crate) const FRAME: usize = 160;
/// Samples of 10 ms.
const FADE: u32 = 80;
/// About −12 dB of full scale.
const AMPLITUDE: f32 = 8_000.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn mu_decode(code: u8) -> i32 {
        let code = !code;
        let magnitude = ((i32::from(code & 0x0F) << 3) + 132) << ((code >> 4) & 7);
        if code & 0x80 != 0 { 132 - magnitude } else { magnitude - 132 }
    }

    fn a_decode(code: u8) -> i32 {
        let code = code ^ 0x55;
        let (segment, step) = (i32::from((code >> 4) & 7), i32::from(code & 0x0F));
        let magnitude = if segment == 0 { (step << 4) + 8 } else { ((step << 4) + 0x108) << (segment - 1) };
        if code & 0x80 != 0 { magnitude } else { -magnitude }
    }

    #[test] // ITU-T G.711: the error stays within half a step, which is 1/32 of the value at most
    fn both_laws_decode_to_nearly_the_same() {
        for sample in (i16::MIN..=i16::MAX).step_by(7) {
            let value = i32::from(sample);
            for (decoded, least) in [(mu_decode(mu_law(sample)), 16), (a_decode(a_law(sample)), 17)] {
                let error = (decoded - value.clamp(-32_635, 32_635)).abs();
                assert!(error <= (value.abs() / 24).max(least), "{value} became {decoded}");
            }
        }
        assert_eq!((mu_law(0), a_law(0)), (0xFF, 0xD5));
    }

    #[test]
    fn the_melody_is_loud_and_repeats() {
        let format = G711 { law: Law::Mu, payload_type: 0 };
        let mut melody = Melody::default();
        let whole: u32 = NOTES.iter().map(|(_, milliseconds)| milliseconds).sum();
        for _ in 0..whole / 20 {
            let frame = melody.play(format);
            assert!(frame.iter().any(|code| mu_decode(*code).abs() > 1_000));
        }
        assert_eq!((melody.note, melody.sample), (0, 0));
    }
}
