// Tones: made, stored as WAV, and found again by frequency.
import { writeFile } from 'node:fs/promises';

/** Samples of a sine, from -1 to 1. `start` is the number of the first sample, so that calls can be joined. */
export function sine(hertz, rate, count, start = 0, volume = 0.5) {
  return Float32Array.from({ length: count }, (_, i) => volume * Math.sin((2 * Math.PI * hertz * (start + i)) / rate));
}

/**
 * How much of the power in `samples` is at `hertz`: near 1 for that tone alone, near 0 for silence, noise or another
 * tone (Goertzel's algorithm).
 */
export function share(samples, hertz, rate) {
  const coefficient = 2 * Math.cos((2 * Math.PI * hertz) / rate);
  let [previous, last, total] = [0, 0, 0];
  for (const sample of samples) {
    [previous, last] = [last, sample + coefficient * last - previous];
    total += sample * sample;
  }
  if (total / samples.length < SILENCE) return 0;
  const power = last * last + previous * previous - coefficient * last * previous;
  return (2 * power) / (samples.length * total);
}

/** One second of the tone, which the fake microphone plays in a loop; whole periods, so the loop has no click. */
export async function writeWav(path, hertz, rate = 48_000) {
  const samples = sine(Math.round(hertz), rate, rate);
  const file = Buffer.alloc(44 + samples.length * 2);
  file.write('RIFF', 0);
  file.writeUInt32LE(file.length - 8, 4);
  file.write('WAVEfmt ', 8);
  file.writeUInt32LE(16, 16);
  file.writeUInt16LE(1, 20);
  file.writeUInt16LE(1, 22);
  file.writeUInt32LE(rate, 24);
  file.writeUInt32LE(rate * 2, 28);
  file.writeUInt16LE(2, 32);
  file.writeUInt16LE(16, 34);
  file.write('data', 36);
  file.writeUInt32LE(samples.length * 2, 40);
  samples.forEach((sample, i) => file.writeInt16LE(Math.round(sample * 32_767), 44 + 2 * i));
  await writeFile(path, file);
}

/** Mean power below which there is no sound to speak of, about -60 dB of full scale. */
const SILENCE = 1e-6;
