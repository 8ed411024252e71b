// The gateway program before a browser: places of closed tabs, and its end.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BROWSERS, sharedBrowser } from './lib/browsers.js';
import { Client } from './lib/client.js';
import { Gateway, USERS } from './lib/gateway.js';
import { Trunk } from './lib/trunk.js';

const ALICE_HERTZ = 440;

describe('the program', () => {
  it('gives the place of a closed tab to the next one', async (t) => {
    const gateway = await Gateway.start({ settings: { limits: { bindings_per_user: 2 } } });
    t.after(() => gateway.stop());
    const browser = await sharedBrowser(BROWSERS[0], ALICE_HERTZ);
    for (let tab = 0; tab < 4; tab += 1) {
      const alice = await Client.open(browser, 'jssip', gateway.origin);
      await alice.register('alice', USERS.alice);
      await alice.isRegistered();
      await alice.close();
    }
  });

  it('ends its calls and exits within five seconds', async (t) => {
    const trunk = await Trunk.open();
    t.after(() => trunk.close());
    const gateway = await Gateway.start({ trunk });
    t.after(() => gateway.stop());
    const browser = await sharedBrowser(BROWSERS[0], ALICE_HERTZ);
    const alice = await Client.open(browser, 'jssip', gateway.origin);
    await alice.register('alice', USERS.alice);
    await alice.isRegistered();
    const next = trunk.nextCall();
    await alice.call('5550001');
    const call = await next;
    call.answer();
    await alice.sees('call', 'active');
    const took = await gateway.stop();
    await call.becomes('ended');
    assert.equal(gateway.exitCode, 0);
    t.diagnostic(`stopped in ${took.toFixed(0)} ms`);
    assert.ok(took < 5000, `took ${took.toFixed(0)} ms`);
  });
});
