// The softphone page on small and large screens: what a person needs next is in reach without scrolling.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BROWSERS } from './lib/browsers.js';
import { screenshot } from './lib/screenshot.js';
import { PASSWORDS, scripted } from './lib/scripted.js';

const SCREENS = [[360, 640], [640, 360], [1280, 800]];

for (const name of BROWSERS) describe(`softphone page on a screen in ${name}`, { timeout: 300_000, concurrency: 2 }, () => {
  for (const [width, height] of SCREENS) {
    it(`of ${width}x${height} has the main button in reach`, async (t) => {
      const { server, open, signedIn } = await scripted(t, name);
      const reaches = async (phone, step, ...names) => {
        await screenshot(phone.page, `${width}x${height}-${step}`);
        for (const button of names) {
          const box = await phone.page.getByRole('button', { name: button, exact: true }).boundingBox();
          const isInside = box && box.x >= 0 && box.y >= 0 && box.x + box.width <= width && box.y + box.height <= height;
          assert.ok(isInside, `${button} (${step}) is at ${JSON.stringify(box)}`);
        }
        assert.equal(await phone.page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false, `${step} is too wide`);
      };
      const alice = await open({ viewport: { width, height } });
      await reaches(alice, 'sign-in', 'Sign in');
      await alice.signIn('alice', 'wrong');
      await alice.shows('registration', 'refused');
      await alice.page.getByText('Settings').click();
      await reaches(alice, 'refused', 'Sign in');
      await alice.page.getByLabel('Password').fill(PASSWORDS.alice);
      await alice.press('Sign in');
      await alice.isSignedIn();
      await reaches(alice, 'dialer', 'Call');
      const bob = await signedIn('bob');
      await bob.dial('alice');
      await alice.shows('call', 'incoming');
      await reaches(alice, 'incoming', 'Answer', 'Decline');
      await alice.press('Answer');
      await alice.shows('call', 'active');
      await alice.hasSoundBothWays();
      await alice.says('verdict', /good|fair|poor/);
      await reaches(alice, 'call', 'Hang up', 'Mute', 'Keys');
      server.answersPings = false;
      await alice.says('notice', 'Reconnecting');
      await reaches(alice, 'reconnecting', 'Hang up');
      server.answersPings = true;
      await alice.press('Keys');
      await reaches(alice, 'keys', 'Hang up', '1', 'hash');
      await alice.press('Hang up');
      await alice.shows('call', 'idle');
      await alice.isSignedIn();
      await alice.dial('nobody');
      await alice.says('call-state', 'There is no such number');
      await reaches(alice, 'failed', 'Close');
    });
  }
});
