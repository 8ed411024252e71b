// The softphone page in a call whose sound or signalling stops for a while: what it shows, and how the call comes out of it.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { BROWSERS, sharedBrowser } from './lib/browsers.js';
import { freeUdpPort, Gateway, USERS } from './lib/gateway.js';
import { Softphone } from './lib/softphone.js';
import { Trunk } from './lib/trunk.js';
import { OUTSIDE, UdpLine } from './lib/udp-line.js';

const [HERTZ, TRUNK_HERTZ] = [440, 1000];
/** The longest first, since they run beside each other. */
const OUTAGES = [40, 20, 12, 5];
/** For a gateway that stands still, 20 s are as 12 s: longer than the page waits and than a call's grace, shorter than consent lasts. */
const STANDSTILLS = [40, 12, 5];
/** What a person is told by, with something for a busy machine; half of the times at least. */
const TOLD_MILLISECONDS = 3000 + 1000;
/** And by this always: a busy browser that says nothing for a moment and a cut right after it look like a pause of the other side. */
const TOLD_AT_LAST_MILLISECONDS = 15_000;

// Each of them waits most of the time.
describe('softphone page in an outage', { concurrency: true, timeout: 600_000 }, () => {
  for (const name of BROWSERS) describe(`in ${name}`, { concurrency: 3 }, () => outages(name));
});

function outages(name) {
  let browser;
  const times = [];
  before(async () => {
    browser = await sharedBrowser(name, HERTZ);
  });
  after(() => {
    const [median = 0] = times.sort((a, b) => a - b).slice(times.length >> 1);
    assert.ok(median < TOLD_MILLISECONDS, `told after ${times.join(', ')} ms`);
  });

  async function signedIn(t, gateway) {
    const phone = await Softphone.open(browser, gateway.origin);
    t.after(() => phone.page.context().close());
    await phone.signIn('alice', USERS.alice);
    await phone.isSignedIn();
    return phone;
  }

  /** In a call with the echo, so that what it hears has gone both ways. */
  async function inCall(t, gateway) {
    const phone = await signedIn(t, gateway);
    await phone.press('echo');
    await phone.shows('call', 'active');
    await phone.hears(HERTZ);
    return phone;
  }

  /** The sound is back, or the call has ended with a reason that a person understands. */
  async function comesOut(t, phone, begun) {
    await phone.isOutOfTrouble();
    const state = await phone.page.evaluate(() => document.body.dataset.call);
    t.diagnostic(`${((performance.now() - begun) / 1000).toFixed(1)} s after it was over: ${state === 'ended' ? await phone.text('call-state') : 'sound again'}`);
    if (state === 'ended') return assert.match(await phone.text('call-state'), /call was (ended|lost)|ended the call/);
    await phone.hears(HERTZ);
    await phone.shows('sound', 'flows');
    await phone.isSignedIn();
    phone.hadNoErrors();
  }

  /** `begun`: what is to be told began then, by the clock that all processes of the machine have. */
  async function isTold(t, phone, expected, begun) {
    const took = (await phone.noticed(expected)) - begun;
    times.push(took);
    t.diagnostic(`told after ${(took / 1000).toFixed(1)} s: ${expected}`);
    assert.ok(took < TOLD_AT_LAST_MILLISECONDS, `told after ${took} ms`);
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
      await Promise.all([pause(seconds * 1000), isTold(t, phone, 'No sound comes through', Date.now())]);
      line.stopped = false;
      await comesOut(t, phone, performance.now());
      assert.equal(await phone.page.evaluate(() => document.body.dataset.call), 'active', 'what an ICE restart mends goes on');
    });
  }

  for (const seconds of STANDSTILLS) {
    it(`the gateway and its relay stand still for ${seconds} s`, async (t) => {
      const gateway = await Gateway.start({ settings: { browser: { grace: '10s' } } });
      t.after(() => {
        gateway.resume();
        return gateway.stop();
      });
      const phone = await inCall(t, gateway);
      gateway.suspend();
      const begun = Date.now();
      await Promise.all([
        pause(seconds * 1000),
        isTold(t, phone, 'No sound', begun),
        isTold(t, phone, 'Reconnecting', begun),
      ]);
      gateway.resume();
      await comesOut(t, phone, performance.now());
    });
  }

  // RFC 3551 §4.1: whoever has nothing to say may send nothing.
  it('the other side sends nothing for a while: that is told, and no more when it is heard again', async (t) => {
    const trunk = await Trunk.open();
    t.after(() => trunk.close());
    const gateway = await Gateway.start({ trunk });
    t.after(() => gateway.stop());
    const phone = await signedIn(t, gateway);
    const next = trunk.nextCall();
    await phone.dial('5550001');
    const call = await next;
    call.answer();
    await phone.shows('call', 'active');
    await phone.hears(TRUNK_HERTZ);
    call.rtp.mute();
    await phone.says('notice', 'No sound comes from the other side');
    await phone.shows('sound', 'absent');
    call.resume();
    await phone.shows('sound', 'flows');
    await phone.page.locator('#notice').waitFor({ state: 'hidden' });
    await phone.hears(TRUNK_HERTZ);
    phone.hadNoErrors();
  });

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
}
