// The network between a browser and the gateway's signalling: TCP that the test can cut.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

export class Line {
  #server;
  #pairs = new Set();

  /** Leads to `port` of this machine. */
  static async to(port) {
    const line = new Line();
    line.#server = createServer((near) => line.#join(near, connect(port, '127.0.0.1')));
    line.#server.listen(0, '127.0.0.1');
    await once(line.#server, 'listening');
    return line;
  }

  get port() {
    return this.#server.address().port;
  }

  /** Breaks what goes over it now; new connections work. */
  cut() {
    for (const pair of this.#pairs) for (const socket of pair) socket.resetAndDestroy();
  }

  async close() {
    this.#server.close();
    this.cut();
  }

  #join(near, far) {
    const pair = [near, far];
    this.#pairs.add(pair);
    near.pipe(far).pipe(near);
    for (const socket of pair) {
      socket.on('error', () => {});
      socket.on('close', () => {
        this.#pairs.delete(pair);
        for (const other of pair) other.destroy();
      });
    }
  }
}
