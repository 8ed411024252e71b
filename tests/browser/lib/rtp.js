// A plain RTP endpoint (RFC 3550): plays a tone as G.711, keeps what it hears, collects telephone events (RFC 4733).
import dgram from 'node:dgram';
import { once } from 'node:events';
import { PCMU } from './g711.js';
import { share, sine } from './sound.js';
import { Watch } from './watch.js';

export class RtpPeer {
  /** Telephone events in the order they ended, as characters. */
  keys = '';
  packets = 0;
  /** `performance.now()` of the first packet with anything audible in it. */
  soundAt = null;
  watch = new Watch();

  #socket;
  #heard = new Float32Array(0);
  #endedEvents = new Set();
  #playing = null;
  #codec = PCMU;
  #sequence = 1000;
  #sent = 0;

  static async open(address = '127.0.0.1') {
    const peer = new RtpPeer();
    peer.#socket = dgram.createSocket('udp4');
    peer.#socket.bind(0, address);
    await once(peer.#socket, 'listening');
    peer.#socket.on('message', (packet) => peer.#receive(packet));
    return peer;
  }

  get port() {
    return this.#socket.address().port;
  }

  /** Sends a tone to the address until `close` or `mute`. */
  play(hertz, { address, port }, codec = PCMU) {
    this.mute();
    this.#codec = codec;
    const ssrc = 0x5eed0000 + this.port;
    const begun = performance.now();
    // A timer that comes late sends what is due, so that the mean rate is exact.
    const due = () => Math.floor((performance.now() - begun) / PACKET_MILLISECONDS) + 1;
    let count = 0;
    this.#playing = setInterval(() => {
      for (; count < due(); count += 1) this.#send(hertz, ssrc, address, port);
    }, PACKET_MILLISECONDS);
  }

  mute() {
    clearInterval(this.#playing);
    this.#playing = null;
  }

  /** Resolves once the last half second heard is mostly this tone. */
  async hears(hertz, milliseconds) {
    await this.watch.until(`a tone of ${hertz} Hz in RTP`, () => this.shareOf(hertz) > CLEAR, milliseconds);
    return this.shareOf(hertz);
  }

  /** What was heard until now no longer counts. */
  forget() {
    this.#heard = new Float32Array(0);
  }

  /** Forgets what was heard, then resolves once half a second of something without any tone came in. */
  async hearsSilence(milliseconds) {
    this.forget();
    await this.watch.until('silence in RTP', () => this.#heard.length === WINDOW && power(this.#heard) < AUDIBLE, milliseconds);
  }

  shareOf(hertz) {
    return this.#heard.length < WINDOW ? 0 : share(this.#heard, hertz, RATE);
  }

  async hearsKeys(keys, milliseconds) {
    await this.watch.until(`the keys ${keys} as telephone events`, () => this.keys.endsWith(keys), milliseconds);
  }

  close() {
    this.mute();
    this.#socket.close();
  }

  #send(hertz, ssrc, address, port) {
    const packet = Buffer.alloc(12 + SAMPLES);
    packet[0] = 0x80;
    packet[1] = this.#codec.payloadType | (this.#sent === 0 ? 0x80 : 0);
    packet.writeUInt16BE(this.#sequence & 0xffff, 2);
    packet.writeUInt32BE((this.#sent * SAMPLES) >>> 0, 4);
    packet.writeUInt32BE(ssrc >>> 0, 8);
    this.#codec.encode(sine(hertz, RATE, SAMPLES, this.#sent * SAMPLES)).copy(packet, 12);
    this.#sequence += 1;
    this.#sent += 1;
    this.#socket.send(packet, port, address);
  }

  #receive(packet) {
    if (packet.length < 12 || packet[0] >> 6 !== 2) return;
    this.packets += 1;
    const payloadType = packet[1] & 0x7f;
    const payload = packet.subarray(12 + 4 * (packet[0] & 0x0f));
    if (payloadType === this.#codec.payloadType) this.#hear(payload);
    else if (payloadType === EVENT_TYPE && payload.length >= 4) this.#event(packet.readUInt32BE(4), payload);
    this.watch.changed();
  }

  #hear(payload) {
    const samples = this.#codec.decode(payload);
    if (this.soundAt === null && power(samples) > AUDIBLE) this.soundAt = performance.now();
    const joined = new Float32Array(this.#heard.length + samples.length);
    joined.set(this.#heard);
    joined.set(samples, this.#heard.length);
    this.#heard = joined.slice(-WINDOW);
  }

  /** RFC 4733 §2.5.1.4: the end is sent three times with one timestamp, and counts once. */
  #event(timestamp, payload) {
    if (!(payload[1] & 0x80) || this.#endedEvents.has(timestamp)) return;
    this.#endedEvents.add(timestamp);
    this.keys += '0123456789*#ABCD'[payload[0]] ?? '?';
  }
}

/** The payload type that our SDP gives to telephone-event. */
export const EVENT_TYPE = 101;

function power(samples) {
  return samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
}

const RATE = 8000;
const PACKET_MILLISECONDS = 20;
const SAMPLES = (RATE * PACKET_MILLISECONDS) / 1000;
const WINDOW = RATE / 2;
/** Mean power, about -50 dB of full scale. */
const AUDIBLE = 1e-5;
/** Share of the power that a tone must have to count as heard; a stray tone or noise has below 0.1. */
const CLEAR = 0.6;
