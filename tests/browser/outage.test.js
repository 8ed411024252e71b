// The softphone page in a call whose sound or signalling stops for a while: what it shows, and how the call comes out of it.
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { BROWSERS, sharedBrowser } from './lib/browsers.js';
import { freeUdpPort, Gateway, USERS } from './lib/gateway.js';
import { Softphone } from './lib/softphone.js';
import { OUTSIDE, UdpLine } from './lib/udp-line.js';

const HERTZ = 440;
const OUTAGES = [5, 12, 20, 40];
/** What a person is told by, with something for a busy machine. */
const TOLD_MILLISECONDS = 3000 + 1500;

for (const name of BROWSERS) describe(`softphone page in an outage in ${name}`, { timeout: 600_000, concurrency: 2 }, () => {
  let browser;
  before(async () => {
    browser = await sharedBrowser(name, HERTZ);
  });

  /** In a call with the echo, so that what it hears has gone both ways. */
  async function inCall(t, gateway) {
    const phone = await Softphone.open(browser, gateway.origin);
    t.after(() => phone.page.close());
    await phone.signIn('alice', USERS.alice);
    await phone.isSignedIn();
    await phone.press('echo');
    await phone.shows('call', 'active');
    await phone.hears(HERTZ);
    return phone;
  }

  /** The sound is back, or the call has ended with a reason that a person understands. */
  async function comesOut(t, phone, begun) {
    await phone.page.waitForFunction(() => ['flows', undefined].includes(document.body.dataset.sound) || document.body.dataset.call === 'ended');
    const state = await phone.page.evaluate(() => document.body.dataset.call);
    t.diagnostic(`${((performance.now() - begun) / 1000).toFixed(1)} s after it was over: ${state === 'ended' ? await phone.text('call-state') : 'sound again'}`);
    if (state === 'ended') return assert.match(await phone.text('call-state'), /call was (ended|lost)|ended the call/);
    await phone.hears(HERTZ);
    await phone.shows('sound', 'flows');
    await phone.isSignedIn();
    phone.hadNoErrors();
  }

  async function isTold(t, phone, expected) {
    const begun = performance.now();
    await phone.says('notice', expected);
    const took = performance.now() - begun;
    t.diagnostic(`told after ${(took / 1000).toFixed(1)} s`);
    assert.ok(took < TOLD_MILLISECONDS, `told after ${took.toFixed(0)} ms`);
  }

  for (const seconds of OUTAGES) {
    // RFC 8839 §4.4.1.1.1
    it(`no packet of sound comes through for ${seconds} s`, async (t) => {
      const port = await freeUdpPort();
      const relay = { browser_address: `127.0.0.1/${OUTSIDE}`, browser_port: port, workers: 1, rtp_ports: [20_000, 20_099] };
      const gateway = await Gateway.start({ settings: { relay } });
      t.after(() => gateway.stop());
      const line = await UdpLine.to(port);
      t.after(() => line.close());
      const phone = await inCall(t, gateway);
      line.stopped = true;
      await Promise.all([pause(seconds * 1000), isTold(t, phone, /No sound comes through/)]);
      line.stopped = false;
      await comesOut(t, phone, performance.now());
    });

    it(`the gateway and its relay stand still for ${seconds} s`, async (t) => {
      const gateway = await Gateway.start({ settings: { browser: { grace: '10s' } } });
      t.after(() => {
        gateway.resume();
        return gateway.stop();
      });
      const phone = await inCall(t, gateway);
      gateway.suspend();
      await Promise.all([
        pause(seconds * 1000),
        isTold(t, phone, /No sound/).then(() => phone.says('notice', /Reconnecting/)),
      ]);
      gateway.resume();
      await comesOut(t, phone, performance.now());
    });
  }

  it('a relay of the pool stands still: the gateway ends the call, and the page says why', async (t) => {
    const gateway = await Gateway.start({ pool: true });
    t.after(() => gateway.stop());
    const phone = await inCall(t, gateway);
    gateway.relay.suspend();
    await phone.shows('call', 'ended');
    await phone.says('call-state', 'The gateway lost the sound');
    gateway.relay.resume();
    await phone.isSignedIn();
    phone.hadNoErrors();
  });

  // RFC 3261 §12.2.1.2, RFC 7616 §3.3: its nonces, dialogs and bindings are of another life.
  it('the gateway starts anew: the call ends with a reason, and the page is signed in again by itself', async (t) => {
    const gateway = await Gateway.start();
    t.after(() => gateway.stop());
    const phone = await inCall(t, gateway);
    await gateway.restart();
    await phone.shows('call', 'ended');
    await phone.says('call-state', 'The call was lost while the gateway was out of reach. Call again.');
    await phone.isSignedIn();
    await phone.press('Close');
    await phone.press('echo');
    await phone.shows('call', 'active');
    await phone.hears(HERTZ);
    phone.hadNoErrors();
  });
});
