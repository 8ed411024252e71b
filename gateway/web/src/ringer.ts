// Ring tones made by WebAudio: one for a call that comes in, one heard while the other side rings.

export type Ring = 'incoming' | 'ringback';

export class Ringer {
  private playing: Ring | null = null;
  private timer: ReturnType<typeof setInterval> | undefined;
  private gain: GainNode | null = null;

  constructor(private readonly audio: () => AudioContext) {}

  play(ring: Ring | null): void {
    if (ring === this.playing) return;
    this.stop();
    this.playing = ring;
    if (!ring) return;
    const cadence = CADENCES[ring];
    this.burst(cadence);
    this.timer = setInterval(() => this.burst(cadence), cadence.everySeconds * 1000);
  }

  private stop(): void {
    clearInterval(this.timer);
    this.gain?.disconnect();
    this.gain = null;
  }

  private burst({ hertz, bursts, volume }: Cadence): void {
    const audio = this.audio();
    this.gain?.disconnect();
    this.gain = audio.createGain();
    this.gain.gain.value = 0;
    this.gain.connect(audio.destination);
    for (const [start, length] of bursts) {
      const from = audio.currentTime + start;
      this.gain.gain.setTargetAtTime(volume, from, RAMP_SECONDS);
      this.gain.gain.setTargetAtTime(0, from + length, RAMP_SECONDS);
      for (const frequency of hertz) {
        const tone = audio.createOscillator();
        tone.frequency.value = frequency;
        tone.connect(this.gain);
        tone.start(from);
        tone.stop(from + length + 0.2);
      }
    }
  }
}

interface Cadence {
  hertz: number[];
  /** Start and length of each burst, in seconds. */
  bursts: [number, number][];
  everySeconds: number;
  volume: number;
}

const RAMP_SECONDS = 0.015;
const CADENCES: Record<Ring, Cadence> = {
  incoming: { hertz: [659.3, 830.6], bursts: [[0, 0.35], [0.5, 0.35]], everySeconds: 2.4, volume: 0.12 },
  ringback: { hertz: [425], bursts: [[0, 1]], everySeconds: 5, volume: 0.05 },
};
