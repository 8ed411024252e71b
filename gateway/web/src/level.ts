// How loud a stream is, as a number from 0 (silence) to 1 (full scale).

export class Level {
  private readonly analyser: AnalyserNode;
  private readonly source: MediaStreamAudioSourceNode;
  private readonly samples: Float32Array<ArrayBuffer>;

  constructor(audio: AudioContext, stream: MediaStream) {
    this.analyser = audio.createAnalyser();
    this.analyser.fftSize = 1024;
    this.samples = new Float32Array(this.analyser.fftSize);
    this.source = audio.createMediaStreamSource(stream);
    this.source.connect(this.analyser);
  }

  read(): number {
    this.analyser.getFloatTimeDomainData(this.samples);
    const power = this.samples.reduce((sum, sample) => sum + sample * sample, 0) / this.samples.length;
    const decibels = 10 * Math.log10(power + 1e-12);
    return Math.min(1, Math.max(0, 1 + decibels / RANGE_DECIBELS));
  }

  close(): void {
    this.source.disconnect();
  }
}

/** The quietest sound that still moves the meter, below full scale. */
const RANGE_DECIBELS = 60;
