// What a test page hears: how much of the remote sound is one tone.
export class Ears {
  #audio = new AudioContext();
  #analyser = null;
  #element = document.body.appendChild(document.createElement('audio'));

  /** Chromium hands the sound of a peer to WebAudio only while an element plays it too. */
  listenTo(stream) {
    this.#element.srcObject = stream;
    this.#element.autoplay = true;
    this.#analyser = this.#audio.createAnalyser();
    this.#analyser.fftSize = 8192;
    this.#audio.createMediaStreamSource(stream).connect(this.#analyser);
  }

  /** As `share` in lib/sound.js. */
  share(hertz) {
    const samples = this.#samples();
    const coefficient = 2 * Math.cos((2 * Math.PI * hertz) / this.#audio.sampleRate);
    let [previous, last, total] = [0, 0, 0];
    for (const sample of samples) {
      [previous, last] = [last, sample + coefficient * last - previous];
      total += sample * sample;
    }
    if (!samples.length || total / samples.length < SILENCE) return 0;
    const power = last * last + previous * previous - coefficient * last * previous;
    return (2 * power) / (samples.length * total);
  }

  isSilent() {
    return !this.hearsAnything();
  }

  hearsAnything() {
    const samples = this.#samples();
    return samples.reduce((sum, sample) => sum + sample * sample, 0) / Math.max(1, samples.length) > SILENCE;
  }

  #samples() {
    if (!this.#analyser) return new Float32Array(0);
    const samples = new Float32Array(this.#analyser.fftSize);
    this.#analyser.getFloatTimeDomainData(samples);
    return samples;
  }
}

const SILENCE = 1e-6;
