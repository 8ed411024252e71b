// The softphone page as a person meets it: words that say what to do, keys, focus, settings, tabs.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BROWSERS } from './lib/browsers.js';
import { screenshot } from './lib/screenshot.js';
import { PASSWORDS, scripted } from './lib/scripted.js';
import { Softphone } from './lib/softphone.js';

const REASONS = [
  ['SIP;cause=408;text="Media timeout"', 'No sound came any more'],
  ['SIP;cause=503;text="Media lost"', 'The gateway lost the sound'],
  ['SIP;cause=480;text="Connection lost"', 'The other side lost its connection'],
  ['SIP;cause=503;text="Shutting down"', 'The gateway is being restarted'],
  ['Q.850;cause=38', 'The line to the outside broke'],
  ['Q.850;cause=16;text="Normal call clearing"', 'Call ended'],
];
const MICROPHONES = [
  ['NotAllowedError', 'may not use the microphone. Allow it'],
  ['NotFoundError', 'No microphone was found. Plug one in'],
  ['NotReadableError', 'Another program holds the microphone'],
];

/** The words are the page's own: of its second browser it is enough to know that it hands on what they are made from. */
const told = (name, cases) => (name === 'firefox' ? cases.slice(0, 1) : cases);

for (const name of BROWSERS) describe(`softphone page under a person's keys in ${name}`, { timeout: 120_000 }, () => {
  it('dials and answers with Enter, hangs up, declines and closes with Escape, and the focus is where it is needed', async (t) => {
    const { signedIn } = await scripted(t, name);
    const [alice, bob] = await Promise.all([signedIn('alice'), signedIn('bob')]);
    assert.equal(await alice.focused(), 'number');
    for (const key of 'bob') await alice.type(key);
    await alice.type('Enter');
    await bob.shows('call', 'incoming');
    await alice.shows('call', 'ringing');
    assert.equal(await alice.focused(), 'hang-up');
    assert.equal(await bob.focused(), 'answer');
    await bob.type('Escape');
    await alice.says('call-state', 'The call was declined.');
    await alice.type('Escape');
    await alice.shows('call', 'idle');
    assert.equal(await alice.focused(), 'number');
    await alice.type('Enter');
    await bob.shows('call', 'incoming');
    await bob.type('Enter');
    await Promise.all([alice.shows('call', 'active'), bob.shows('call', 'active')]);
    assert.equal(await bob.focused(), 'hang-up');
    await alice.type('Escape');
    await bob.shows('call', 'ended');
    await bob.shows('call', 'idle');
    assert.equal(await bob.focused(), 'number');
  });
});

for (const name of BROWSERS) describe(`softphone page before a person in ${name}`, { timeout: 600_000, concurrency: 2 }, () => {
  // RFC 3326
  it("says why the other side's BYE came", async (t) => {
    const { server, inCall } = await scripted(t, name);
    const [alice, bob] = await inCall();
    for (const [reason, text] of told(name, REASONS)) {
      server.byeReason = reason;
      await bob.press('Hang up');
      await alice.says('call-state', text);
      await alice.press('Close');
      await bob.shows('call', 'idle');
      await alice.dial('bob');
      await bob.shows('call', 'incoming');
      await bob.press('Answer');
      await Promise.all([alice.shows('call', 'active'), bob.shows('call', 'active')]);
    }
  });

  it('says what to do about the microphone when a call is made or answered', async (t) => {
    const { signedIn } = await scripted(t, name);
    const [alice, bob] = await Promise.all([signedIn('alice'), signedIn('bob')]);
    for (const [error, text] of told(name, MICROPHONES)) {
      await bob.losesMicrophone(error);
      await bob.dial('alice');
      await bob.says('call-state', text);
      await bob.press('Close');
      await alice.dial('bob');
      await bob.shows('call', 'incoming');
      await bob.press('Answer');
      await bob.says('call-state', text);
      await alice.says('call-state', 'Nobody is signed in there, or they do not answer');
      await Promise.all([alice.press('Close'), bob.press('Close')]);
    }
  });

  it('says that the browser asks for the microphone, and can be cancelled meanwhile', async (t) => {
    const { signedIn } = await scripted(t, name);
    const alice = await signedIn('alice');
    await alice.losesMicrophone();
    await alice.dial('bob');
    await alice.says('call-state', 'Allow the microphone');
    await screenshot(alice.page, 'microphone');
    await alice.press('Cancel');
    await alice.shows('call', 'idle');
    await alice.dial('bob');
    await alice.shows('call', 'calling');
  });

  it('warns before it is left in a call, and only then', async (t) => {
    const { inCall } = await scripted(t, name);
    const leaves = (phone) =>
      phone.page.evaluate(() => window.dispatchEvent(new Event('beforeunload', { cancelable: true })));
    const [alice, bob] = await inCall();
    assert.equal(await leaves(alice), false);
    await bob.press('Hang up');
    await alice.shows('call', 'ended');
    assert.equal(await leaves(alice), true);
  });

  it('takes a gateway by its https: address or host, and says what is wrong with an address it can\'t take', async (t) => {
    const { server, open } = await scripted(t, name);
    const phone = await open();
    const { page } = phone;
    const says = (label) => page.getByLabel(label).evaluate((field) => field.validationMessage);
    await phone.signIn('alice', PASSWORDS.alice);
    await phone.isSignedIn();
    await phone.press('Sign out');
    await page.getByLabel('Gateway').fill('not a url');
    await page.getByText('Settings').click();
    await page.getByLabel('Password').fill(PASSWORDS.alice);
    await phone.press('Sign in');
    await page.getByLabel('Gateway').waitFor();
    assert.match(await says('Gateway'), /Type an address like wss:/);
    await page.getByLabel('Gateway').fill(server.origin);
    assert.equal(await says('Gateway'), '');
    await page.getByLabel('STUN server').fill('garbage');
    assert.match(await says('STUN server'), /Type an address like stun:/);
    await page.getByLabel('STUN server').fill('turn:turn.example.com');
    assert.match(await says('STUN server'), /gateway tells its own/);
    await page.getByLabel('STUN server').fill('');
    await phone.press('Sign in');
    await phone.isSignedIn();
    phone.hadNoErrors();
  });

  // RFC 6086 §1 has INFO for what the media can't carry.
  it('sends a digit by INFO where no telephone event was agreed on', async (t) => {
    const { server, inCall } = await scripted(t, name);
    server.carriesEvents = false;
    const [alice] = await inCall();
    await alice.press('Keys');
    await alice.press('5');
    const info = await server.watch.until('the INFO', () => server.received.find((message) => message.isRequest && message.method === 'INFO'));
    assert.match(info.body, /^Signal=5\r\n/);
    alice.hadNoErrors();
  });

  // RFC 3261 §14.1: a refused re-INVITE leaves the session as it was.
  it('a refused hold leaves the call as it was, whoever began it', async (t) => {
    const { server, inCall } = await scripted(t, name);
    const [alice, bob] = await inCall();
    server.refusesCallsWith = 488;
    for (const phone of [alice, bob]) {
      const before = server.received.length;
      await phone.press('Hold');
      await server.watch.until('the refusal to be seen', () => server.received.slice(before).some((message) => message.isRequest && message.method === 'ACK'));
      await phone.shows('call', 'active');
    }
    await Promise.all([alice.hasSoundBothWays(), bob.hasSoundBothWays()]);
    server.refusesCallsWith = null;
    await bob.press('Hold');
    await Promise.all([bob.shows('call', 'held'), alice.shows('call', 'held-by-peer')]);
    await bob.press('Hold');
    await Promise.all([alice.shows('call', 'active'), bob.shows('call', 'active')]);
    await Promise.all([alice.hasSoundBothWays(), bob.hasSoundBothWays()]);
  });

  it('notices that the gateway no longer answers, connects anew and keeps the call', async (t) => {
    const { server, inCall } = await scripted(t, name);
    const [alice, bob] = await inCall();
    const registers = () => server.received.filter((message) => message.isRequest && message.method === 'REGISTER').length;
    const before = registers();
    server.answersPings = false;
    await alice.shows('registration', 'reconnecting');
    await alice.says('notice', 'Reconnecting to the gateway … The call goes on');
    await server.watch.until('both pages to register anew', () => registers() >= before + 4);
    await Promise.all([alice.isSignedIn(), bob.isSignedIn()]);
    await Promise.all([alice.hasSoundBothWays(), bob.hasSoundBothWays()]);
    await Promise.all([alice.shows('call', 'active'), bob.shows('call', 'active')]);
  });

  it('a call that rings ends with a reason when the connection breaks', async (t) => {
    const { server, signedIn } = await scripted(t, name);
    const [alice, bob] = await Promise.all([signedIn('alice'), signedIn('bob')]);
    await alice.dial('bob');
    await bob.shows('call', 'incoming');
    await alice.shows('call', 'ringing');
    server.dropConnections();
    await alice.says('call-state', 'The connection to the gateway broke before the answer');
    await bob.says('call-state', 'The connection to the gateway broke before the answer');
  });

  // RFC 5626 §4.1
  it('a duplicated tab is a phone of its own, and a reloaded one is the same as before', async (t) => {
    const { server, signedIn } = await scripted(t, name);
    const alice = await signedIn('alice');
    const instance = () => /\+sip\.instance="<urn:uuid:([^>]+)>"/.exec(server.received.findLast((message) => message.method === 'REGISTER' && message.isRequest).get('contact'))[1];
    const first = instance();
    const copy = await alice.page.evaluate(() => ({ ...sessionStorage }));
    const page = await alice.page.context().newPage();
    await page.goto(server.origin);
    await page.evaluate((entries) => Object.assign(sessionStorage, entries), copy);
    await page.reload();
    const twin = new Softphone(page, server.origin);
    await twin.signIn('alice', PASSWORDS.alice);
    await twin.isSignedIn();
    assert.notEqual(instance(), first);
    await alice.page.reload();
    await alice.signIn('alice', PASSWORDS.alice);
    await alice.isSignedIn();
    assert.equal(instance(), first);
  });
});
