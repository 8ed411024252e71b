// Headless Chromium whose microphone plays one tone.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { writeWav } from './sound.js';
import { DEADLINE } from './watch.js';

/** A browser of its own, since the tone belongs to the process. */
export async function startChromium(toneHertz, { executablePath = CHROMIUM, arguments: more = [] } = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'browser-test-'));
  const wav = join(folder, 'tone.wav');
  await writeWav(wav, toneHertz);
  const browser = await chromium.launch({
    executablePath,
    args: [...ARGUMENTS, ...more, `--use-file-for-fake-audio-capture=${wav}`],
  });
  return {
    /** A page with a profile of its own. */
    async newPage(options = {}) {
      const context = await browser.newContext({ ignoreHTTPSErrors: true, ...options });
      context.setDefaultTimeout(DEADLINE);
      return context.newPage();
    },
    async close() {
      await browser.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';

const ARGUMENTS = [
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
