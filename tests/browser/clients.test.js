// The stock clients against the scripted server: what the calls of gateway.test.js are driven with works by itself.
import { after, before, describe, it } from 'node:test';
import { BROWSERS, sharedBrowser } from './lib/browsers.js';
import { Client, LIBRARIES } from './lib/client.js';
import { ScriptedServer } from './lib/scripted-server.js';

for (const name of BROWSERS) describe(`stock clients in ${name}`, { timeout: 120_000 }, () => {
  let server;
  let browsers;
  before(async () => {
    server = await ScriptedServer.start({ alice: 'a', bob: 'b' });
    browsers = await Promise.all([sharedBrowser(name, 440), sharedBrowser(name, 660)]);
  });
  after(async () => {
    await server?.close();
  });

  for (const library of LIBRARIES) {
    it(`${library} takes the MD5 challenge that comes after the SHA-256 one, calls, hears, holds`, async () => {
      const [alice, bob] = [await Client.open(browsers[0], library, server.origin), await Client.open(browsers[1], library, server.origin)];
      await alice.register('alice', 'a');
      await bob.register('bob', 'b');
      await Promise.all([alice.isRegistered(), bob.isRegistered()]);
      await alice.call('bob');
      await bob.sees('call', 'incoming');
      await alice.sees('call', 'ringing');
      await bob.answer();
      await Promise.all([alice.sees('call', 'active'), bob.sees('call', 'active')]);
      await Promise.all([alice.hears(660), bob.hears(440)]);
      await alice.hold();
      await alice.sees('call', 'held');
      await alice.resume();
      await alice.sees('call', 'active');
      await bob.hangUp();
      await alice.sees('call', 'ended');
      await Promise.all([alice.close(), bob.close()]);
    });
  }
});
