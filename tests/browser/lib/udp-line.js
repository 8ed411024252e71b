// The network between a browser and the relay: UDP that the test can stop.
import dgram from 'node:dgram';
import { once } from 'node:events';
import { networkInterfaces } from 'node:os';

export class UdpLine {
  /** Nothing comes through in either direction. */
  stopped = false;
  #socket;
  #target;
  #ways = new Map();

  /** From this port of OUTSIDE to the same one of 127.0.0.1. */
  static async to(port) {
    const line = new UdpLine();
    line.#target = port;
    line.#socket = dgram.createSocket('udp4').bind(port, OUTSIDE);
    line.#socket.on('message', (data, from) => line.#carry(data, from));
    await once(line.#socket, 'listening');
    return line;
  }

  close() {
    this.#socket.close();
    for (const way of this.#ways.values()) way.close();
  }

  #carry(data, from) {
    if (!this.stopped) this.#way(from).send(data, this.#target, '127.0.0.1');
  }

  /** A socket for each of the browser's, as a NAT has. */
  #way(from) {
    const key = `${from.address}:${from.port}`;
    if (!this.#ways.has(key)) {
      // Firefox takes no answer in which the relay saw it come from loopback.
      const way = dgram.createSocket('udp4').bind(0, OUTSIDE);
      way.on('message', (data) => this.stopped || this.#socket.send(data, from.port, from.address));
      this.#ways.set(key, way);
    }
    return this.#ways.get(key);
  }
}

/** Where the browser is told that the relay is: not on loopback if there is anything else, because of Firefox. */
export const OUTSIDE = Object.values(networkInterfaces()).flat().find((one) => !one.internal && one.family === 'IPv4')?.address ?? '127.0.0.2';
