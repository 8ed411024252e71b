// The clients of docs/embedding.md over a working day, made short: what repeats in a day repeats here under one call.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { BROWSERS, sharedBrowser } from './lib/browsers.js';
import { Client, LIBRARIES } from './lib/client.js';
import { freePort, freeUdpPort, Gateway, USERS } from './lib/gateway.js';
import { Line } from './lib/line.js';
import { Trunk } from './lib/trunk.js';
import { OUTSIDE, UdpLine } from './lib/udp-line.js';

const ALICE_HERTZ = 440;
const TRUNK_HERTZ = 1000;
const REGISTRATIONS = 11;
const STOPPED_SECONDS = 20;
const CLIENTS = LIBRARIES.flatMap((library) => BROWSERS.map((name) => ({ library, name })));

async function registered({ library, name }, origin, options) {
  const alice = await Client.open(await sharedBrowser(name, ALICE_HERTZ), library, origin, options);
  await alice.register('alice', USERS.alice);
  await alice.isRegistered();
  return alice;
}

// Each of them waits most of the time.
describe('a page of docs/embedding.md', { concurrency: true, timeout: 300_000 }, () => {
  describe('that stays open', day);
  describe('whose sound does not get through', outage);
});

function day() {
  let gateway;
  let trunk;
  let renewed;
  before(async () => {
    trunk = await Trunk.open();
    const limits = { calls_per_user: 20, bindings_per_user: 20 };
    const at = `127.0.0.1:${await freePort()}`;
    const turn = { urls: [`turn:${at}?transport=tcp`], tcp: [at] };
    gateway = await Gateway.start({ trunk, turn, settings: { browser: { registration: '10s', grace: '10s' }, limits } });
  });
  after(async () => {
    await gateway?.stop();
    await trunk?.close();
  });

  for (const [i, client] of CLIENTS.entries()) {
    // RFC 3261 §10.2.4, RFC 5626 §4.4
    it(`keeps its call over ten registrations, two lost connections and a new certificate: ${client.library} in ${client.name}`, async (t) => {
      const line = await Line.to(gateway.wssPort);
      t.after(() => line.close());
      const alice = await registered(client, `https://localhost:${line.port}`, { first: countRegistrations });
      t.after(() => alice.close());
      const begun = await alice.evaluate(() => globalThis.registrations);
      const call = await calls(alice, String(5550100 + i));
      const [told] = await alice.iceServers();
      await refreshes(3);
      const [toldLast] = await alice.iceServers();
      assert.deepEqual(toldLast.urls, told.urls);
      assert.notEqual(toldLast.username, told.username, 'the newest credentials count');
      await soundBothWays();
      line.cut();
      await refreshes(1);
      await soundBothWays();
      // Once, for whichever comes first.
      renewed ??= gateway.renewCertificate();
      await renewed;
      await soundBothWays();
      line.cut();
      await refreshes(1);
      await soundBothWays();
      await refreshes(begun + REGISTRATIONS - (await alice.evaluate(() => globalThis.registrations)));
      await soundBothWays();
      await alice.hangUp();
      await call.becomes('ended');
      assert.ok(call.endedByPeer);

      async function soundBothWays() {
        call.rtp.forget();
        await Promise.all([alice.hears(TRUNK_HERTZ), call.rtp.hears(ALICE_HERTZ)]);
        assert.equal((await alice.seen()).call, 'active');
      }

      async function refreshes(count) {
        const wanted = (await alice.evaluate(() => globalThis.registrations)) + Math.max(0, count);
        const enough = (registrations) => globalThis.registrations >= registrations;
        await alice.waitFor(enough, wanted, REGISTRATIONS * 10_000);
      }
    });
  }

  async function calls(alice, number) {
    await alice.call(number);
    const call = await trunk.watch.until('the call at the trunk', () => trunk.calls.find((one) => one.dialled === number));
    call.answer();
    await alice.sees('call', 'active');
    await Promise.all([alice.hears(TRUNK_HERTZ), call.rtp.hears(ALICE_HERTZ)]);
    return call;
  }
}

function outage() {
  let gateway;
  let line;
  before(async () => {
    const port = await freeUdpPort();
    const relay = { browser_address: `127.0.0.1/${OUTSIDE}`, browser_port: port, workers: 1, rtp_ports: [20_000, 20_099], media_timeout: '25s' };
    gateway = await Gateway.start({ pool: false, settings: { relay } });
    line = await UdpLine.to(port);
  });
  after(async () => {
    line?.close();
    await gateway?.stop();
  });

  // RFC 8839 §4.4.1.1.1
  it(`for ${STOPPED_SECONDS} s: an ICE restart brings it back, and for longer: the page says why the call ended`, async (t) => {
    const pages = await Promise.all(CLIENTS.map((client) => registered(client, gateway.origin)));
    t.after(() => Promise.all(pages.map((alice) => alice.close())));
    await Promise.all(pages.map((alice) => alice.call('echo')));
    await Promise.all(pages.map((alice) => alice.hears(ALICE_HERTZ)));
    line.stopped = true;
    await pause(STOPPED_SECONDS * 1000);
    line.stopped = false;
    const resumed = performance.now();
    await Promise.all(pages.map(async (alice, i) => {
      await alice.hears(ALICE_HERTZ);
      const took = ((performance.now() - resumed) / 1000).toFixed(1);
      t.diagnostic(`${CLIENTS[i].library} in ${CLIENTS[i].name}: sound again after ${took} s`);
    }));
    line.stopped = true;
    for (const alice of pages) {
      const { reason } = await alice.sees('call', 'ended');
      assert.match(reason, /^Media (lost|timeout)$/);
    }
  });
}

/** Runs in the page: counts each 200 to a REGISTER in `globalThis.registrations`. */
function countRegistrations() {
  globalThis.registrations = 0;
  globalThis.WebSocket = class extends WebSocket {
    constructor(...given) {
      super(...given);
      this.addEventListener('message', ({ data }) => {
        if (/^SIP\/2\.0 200 /.test(data) && /^CSeq:.*REGISTER\r$/im.test(data)) globalThis.registrations += 1;
      });
    }
  };
}
