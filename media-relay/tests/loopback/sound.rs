//! Tones as G.711 µ-law, and finding them again by frequency.

/// Samples of 20 ms at 8 kHz.
pub const FRAME: usize = 160;

/// A tone without end, frame by frame.
pub struct Tone {
    frequency: f64,
    sample: u64,
}

impl Tone {
    pub fn new(frequency: f64) -> Self {
        Self { frequency, sample: 0 }
    }

    pub fn frame(&mut self) -> [u8; FRAME] {
        std::array::from_fn(|_| {
            let angle = self.sample as f64 * self.frequency * std::f64::consts::TAU / 8_000.0;
            self.sample += 1;
            encode((angle.sin() * 12_000.0) as i32)
        })
    }
}

/// Is this frequency by far the loudest of those that the tests use?
pub fn is_tone(payload: &[u8], frequency: f64) -> bool {
    let samples: Vec<f64> = payload.iter().map(|code| f64::from(decode(*code))).collect();
    let wanted = goertzel(&samples, frequency);
    let whole: f64 = samples.iter().map(|sample| sample * sample).sum::<f64>().max(1.0);
    // A pure tone has half of N times its energy in its own bin.
    wanted > 0.35 * whole * samples.len() as f64
}

/// The power of one frequency (G. Goertzel, 1958).
fn goertzel(samples: &[f64], frequency: f64) -> f64 {
    let factor = 2.0 * (std::f64::consts::TAU * frequency / 8_000.0).cos();
    let (mut before, mut last) = (0.0, 0.0);
    for sample in samples {
        (before, last) = (last, sample + factor * last - before);
    }
    before * before + last * last - factor * before * last
}

/// ITU-T G.711, µ-law.
fn encode(sample: i32) -> u8 {
    let magnitude = sample.abs().min(32_635) + 132;
    let segment = (magnitude >> 7).ilog2();
    let sign = if sample < 0 { 0x80 } else { 0 };
    !(sign | (segment << 4) as u8 | ((magnitude >> (segment + 3)) & 0x0F) as u8)
}

fn decode(code: u8) -> i32 {
    let code = !code;
    let magnitude = ((i32::from(code & 0x0F) << 3) + 132) << ((code >> 4) & 7);
    if code & 0x80 != 0 { 132 - magnitude } else { magnitude - 132 }
}
