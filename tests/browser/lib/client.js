// Drives a stock JsSIP or SIP.js in a page of the server's origin.
import { build } from 'esbuild';

export const LIBRARIES = ['jssip', 'sipjs'];

export class Client {
  #page;

  /** `origin` is the gateway's, so that its rule on origins holds for the page too. */
  static async open(browser, library, origin, options) {
    const page = await browser.newPage(options);
    const script = await bundle(library);
    // Any answer of the server makes the page one of its origin; the script is put into it from outside.
    await page.goto(`${origin}/test-client`, { waitUntil: 'domcontentloaded' });
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
  /** In the page: see `newPage`. */
  evaluate = (...given) => this.#page.evaluate(...given);
  waitFor = (what, given, timeout) => this.#page.waitForFunction(what, given, { polling: 200, timeout });
  hold = () => this.#do('hold');
  resume = () => this.#do('resume');
  /** `how`: 'rtp' (RFC 4733) or 'info'. */
  sendKey = (key, how = 'rtp') => this.#do('sendKey', key, how);
  iceServers = () => this.#do('iceServers');
  caller = () => this.#do('caller');

  /** Waits for a state; resolves with all that the client has seen. */
  async sees(what, state) {
    await this.#becomes(`${what} ${state}`, ([name, wanted]) => globalThis.client.seen[name] === wanted, [what, state], 20);
    return this.seen();
  }

  seen() {
    return this.#page.evaluate(() => globalThis.client.seen);
  }

  async hears(hertz) {
    await this.#becomes(`a tone of ${hertz} Hz`, (tone) => globalThis.client.hears(tone), hertz, 50);
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

  async #becomes(what, check, given, polling) {
    try {
      await this.#page.waitForFunction(check, given, { polling });
    } catch (error) {
      const seen = JSON.stringify(await this.seen());
      throw new Error(`${this.library} never had ${what}: ${seen}`, { cause: error });
    }
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
