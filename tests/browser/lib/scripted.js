// The softphone page before a scripted server, one for each test, so that tests can run beside each other.
import { sharedBrowser } from './browsers.js';
import { ScriptedServer } from './scripted-server.js';
import { Softphone } from './softphone.js';

export const PASSWORDS = { alice: 'wonder-1', bob: 'builder-2' };

/** For the test `t` in the browser of this name: a server, and ways to open the page there. All is closed with the test. */
export async function scripted(t, name) {
  const [server, browser] = [await ScriptedServer.start(PASSWORDS), await sharedBrowser(name, HERTZ)];
  const phones = [];
  t.after(async () => {
    await Promise.all(phones.map((phone) => phone.page.context().close()));
    await server.close();
  });

  async function open(options) {
    const phone = await Softphone.open(browser, server.origin, options);
    phones.push(phone);
    return phone;
  }

  /** `options`: those of the page and those of the sign-in. */
  async function signedIn(user, options = {}) {
    const phone = await open(options);
    await phone.signIn(user, PASSWORDS[user], options);
    await phone.isSignedIn();
    return phone;
  }

  /** Alice and Bob, in a call with each other. */
  async function inCall() {
    const [alice, bob] = await Promise.all([signedIn('alice'), signedIn('bob')]);
    await alice.dial('bob');
    await bob.shows('call', 'incoming');
    await bob.press('Answer');
    await Promise.all([alice.shows('call', 'active'), bob.shows('call', 'active')]);
    await Promise.all([alice.hasSoundBothWays(), bob.hasSoundBothWays()]);
    return [alice, bob];
  }

  return { server, open, signedIn, inCall };
}

const HERTZ = 440;
