// Headless Chromium and Firefox, each with a microphone that plays one tone. Playwright drives both: Chromium by its own
// protocol, a stock Firefox by WebDriver BiDi.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import playwright from 'playwright-core';
import { writeWav } from './sound.js';
import { DEADLINE } from './watch.js';

/** Those that tests run in; BROWSERS=firefox in the environment makes it one. */
export const BROWSERS = (process.env.BROWSERS ?? 'chromium,firefox').split(',');

/** Closed when all tests of the process are done; a start takes seconds, so that whoever needs one gets the same. */
export function sharedBrowser(name, toneHertz) {
  const key = `${name} ${toneHertz}`;
  if (!shared.has(key)) shared.set(key, startBrowser(name, toneHertz));
  return shared.get(key);
}

/** A browser of its own, since the tone belongs to the process. */
export async function startBrowser(name, toneHertz, { executablePath = PROGRAMS[name], arguments: more = [] } = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'browser-test-'));
  return new Browser(name, folder, await LAUNCH[name](executablePath, toneHertz, folder, more));
}

/** The program that is started as this browser. */
export const PROGRAMS = {
  chromium: process.env.CHROMIUM ?? '/usr/bin/chromium',
  firefox: process.env.FIREFOX ?? '/usr/bin/firefox-esr',
};

class Browser {
  #folder;
  #process;

  constructor(name, folder, started) {
    this.name = name;
    this.#folder = folder;
    this.#process = started;
  }

  /** A page with a profile of its own. `isMobile` is Chromium's alone; `first` runs in it before any script of its own. */
  async newPage({ isMobile, first, ...options } = {}) {
    const mobile = isMobile && this.name === 'chromium' ? { isMobile } : {};
    const profile = await this.#process.newContext({ ignoreHTTPSErrors: true, ...options, ...mobile });
    profile.setDefaultTimeout(DEADLINE);
    if (first) await profile.addInitScript(first);
    return profile.newPage();
  }

  async close() {
    await this.#process.close();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

const shared = new Map();
after(() => Promise.all([...shared.values()].map(async (browser) => (await browser).close())));

const LAUNCH = {
  async chromium(executablePath, toneHertz, folder, more) {
    const wav = join(folder, 'tone.wav');
    await writeWav(wav, toneHertz);
    const args = [...CHROMIUM_ARGUMENTS, ...more, `--use-file-for-fake-audio-capture=${wav}`];
    return playwright.chromium.launch({ executablePath, args });
  },
  firefox(executablePath, toneHertz, _folder, args) {
    const firefoxUserPrefs = { ...FIREFOX_PREFERENCES, 'media.navigator.audio.fake_frequency': toneHertz };
    // The channel's name is what makes Playwright speak WebDriver BiDi with a Firefox that it did not build itself.
    return playwright.firefox.launch({ channel: 'moz-firefox', executablePath, args, firefoxUserPrefs });
  },
};

const CHROMIUM_ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream',
  '--autoplay-policy=no-user-gesture-required',
  // Both ends are on this machine: loopback candidates, by address and not by an mDNS name that nobody resolves here.
  '--allow-loopback-in-peer-connection',
  '--disable-features=WebRtcHideLocalIpsWithMdns',
];

// What ICE does with loopback stays as people have it.
const FIREFOX_PREFERENCES = {
  'media.navigator.streams.fake': true,
  'media.navigator.permission.disabled': true,
  'media.autoplay.default': 0,
  'media.autoplay.blocking_policy': 0,
  'media.autoplay.block-webaudio': false,
  // Without a sound device, which a machine for tests has not, no AudioContext would ever run.
  'media.cubeb.force_mock_context': true,
  'media.peerconnection.ice.obfuscate_host_addresses': false,
};
