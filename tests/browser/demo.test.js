// The softphone page on the real gateway: what a person sees who follows the README.
import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { startChromium } from './lib/chromium.js';
import { Gateway, USERS } from './lib/gateway.js';
import { screenshot } from './lib/screenshot.js';
import { Softphone } from './lib/softphone.js';
import { Trunk } from './lib/trunk.js';

describe('softphone page on the gateway', () => {
  let gateway;
  let trunk;
  let browsers;
  before(async () => {
    trunk = await Trunk.open();
    // The page knows SHA-256 although JsSIP does not.
    gateway = await Gateway.start({ trunk, settings: { browser: { algorithms: ['SHA-256'] } } });
    browsers = { alice: await startChromium(440), bob: await startChromium(660) };
  });
  after(async () => {
    await Promise.all(Object.values(browsers ?? {}).map((browser) => browser.close()));
    await gateway?.stop();
    await trunk?.close();
  });

  async function signedIn(user, options) {
    const phone = await Softphone.open(browsers[user], gateway.origin);
    await phone.signIn(user, USERS[user], options);
    await phone.isSignedIn();
    return phone;
  }

  it('two tabs call each other with sound both ways, hold, and hang up', async () => {
    const [alice, bob] = [await signedIn('alice'), await signedIn('bob')];
    await alice.dial('bob');
    await bob.shows('call', 'incoming');
    assert.equal(await bob.text('peer'), 'alice');
    await bob.press('Answer');
    await Promise.all([alice.shows('call', 'active'), bob.shows('call', 'active')]);
    await Promise.all([alice.hears(660), bob.hears(440)]);
    await Promise.all([alice.hasSoundBothWays(), bob.hasSoundBothWays()]);
    await alice.says('verdict', /good|fair|poor/);
    await screenshot(alice.page, 'gateway-call');
    await alice.press('Hold');
    await alice.shows('call', 'held');
    await bob.shows('call', 'held-by-peer');
    await alice.press('Hold');
    await Promise.all([alice.shows('call', 'active'), bob.shows('call', 'active')]);
    await bob.press('Hang up');
    await Promise.all([alice.shows('call', 'ended'), bob.shows('call', 'ended')]);
    alice.hadNoErrors();
    bob.hadNoErrors();
    await Promise.all([alice.page.close(), bob.page.close()]);
  });

  it('echo and tone prove the sound with one tab', async () => {
    const alice = await signedIn('alice');
    await alice.press('echo');
    await alice.shows('call', 'active');
    await alice.hears(440);
    await alice.press('Hang up');
    await alice.shows('call', 'idle');
    await alice.press('tone');
    await alice.shows('call', 'active');
    await alice.hasSoundBothWays();
    await alice.press('Hang up');
    await alice.shows('call', 'idle');
    await alice.page.close();
  });

  for (const keysAs of ['RFC2833', 'INFO']) {
    it(`keys sent as ${keysAs} reach the trunk as telephone events`, async () => {
      const alice = await signedIn('alice', { keysAs });
      const next = trunk.nextCall();
      await alice.dial('5550001');
      const call = await next;
      call.answer();
      await alice.shows('call', 'active');
      await call.rtp.hears(440);
      await alice.press('Keys');
      await alice.press('4');
      await alice.press('star');
      await call.rtp.hearsKeys('4*');
      call.hangUp();
      await alice.shows('call', 'ended');
      await alice.page.close();
    });
  }

  it('a wrong password is refused in words', async () => {
    const phone = await Softphone.open(browsers.alice, gateway.origin);
    await phone.signIn('alice', 'wrong');
    await phone.shows('registration', 'refused');
    assert.match(await phone.text('notice'), /password is wrong/);
    await phone.page.close();
  });
});
