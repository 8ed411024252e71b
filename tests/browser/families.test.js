// A browser that has IPv6 only, to us, calls a trunk that has IPv4 only: the relay joins them.
import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { sharedBrowser } from './lib/browsers.js';
import { Client } from './lib/client.js';
import { Gateway, USERS } from './lib/gateway.js';
import { Trunk } from './lib/trunk.js';

const ALICE_HERTZ = 440;
const TRUNK_HERTZ = 1000;

describe('a browser over IPv6', () => {
  let gateway;
  let trunk;
  let browser;
  before(async () => {
    trunk = await Trunk.open();
    gateway = await Gateway.start({ trunk, host: '::1' });
    // Firefox makes no candidate pair with loopback, of which ::1 is a part.
    browser = await sharedBrowser('chromium', ALICE_HERTZ);
  });
  after(async () => {
    await gateway?.stop();
    await trunk?.close();
  });

  it('calls a trunk over IPv4, and both hear each other', async () => {
    assert.match(gateway.origin, /^https:\/\/\[::1\]:/);
    const alice = await Client.open(browser, 'jssip', gateway.origin);
    await alice.register('alice', USERS.alice, { domain: 'localhost' });
    await alice.isRegistered();
    const next = trunk.nextCall();
    await alice.call('5550001');
    const call = await next;
    assert.match(call.offer, /^c=IN IP4 127\.0\.0\.1\r?$/m);
    call.answer();
    await alice.sees('call', 'active');
    await Promise.all([alice.hears(TRUNK_HERTZ), call.rtp.hears(ALICE_HERTZ)]);
    await alice.hangUp();
    await call.becomes('ended');
    await gateway.holdsNoCall();
  });
});
