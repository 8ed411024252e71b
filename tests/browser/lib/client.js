// Drives a stock JsSIP or SIP.js in a page of the server's origin.
import { build } from 'esbuild';

export const LIBRARIES = ['jssip', 'sipjs'];

export class Client {
  #page;

  /** `origin` is the gateway's, so that its rule on origins holds for the page too. */
  static async open(browser, library, origin) {
    const page = await browser.newPage();
    const script = await bundle(library);
    // Any answer of the server makes the page one of its origin; the script is put into it from outside.
    await page.goto(`${origin}/test-client`);
    await page.evaluate(script);
    const client = new Client();
    client.#page = page;
    client.library = library;
    client.origin = origin;
    return client;
  }

  async register(user, password, options = {}) {
    const server = `${this.origin.replace(/^http/, 'ws')}/ws`;
    const domain = new URL(this.origin).hostname;
    await this.#do('register', { server, domain, user, password, ...options });
  }

  async isRegistered() {
    await this.sees('registration', 'registered');
  }

  unregister = () => this.#do('unregister');
  call = (number) => this.#do('call', number);
  answer = () => this.#do('answer');
  reject = () => this.#do('reject');
  hangUp = () => this.#do('hangUp');
  hold = () => this.#do('hold');
  resume = () => this.#do('resume');
  /** `how`: 'rtp' (RFC 4733) or 'info'. */
  sendKey = (key, how = 'rtp') => this.#do('sendKey', key, how);
  caller = () => this.#do('caller');

  /** Waits for a state; resolves with all that the client has seen. */
  async sees(what, state) {
    try {
      await this.#page.waitForFunction(([name, wanted]) => globalThis.client.seen[name] === wanted, [what, state], { polling: 20 });
    } catch (error) {
      const seen = await this.seen();
      throw new Error(`${this.library} never saw ${what} ${state}: ${JSON.stringify(seen)}`, { cause: error });
    }
    return this.seen();
  }

  seen() {
    return this.#page.evaluate(() => globalThis.client.seen);
  }

  async hears(hertz) {
    await this.#page.waitForFunction((tone) => globalThis.client.hears(tone), hertz, { polling: 50 });
  }

  async hearsNothing() {
    await this.#page.waitForFunction(() => globalThis.client.hearsNothing(), null, { polling: 100 });
  }

  async hearsSomething() {
    await this.#page.waitForFunction(() => globalThis.client.hearsSomething(), null, { polling: 50 });
  }

  /** Milliseconds from the answer to the first packet of the other side; 0 if the sound was there before. */
  async soundDelay() {
    await this.#page.waitForFunction(() => globalThis.client.seen.soundAt !== null, null, { polling: 20 });
    const { answeredAt, soundAt } = await this.seen();
    return Math.max(0, soundAt - answeredAt);
  }

  /** Closes the tab without a word to the gateway, as a crash does. */
  close() {
    return this.#page.context().close();
  }

  #do(verb, ...given) {
    return this.#page.evaluate(([name, values]) => globalThis.client[name](...values), [verb, given]);
  }
}

const bundles = new Map();

async function bundle(library) {
  if (!bundles.has(library)) bundles.set(library, bundled(library));
  return bundles.get(library);
}

async function bundled(library) {
  const entry = new URL(`../clients/${library}.js`, import.meta.url).pathname;
  const { outputFiles } = await build({ entryPoints: [entry], bundle: true, write: false, format: 'iife', logLevel: 'warning' });
  return outputFiles[0].text;
}
