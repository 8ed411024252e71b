// The softphone page over a working day, made short: what repeats in a day repeats here under one call, with the sound
// measured at both ends.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { BROWSERS, sharedBrowser } from './lib/browsers.js';
import { Gateway, USERS } from './lib/gateway.js';
import { Line } from './lib/line.js';
import { Softphone } from './lib/softphone.js';

const [ALICE_HERTZ, BOB_HERTZ] = [440, 660];
const REFRESHES = 10;

// Each of them waits most of the time.
describe('a working day of the softphone page', { concurrency: true, timeout: 300_000 }, () => {
  for (const name of BROWSERS) describe(`in ${name}`, () => day(name));
});

function day(name) {
  let gateway;
  let line;
  let browsers;
  before(async () => {
    // The page answers with SHA-256 what it answers; every registration and many nonces end under the call.
    const browser = { algorithms: ['SHA-256'], registration: '10s', grace: '10s' };
    gateway = await Gateway.start({ settings: { browser } });
    line = await Line.to(gateway.wssPort);
    browsers = { alice: await sharedBrowser(name, ALICE_HERTZ), bob: await sharedBrowser(name, BOB_HERTZ) };
  });
  after(async () => {
    await line?.close();
    await gateway?.stop();
  });

  async function signedIn(user, origin) {
    const phone = await Softphone.open(browsers[user], origin);
    await phone.signIn(user, USERS[user]);
    await phone.isSignedIn();
    return phone;
  }

  // RFC 3261 §10.2.4, RFC 7616 §3.4
  it('a call goes on over ten re-REGISTERs of each page, two losses of the connection and another certificate', async (t) => {
    const [alice, bob] = [await signedIn('alice', `https://localhost:${line.port}`), await signedIn('bob', gateway.origin)];
    await alice.dial('bob');
    await bob.shows('call', 'incoming');
    await bob.press('Answer');
    const goesOn = async () => {
      await Promise.all([alice.shows('call', 'active'), bob.shows('call', 'active')]);
      await Promise.all([alice.hears(BOB_HERTZ), bob.hears(ALICE_HERTZ)]);
    };
    await goesOn();

    for (let loss = 0; loss < 2; loss += 1) {
      line.cut();
      await alice.shows('registration', 'reconnecting');
      await goesOn();
      await alice.isSignedIn();
      await goesOn();
    }
    await gateway.renewCertificate();

    const begun = await gateway.registrations();
    while ((await gateway.registrations()) < begun + 2 * REFRESHES) {
      await goesOn();
      await pause(1000);
    }
    await goesOn();
    t.diagnostic(`${(await gateway.registrations()) - begun} registrations were renewed under the call`);
    await Promise.all([alice.isSignedIn(), bob.isSignedIn()]);
    await bob.press('Hang up');
    await alice.shows('call', 'ended');
    assert.equal(await alice.text('call-state'), 'Call ended');
    alice.hadNoErrors();
    bob.hadNoErrors();
  });
}
