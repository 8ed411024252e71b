// The softphone page against a scripted server: what it shows when things go well and when they don't.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BROWSERS } from './lib/browsers.js';
import { screenshot } from './lib/screenshot.js';
import { PASSWORDS, scripted } from './lib/scripted.js';

/** Browsers themselves would wait for 5 s and more. */
const UNANSWERED_STUN_MILLISECONDS = 3000;
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

for (const name of BROWSERS) describe(`softphone page in ${name}`, { timeout: 300_000, concurrency: 2 }, () => {
  it('refuses a wrong password with a text that says what to do, then lets the user in', async (t) => {
    const { open } = await scripted(t, name);
    const phone = await open();
    await phone.signIn('alice', 'wrong');
    await phone.shows('registration', 'refused');
    assert.match(await phone.text('notice'), /password is wrong\. Type them again/);
    await screenshot(phone.page, 'refused');
    await phone.page.getByLabel('Password').fill(PASSWORDS.alice);
    await phone.press('Sign in');
    await phone.isSignedIn();
    await phone.page.reload();
    assert.equal(await phone.page.getByLabel('User').inputValue(), 'alice');
    assert.equal(await phone.page.getByLabel('Password').inputValue(), '');
    phone.hadNoErrors();
  });

  it('signs in a user of another domain than the host of the page', async (t) => {
    const { server, open } = await scripted(t, name);
    const phone = await open();
    await phone.signIn('alice@example.com', PASSWORDS.alice);
    await phone.isSignedIn();
    assert.match(server.received.at(-1).get('to'), /<sip:alice@example\.com>/);
  });

  for (const [order, expected] of [[['SHA-256', 'MD5'], 'SHA-256'], [['MD5', 'SHA-256'], 'SHA-256'], [['MD5'], 'MD5']]) {
    it(`answers ${order.join(' then ')} with ${expected}`, async (t) => {
      const { server, signedIn } = await scripted(t, name);
      server.algorithms = order;
      const phone = await signedIn('alice');
      const last = server.received.filter((message) => message.get('authorization')).at(-1);
      assert.match(last.get('authorization'), new RegExp(`algorithm=${expected},`));
    });
  }

  it('two phones call each other with sound both ways, mute, hold, and hang up', async (t) => {
    const { signedIn } = await scripted(t, name);
    const [alice, bob] = await Promise.all([signedIn('alice'), signedIn('bob', PHONE)]);
    await screenshot(alice.page, 'dialer');
    await screenshot(bob.page, 'dialer-phone');
    await alice.dial('bob');
    await bob.shows('call', 'incoming');
    await alice.shows('call', 'ringing');
    assert.equal(await bob.text('peer'), 'alice');
    await screenshot(alice.page, 'ringing');
    await screenshot(bob.page, 'incoming-phone');
    await bob.press('Answer');
    await Promise.all([alice.shows('call', 'active'), bob.shows('call', 'active')]);
    await Promise.all([alice.hasSoundBothWays(), bob.hasSoundBothWays()]);
    await alice.says('verdict', /good|fair|poor/);
    await alice.says('duration', /00:0[1-9]/);
    await alice.press('Keys');
    await screenshot(alice.page, 'call');
    await screenshot(bob.page, 'call-phone');

    await alice.press('Mute');
    await alice.page.locator('#mute[aria-pressed="true"]').waitFor();
    await alice.press('Mute');
    await alice.press('Hold');
    await alice.shows('call', 'held');
    await bob.shows('call', 'held-by-peer');
    await alice.press('Hold');
    await Promise.all([alice.shows('call', 'active'), bob.shows('call', 'active')]);
    await bob.press('Hang up');
    await Promise.all([alice.shows('call', 'ended'), bob.shows('call', 'ended')]);
    await Promise.all([alice.shows('call', 'idle'), bob.shows('call', 'idle')]);
    alice.hadNoErrors();
    bob.hadNoErrors();
  });

  it('declines, cancels, and says why a call failed', async (t) => {
    const { server, signedIn } = await scripted(t, name);
    const [alice, bob] = await Promise.all([signedIn('alice'), signedIn('bob')]);
    await alice.dial('bob');
    await bob.shows('call', 'incoming');
    await bob.press('Decline');
    await alice.says('call-state', 'The call was declined.');
    await alice.press('Close');

    await alice.dial('bob');
    await bob.shows('call', 'incoming');
    await alice.shows('call', 'ringing');
    await alice.press('Cancel');
    await bob.says('call-state', 'hung up before you answered');
    await alice.shows('call', 'idle');

    await alice.dial('nobody');
    await alice.says('call-state', 'There is no such number');
    await alice.press('Close');
    server.refusesCallsWith = 503;
    await alice.dial('bob');
    await alice.says('call-state', 'down or full. Try later');
    await alice.page.emulateMedia({ colorScheme: 'dark' });
    await screenshot(alice.page, 'failed-dark');
    server.refusesCallsWith = null;
  });

  it('comes back by itself when the connection breaks', async (t) => {
    const { server, signedIn } = await scripted(t, name);
    const phone = await signedIn('alice');
    server.dropConnections();
    await phone.shows('registration', 'reconnecting');
    assert.match(await phone.text('notice'), /out of reach/);
    await phone.isSignedIn();
    assert.equal(await phone.page.locator('#notice').isVisible(), false);
  });

  // RFC 3261 §12: a dialog does not hang on a registration.
  it('a refused refresh is shown and ends no call; after it the user signs in again', async (t) => {
    const { server, signedIn } = await scripted(t, name);
    server.expires = 10;
    const [alice, bob] = await Promise.all([signedIn('alice'), signedIn('bob')]);
    await alice.dial('bob');
    await bob.shows('call', 'incoming');
    await bob.press('Answer');
    await alice.shows('call', 'active');
    server.refusesRegistersWith = 403;
    await alice.shows('registration', 'lapsed');
    server.expires = 300;
    assert.match(await alice.text('notice'), /no longer accepts this sign-in\. The call goes on/);
    await Promise.all([alice.hasSoundBothWays(), bob.hasSoundBothWays()]);
    await alice.shows('call', 'active');
    await screenshot(alice.page, 'lapsed');
    await alice.press('Hang up');
    await alice.shows('registration', 'refused');
    assert.match(await alice.text('notice'), /refused the sign-in/);
    server.refusesRegistersWith = null;
    await alice.page.getByLabel('Password').fill(PASSWORDS.alice);
    await alice.press('Sign in');
    await alice.isSignedIn();
  });

  it('sends its INVITE without waiting for a STUN server that never answers', async (t) => {
    const { server, open } = await scripted(t, name);
    const phone = await open();
    // 192.0.2.0/24 is kept for documentation (RFC 5737): nobody answers there.
    await phone.signIn('alice', PASSWORDS.alice, { ice: 'stun:192.0.2.1:3478' });
    await phone.isSignedIn();
    server.refusesCallsWith = 486;
    const begun = performance.now();
    await phone.dial('bob');
    await server.watch.until('the INVITE', () => server.received.find((m) => m.method === 'INVITE' && m.isRequest && m.get('call-id') && m.body));
    const took = performance.now() - begun;
    server.refusesCallsWith = null;
    assert.ok(took < UNANSWERED_STUN_MILLISECONDS, `the INVITE took ${took.toFixed(0)} ms`);
  });
});
