// Browsers and a trunk call each other through the gateway, and the sound is measured at both ends.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { BROWSERS, sharedBrowser } from './lib/browsers.js';
import { Client, LIBRARIES } from './lib/client.js';
import { Gateway, GRACE_SECONDS, USERS } from './lib/gateway.js';
import { Trunk } from './lib/trunk.js';

const ALICE_HERTZ = 440;
const BOB_HERTZ = 660;
const TRUNK_HERTZ = 1000;
/** Browsers themselves would wait for 5 s and more. */
const UNANSWERED_STUN_MILLISECONDS = 3000;
/** Where no sound is at stake, a browser does not tell one client from the other: each has that part in one of them. */
const SIGNALLING = { jssip: 'chromium', sipjs: 'firefox' };

for (const [library, name] of LIBRARIES.flatMap((library) => BROWSERS.map((name) => [library, name]))) {
  describe(`calls with ${library} in ${name}`, () => {
    let gateway;
    let trunk;
    let browsers;
    const clients = [];

    before(async () => {
      trunk = await Trunk.open();
      // Each test closes its tabs without unregistering, as people do; the limit has a test of its own.
      gateway = await Gateway.start({ trunk, settings: { limits: { bindings_per_user: 100 } } });
      browsers = { alice: await sharedBrowser(name, ALICE_HERTZ), bob: await sharedBrowser(name, BOB_HERTZ) };
    });
    afterEach(async () => {
      await Promise.all(clients.splice(0).map((client) => client.close()));
    });
    after(async () => {
      await gateway?.stop();
      await trunk?.close();
    });

    async function registered(user, options) {
      const client = await Client.open(browsers[user], library, gateway.origin);
      clients.push(client);
      await client.register(user, USERS[user], options);
      await client.isRegistered();
      return client;
    }

    /** Alice in a call with the trunk, which she called. */
    async function aliceCallsTrunk() {
      const alice = await registered('alice');
      const next = trunk.nextCall();
      await alice.call('5550001');
      const call = await next;
      call.answer();
      await alice.sees('call', 'active');
      return { alice, call };
    }

    it('browser calls trunk: rings, answers, sound both ways, browser hangs up', async (t) => {
      const alice = await registered('alice');
      const next = trunk.nextCall();
      await alice.call('5550001');
      const call = await next;
      assert.equal(call.dialled, '5550001');
      assert.match(call.caller, /sip:alice@/);
      assert.doesNotMatch(call.offer, /fingerprint|candidate|SAVPF|crypto/);
      call.ring();
      await alice.sees('call', 'ringing');
      call.answer();
      await alice.sees('call', 'active');
      await Promise.all([alice.hears(TRUNK_HERTZ), call.rtp.hears(ALICE_HERTZ)]);
      t.diagnostic(`sound after the answer: browser ${(await alice.soundDelay()).toFixed(0)} ms`);
      t.diagnostic(`sound after the answer: trunk ${(call.rtp.soundAt - call.answeredAt).toFixed(0)} ms`);
      await alice.hangUp();
      await call.becomes('ended');
      assert.ok(call.endedByPeer);
    });

    it('trunk calls browser: caller shown, sound both ways, trunk hangs up', async (t) => {
      const alice = await registered('alice');
      const call = await trunk.call('alice', { tone: TRUNK_HERTZ });
      await alice.sees('call', 'incoming');
      assert.equal(await alice.caller(), '5551234');
      await call.becomes('ringing');
      await alice.answer();
      await call.becomes('answered');
      await alice.sees('call', 'active');
      await Promise.all([alice.hears(TRUNK_HERTZ), call.rtp.hears(ALICE_HERTZ)]);
      t.diagnostic(`sound after the answer: browser ${(await alice.soundDelay()).toFixed(0)} ms`);
      t.diagnostic(`sound after the answer: trunk ${(call.rtp.soundAt - call.answeredAt).toFixed(0)} ms`);
      call.hangUp();
      await alice.sees('call', 'ended');
    });

    it('browser calls browser: sound both ways', async () => {
      const [alice, bob] = [await registered('alice'), await registered('bob')];
      await alice.call('bob');
      await bob.sees('call', 'incoming');
      assert.equal(await bob.caller(), 'alice');
      await alice.sees('call', 'ringing');
      await bob.answer();
      await Promise.all([alice.sees('call', 'active'), bob.sees('call', 'active')]);
      await Promise.all([alice.hears(BOB_HERTZ), bob.hears(ALICE_HERTZ)]);
      await alice.hold();
      await bob.hearsNothing();
      await alice.resume();
      await Promise.all([alice.hears(BOB_HERTZ), bob.hears(ALICE_HERTZ)]);
      await bob.hangUp();
      await alice.sees('call', 'ended');
    });

    it('hold is a re-INVITE at the trunk, with silence; resume brings the sound back', async () => {
      const { alice, call } = await aliceCallsTrunk();
      await Promise.all([alice.hears(TRUNK_HERTZ), call.rtp.hears(ALICE_HERTZ)]);
      await alice.hold();
      await call.until('a held direction', () => ['sendonly', 'inactive'].includes(call.directions.at(-1)));
      await Promise.all([alice.sees('call', 'held'), call.rtp.hearsSilence()]);
      await alice.resume();
      await call.until('sendrecv again', () => call.directions.at(-1) === 'sendrecv');
      await alice.sees('call', 'active');
      await Promise.all([alice.hears(TRUNK_HERTZ), call.rtp.hears(ALICE_HERTZ)]);
      await alice.hangUp();
      await call.becomes('ended');
    });

    it('a re-INVITE of the trunk keeps the sound; hold by the trunk silences the browser', async () => {
      const { alice, call } = await aliceCallsTrunk();
      await alice.hears(TRUNK_HERTZ);
      const port = (sdp) => /^m=audio (\d+)/m.exec(sdp)[1];
      const answer = await call.reinvite('sendrecv');
      assert.equal(port(answer.body), port(call.offer));
      await Promise.all([alice.hears(TRUNK_HERTZ), call.rtp.hears(ALICE_HERTZ)]);
      const held = await call.reinvite('inactive');
      assert.match(held.body, /^a=inactive/m);
      call.rtp.mute();
      await alice.hearsNothing();
      await call.reinvite('sendrecv');
      call.resume();
      await Promise.all([alice.hears(TRUNK_HERTZ), call.rtp.hears(ALICE_HERTZ)]);
      call.hangUp();
      await alice.sees('call', 'ended');
    });

    it('keys arrive at the trunk as telephone events, sent as RTP or as INFO', async () => {
      const { alice, call } = await aliceCallsTrunk();
      await call.rtp.hears(ALICE_HERTZ);
      for (const key of ['5', '#']) await alice.sendKey(key, 'rtp');
      await call.rtp.hearsKeys('5#');
      await alice.sendKey('7', 'info');
      await call.rtp.hearsKeys('5#7');
      await alice.hangUp();
      await call.becomes('ended');
    });

    it('with STUN out of reach the INVITE leaves at once', async (t) => {
      // 192.0.2.0/24 is kept for documentation (RFC 5737): nobody answers there.
      const alice = await registered('alice', { iceServers: [{ urls: 'stun:192.0.2.1:3478' }] });
      const next = trunk.nextCall();
      const begun = performance.now();
      await alice.call('5550004');
      const call = await next;
      const took = performance.now() - begun;
      t.diagnostic(`INVITE at the trunk after ${took.toFixed(0)} ms`);
      assert.ok(took < UNANSWERED_STUN_MILLISECONDS, `took ${took.toFixed(0)} ms`);
      call.answer();
      await alice.sees('call', 'active');
      await call.rtp.hears(ALICE_HERTZ);
      await alice.hangUp();
      await call.becomes('ended');
    });

    if (SIGNALLING[library] !== name) return;

    it('registers and unregisters', async () => {
      const alice = await registered('alice');
      await alice.unregister();
      await alice.sees('registration', 'unregistered');
    });

    it('refuses a wrong password', async () => {
      const alice = await Client.open(browsers.alice, library, gateway.origin);
      clients.push(alice);
      await alice.register('alice', 'wrong');
      const { status } = await alice.sees('registration', 'failed');
      assert.ok(status === 401 || status === 403, `got ${status}`);
    });

    it('sound goes on when the certificate is exchanged, and who comes then sees the new one', async () => {
      const { alice, call } = await aliceCallsTrunk();
      await alice.hears(TRUNK_HERTZ);
      const shown = await gateway.certificate();
      await gateway.renewCertificate();
      assert.notEqual(await gateway.certificate(), shown);
      await Promise.all([alice.hears(TRUNK_HERTZ), call.rtp.hears(ALICE_HERTZ)]);
      const bob = await registered('bob');
      await bob.call('echo');
      await bob.sees('call', 'active');
      await alice.hangUp();
      await alice.sees('call', 'ended');
    });

    it('echo plays back what it hears, tone plays a melody', async () => {
      const alice = await registered('alice');
      await alice.call('echo');
      await alice.sees('call', 'active');
      await alice.hears(ALICE_HERTZ);
      await alice.hangUp();
      await alice.sees('call', 'ended');
      await alice.call('tone');
      await alice.sees('call', 'active');
      await alice.hearsSomething();
      await alice.hangUp();
      await alice.sees('call', 'ended');
    });

    it('either side refuses', async () => {
      const alice = await registered('alice');
      const next = trunk.nextCall();
      await alice.call('5550002');
      (await next).reject(486);
      assert.equal((await alice.sees('call', 'ended')).status, 486);

      const call = await trunk.call('alice');
      await alice.sees('call', 'incoming');
      await alice.reject();
      await call.becomes('ended');
      assert.equal(call.status, 486);
    });

    it('either side gives up before the answer', async () => {
      const alice = await registered('alice');
      const next = trunk.nextCall();
      await alice.call('5550003');
      const out = await next;
      out.ring();
      await alice.sees('call', 'ringing');
      await alice.hangUp();
      await out.becomes('ended');
      assert.ok(out.endedByPeer);
      await alice.sees('call', 'ended');

      const call = await trunk.call('alice');
      await alice.sees('call', 'incoming');
      call.cancel();
      await alice.sees('call', 'ended');
      await call.becomes('ended');
      assert.equal(call.status, 487);
    });

    it('a closed tab ends the call at the trunk after the grace', async (t) => {
      const { alice, call } = await aliceCallsTrunk();
      await call.rtp.hears(ALICE_HERTZ);
      const begun = performance.now();
      await alice.close();
      clients.length = 0;
      await call.becomes('ended');
      assert.ok(call.endedByPeer);
      t.diagnostic(`BYE ${((performance.now() - begun) / 1000).toFixed(1)} s after the tab closed; the grace is ${GRACE_SECONDS} s`);
    });

    it('nothing of all these calls is left in the store', async () => {
      await gateway.holdsNoCall();
    });
  });
}
