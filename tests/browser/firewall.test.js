// Browsers whose firewall lets no UDP through: calls with sound by TURN over TLS and over TCP.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { startBrowser } from './lib/browsers.js';
import { Client, LIBRARIES } from './lib/client.js';
import { Firewall } from './lib/firewall.js';
import { freePort, Gateway, USERS } from './lib/gateway.js';
import { Softphone } from './lib/softphone.js';

const HERTZ = 440;
const WAYS = [
  { way: 'TLS', kind: 'tls', url: (at) => `turns:${at}` },
  { way: 'TCP', kind: 'tcp', url: (at) => `turn:${at}?transport=tcp` },
];

describe('behind a firewall without UDP', { timeout: 240_000 }, () => {
  let firewall;
  let browser;
  let gateway;
  before(async () => {
    firewall = await Firewall.open();
    browser = await startBrowser('chromium', HERTZ, { executablePath: firewall.chromium, arguments: ['--ignore-certificate-errors'] });
  });
  afterEach(() => gateway?.stop());
  after(async () => {
    await browser?.close();
    await firewall?.close();
  });

  /** A gateway with one way to TURN. */
  async function start({ kind, url }, pool = process.env.RELAY === 'pool') {
    const at = `${firewall.host}:${await freePort(firewall.host)}`;
    gateway = await Gateway.start({ host: firewall.host, pool, turn: { urls: [url(at)], [kind]: [at] } });
  }

  async function registered(library = 'jssip') {
    const alice = await Client.open(browser, library, gateway.origin);
    await alice.register('alice', USERS.alice);
    await alice.isRegistered();
    return alice;
  }

  it('there is no sound without TURN', async () => {
    gateway = await Gateway.start({ host: firewall.host });
    const alice = await registered();
    const before = firewall.dropped;
    await alice.call('echo');
    await alice.sees('ice', 'disconnected');
    assert.ok(firewall.dropped > before, 'its checks met the firewall');
    assert.equal((await alice.seen()).soundAt, null);
    await alice.close();
  });

  for (const way of WAYS) {
    for (const library of LIBRARIES) {
      it(`${library} hears itself from the echo by TURN over ${way.way}`, async () => {
        await start(way);
        const alice = await registered(library);
        await alice.call('echo');
        await alice.sees('call', 'active');
        await alice.hears(HERTZ);
        await alice.hangUp();
        await alice.sees('call', 'ended');
        await alice.close();
      });
    }

    it(`two softphone pages hear each other by TURN over ${way.way}`, async () => {
      await start(way);
      await twoPagesHearEachOther();
    });
  }

  it('TURN of a relay that is a program of its own', async () => {
    await start(WAYS[1], true);
    const alice = await registered();
    await alice.call('echo');
    await alice.sees('call', 'active');
    await alice.hears(HERTZ);
    await alice.close();
  });

  it('two softphone pages hear each other when nothing but TCP to the port of HTTPS is let out', async () => {
    gateway = await Gateway.start({ host: firewall.host, pool: false, turn: { on_wss: true } });
    firewall.letOutOnly(gateway.wssPort);
    try {
      await twoPagesHearEachOther();
    } finally {
      firewall.letOutTcp();
    }
  });

  async function twoPagesHearEachOther() {
    const [alice, bob] = [await signedIn('alice'), await signedIn('bob')];
    await alice.dial('bob');
    await bob.shows('call', 'incoming');
    await bob.press('Answer');
    await Promise.all([alice.shows('call', 'active'), bob.shows('call', 'active')]);
    await Promise.all([alice.hears(HERTZ), bob.hears(HERTZ)]);
    await alice.press('Hang up');
    await bob.shows('call', 'ended');
    await Promise.all([alice.page.close(), bob.page.close()]);
  }

  async function signedIn(user) {
    const phone = await Softphone.open(browser, gateway.origin);
    await phone.signIn(user, USERS[user]);
    await phone.isSignedIn();
    return phone;
  }
});
