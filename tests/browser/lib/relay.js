// A media relay of its own for a gateway under test.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export class Relay {
  #process;

  /** `folder`: where its configuration is written; `sections`: more of it. */
  static async start(folder, sections) {
    const relay = new Relay();
    const config = join(folder, 'relay.toml');
    await writeFile(config, '[control]\nlisten = "127.0.0.1:0"\n[admin]\nlisten = "off"\n' + sections);
    relay.#process = spawn(BINARY, ['run', '--config', config], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = await once(createInterface({ input: relay.#process.stdout }), 'line');
    relay.url = line.match(/^Control: +(http:.*)\/v1$/)[1];
    return relay;
  }

  /** How many sessions it has. */
  async sessions() {
    return (await (await fetch(`${this.url}/v1/status`)).json()).sessions;
  }

  /** Stands still until it is resumed. */
  suspend() {
    this.#process.kill('SIGSTOP');
  }

  resume() {
    this.#process.kill('SIGCONT');
  }

  async stop() {
    if (this.#process.signalCode !== null) return;
    this.#process.kill('SIGKILL');
    await once(this.#process, 'exit');
  }
}

/** The binary under test. */
const BINARY = process.env.MEDIA_RELAY_BIN ?? new URL('../../../target/debug/media-relay', import.meta.url).pathname;
