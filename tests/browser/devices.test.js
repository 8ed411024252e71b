// A user who is signed in on two devices: both ring, and what he does on one settles it for the other.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { BROWSERS, sharedBrowser } from './lib/browsers.js';
import { Gateway, USERS } from './lib/gateway.js';
import { screenshot } from './lib/screenshot.js';
import { Softphone } from './lib/softphone.js';

const ALICE_HERTZ = 440;
const BOB_HERTZ = 660;
const [FIRST] = BROWSERS;
/** Bob's two devices. */
const ALIKE = [FIRST, FIRST];
const PAIRS = BROWSERS.length > 1 ? [ALIKE, BROWSERS] : [ALIKE];

for (const pair of PAIRS) {
  describe(`a user with pages in ${pair.join(' and ')}`, { timeout: 300_000 }, () => {
    let gateway;
    const phones = [];
    before(async () => {
      gateway = await Gateway.start();
    });
    afterEach(() => Promise.all(phones.splice(0).map((phone) => phone.page.context().close())));
    after(() => gateway?.stop());

    async function signedIn(user, name, hertz) {
      const phone = await Softphone.open(await sharedBrowser(name, hertz), gateway.origin);
      phones.push(phone);
      await phone.signIn(user, USERS[user]);
      await phone.isSignedIn();
      return phone;
    }

    /** Alice's page, then Bob's two. */
    function everyone() {
      const bobs = pair.map((name) => signedIn('bob', name, BOB_HERTZ));
      return Promise.all([signedIn('alice', FIRST, ALICE_HERTZ), ...bobs]);
    }

    /** The same once Alice has called and both ring. */
    async function ringing() {
      const all = await everyone();
      const [alice, ...bobs] = all;
      await alice.dial('bob');
      await Promise.all([alice.shows('call', 'ringing'), ...bobs.map((bob) => bob.shows('call', 'incoming'))]);
      for (const bob of bobs) assert.equal(await bob.text('peer'), 'alice');
      return all;
    }

    for (const [at, name] of pair.entries()) {
      it(`page ${at + 1}, in ${name}, answers and has the sound; the other learns that it missed nothing`, async () => {
        const [alice, ...bobs] = await ringing();
        const [answering] = bobs.splice(at, 1);
        const [other] = bobs;
        await answering.press('Answer');
        await Promise.all([
          alice.shows('call', 'active'),
          answering.shows('call', 'active'),
          // RFC 3326 §2
          other.says('call-state', 'The call was answered elsewhere.'),
        ]);
        await screenshot(other.page, 'answered-elsewhere');
        await Promise.all([alice.hears(BOB_HERTZ), answering.hears(ALICE_HERTZ)]);
        await other.press('Close');
        await other.shows('call', 'idle');
        await other.isSignedIn();
        await answering.press('Hang up');
        await alice.shows('call', 'ended');
        for (const phone of [alice, answering, other]) phone.hadNoErrors();
      });
    }

    // Nothing below differs from one browser to another.
    if (pair !== ALIKE) return;

    // RFC 3261 §21.6.2: he was asked, and wants the call on no device.
    it('declining on one page declines the call, and the other stops ringing', async () => {
      const [alice, declining, other] = await ringing();
      await declining.press('Decline');
      await Promise.all([alice.says('call-state', 'The call was declined.'), other.says('call-state', 'The call was declined elsewhere.')]);
      for (const phone of [alice, declining, other]) phone.hadNoErrors();
    });

    it('both pages stop ringing when the caller gives up', async () => {
      const [alice, ...bobs] = await ringing();
      await alice.press('Cancel');
      await Promise.all(bobs.map((bob) => bob.says('call-state', 'The caller hung up before you answered.')));
      for (const phone of [alice, ...bobs]) phone.hadNoErrors();
    });

    it('a page that is in a call leaves the next call to the other page', async () => {
      const [alice, busy, other] = await everyone();
      await busy.press('echo');
      await busy.shows('call', 'active');
      await alice.dial('bob');
      await other.shows('call', 'incoming');
      await other.press('Answer');
      await Promise.all([alice.hears(BOB_HERTZ), other.hears(ALICE_HERTZ), busy.hears(BOB_HERTZ)]);
      for (const phone of [alice, busy, other]) phone.hadNoErrors();
    });

    it('nothing is left of these calls, nor of the devices that did not take them', () => gateway.holdsNoCall());
  });
}
