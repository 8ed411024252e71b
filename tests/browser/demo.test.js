// The softphone page on the real gateway: what a person sees who follows the README.
import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { BROWSERS, sharedBrowser } from './lib/browsers.js';
import { Gateway, USERS } from './lib/gateway.js';
import { screenshot } from './lib/screenshot.js';
import { Softphone } from './lib/softphone.js';
import { Trunk } from './lib/trunk.js';

for (const name of BROWSERS) {
  it(`two tabs of ${name} call each other on a gateway without a configuration file`, async (t) => {
    const gateway = await Gateway.demo();
    t.after(() => gateway.stop());
    const passwords = await gateway.passwords();
    const hertz = { alice: 440, bob: 660 };
    const [alice, bob] = await Promise.all(['alice', 'bob'].map(async (user) => {
      const phone = await Softphone.open(await sharedBrowser(name, hertz[user]), gateway.origin);
      await phone.signIn(user, passwords[user]);
      await phone.isSignedIn();
      return phone;
    }));
    await alice.dial('bob');
    await bob.shows('call', 'incoming');
    await bob.press('Answer');
    await Promise.all([alice.shows('call', 'active'), bob.shows('call', 'active')]);
    await Promise.all([alice.hears(hertz.bob), bob.hears(hertz.alice)]);
    await Promise.all([alice, bob].map((phone) => phone.page.context().close()));
  });
}

for (const name of BROWSERS) describe(`softphone page on the gateway in ${name}`, () => {
  let gateway;
  let trunk;
  let browsers;
  before(async () => {
    trunk = await Trunk.open();
    // The page knows SHA-256 although JsSIP does not.
    gateway = await Gateway.start({ trunk, settings: { browser: { algorithms: ['SHA-256'] } } });
    browsers = { alice: await sharedBrowser(name, 440), bob: await sharedBrowser(name, 660) };
  });
  after(async () => {
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
