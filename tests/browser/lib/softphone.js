// The softphone page as a person uses it: fields, buttons, and what stands on the screen.
import assert from 'node:assert/strict';

export class Softphone {
  constructor(page, origin) {
    this.page = page;
    this.origin = origin;
  }

  static async open(browser, origin, options) {
    const page = await browser.newPage(options);
    const phone = new Softphone(page, origin);
    phone.errors = [];
    page.on('pageerror', (error) => CUT.test(error.message) || phone.errors.push(error));
    await page.goto(origin);
    return phone;
  }

  async signIn(user, password, { ice = '', keysAs = 'RFC2833' } = {}) {
    const { page } = this;
    await page.getByLabel('User').fill(user);
    await page.getByLabel('Password').fill(password);
    await page.getByText('Settings').click();
    await page.getByLabel('STUN server').fill(ice);
    await page.getByLabel('Keys in a call').selectOption(keysAs);
    // Noise reduction would take the test's tone for noise.
    await page.getByLabel('Reduce echo').uncheck();
    await page.getByRole('button', { name: 'Sign in' }).click();
  }

  async isSignedIn() {
    await this.shows('registration', 'registered');
  }

  async dial(number) {
    await this.page.getByLabel('Number or name').fill(number);
    await this.press('Call');
  }

  /** A key of the keyboard, wherever the focus is. */
  type(key) {
    return this.page.keyboard.press(key);
  }

  /** The id of what has the focus. */
  focused() {
    return this.page.evaluate(() => document.activeElement?.id);
  }

  /** The browser has no microphone to give, for a reason that getUserMedia names; without one it goes on asking its user. */
  async losesMicrophone(reason) {
    await this.page.evaluate((name) => {
      navigator.mediaDevices.getUserMedia = () => (name ? Promise.reject(new DOMException('', name)) : new Promise(() => {}));
    }, reason);
  }

  press(name) {
    return this.page.getByRole('button', { name, exact: true }).click();
  }

  /** Waits for `data-registration` or `data-call` of the page. */
  async shows(what, state) {
    await this.page.locator(`body[data-${what}="${state}"]`).waitFor({ state: 'attached' });
  }

  text(id) {
    return this.page.locator(`#${id}`).textContent();
  }

  async says(id, expected) {
    await this.page.locator(`#${id}`, { hasText: expected }).waitFor();
  }

  /** Waits until sound flows again, or the call has ended. */
  async isOutOfTrouble() {
    const isOut = () => ['flows', undefined].includes(document.body.dataset.sound) || document.body.dataset.call === 'ended';
    try {
      await this.page.waitForFunction(isOut);
    } catch (error) {
      const shown = await this.page.evaluate(() => JSON.stringify({ ...document.body.dataset, notice: document.getElementById('notice').textContent }));
      throw new Error(`the page was left with ${shown}`, { cause: error });
    }
  }

  /** Resolves with the time, as `Date.now()` has it, at which the page's notice first said this. */
  noticed(text) {
    return this.page.evaluate((wanted) => {
      const notice = document.getElementById('notice');
      return new Promise((resolve, reject) => {
        setTimeout(() => reject(new Error(`the notice never said “${wanted}”`)), 30_000);
        const look = () => notice.textContent.includes(wanted) && resolve(Date.now());
        new MutationObserver(look).observe(notice, { childList: true, characterData: true, subtree: true });
        look();
      });
    }, text);
  }

  /** Waits until both level meters move; resolves with their readings. */
  async hasSoundBothWays() {
    await this.page.waitForFunction(() =>
      ['level-out', 'level-in'].every((id) => Number(document.getElementById(id).getAttribute('aria-valuenow')) > 30),
    );
  }

  /** The share that a tone has in what the remote side's <audio> plays. */
  async hears(hertz) {
    await this.page.waitForFunction(measure, [hertz, 'remote'], { polling: 200 });
  }

  hadNoErrors() {
    assert.deepEqual(this.errors, []);
  }
}

/** Runs in the page. True once the tone is most of what the <audio> element's stream carries. */
function measure([hertz, id]) {
  const stream = document.getElementById(id).srcObject;
  if (!stream) return false;
  globalThis.ears ??= new Map();
  if (!globalThis.ears.has(stream)) {
    const audio = new AudioContext();
    const analyser = audio.createAnalyser();
    analyser.fftSize = 8192;
    audio.createMediaStreamSource(stream).connect(analyser);
    globalThis.ears.set(stream, analyser);
  }
  const analyser = globalThis.ears.get(stream);
  const samples = new Float32Array(analyser.fftSize);
  analyser.getFloatTimeDomainData(samples);
  const coefficient = 2 * Math.cos((2 * Math.PI * hertz) / analyser.context.sampleRate);
  let [previous, last, total] = [0, 0, 0];
  for (const sample of samples) {
    [previous, last] = [last, sample + coefficient * last - previous];
    total += sample * sample;
  }
  if (total / samples.length < 1e-6) return false;
  const power = last * last + previous * previous - coefficient * last * previous;
  return (2 * power) / (samples.length * total) > 0.6;
}

/** Firefox counts these among a page's errors though nothing in the page has thrown anything. */
const CUT = /^(The connection to wss?:.* was interrupted|Firefox can.t establish a connection to the server at wss?:)/;
