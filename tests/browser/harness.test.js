// The measuring tools themselves: a test that hears a tone must be able not to hear it.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { LIBRARIES } from './lib/client.js';
import { PCMA, PCMU } from './lib/g711.js';
import { RtpPeer } from './lib/rtp.js';
import { parse } from './lib/sip.js';
import { share, sine } from './lib/sound.js';
import { Trunk } from './lib/trunk.js';

describe('measuring tools', () => {
  it('find a tone by its frequency and nothing else', () => {
    const tone = sine(1000, 8000, 4000);
    assert.ok(share(tone, 1000, 8000) > 0.99);
    assert.ok(share(tone, 440, 8000) < 0.01);
    assert.equal(share(new Float32Array(4000), 1000, 8000), 0);
    const noise = Float32Array.from({ length: 4000 }, () => Math.random() - 0.5);
    assert.ok(share(noise, 1000, 8000) < 0.1);
  });

  for (const [name, codec] of Object.entries({ PCMU, PCMA })) {
    it(`${name} brings a tone back within its quantisation noise`, () => {
      const tone = sine(1000, 8000, 4000);
      const back = codec.decode(codec.encode(tone));
      const noise = back.reduce((sum, sample, i) => sum + (sample - tone[i]) ** 2, 0) / 4000;
      // G.711 holds at least 33 dB at this level (ITU-T G.712).
      assert.ok(10 * Math.log10(0.125 / noise) > 33);
    });
  }

  it('G.711 has its published values', () => {
    assert.deepEqual([...PCMU.encode([0, 1, -1])], [0xff, 0x80, 0x00]);
    assert.deepEqual([...PCMA.encode([0, 1, -1])], [0xd5, 0xaa, 0x2a]);
  });

  it('two RTP peers hear each other', async () => {
    const [a, b] = [await RtpPeer.open(), await RtpPeer.open()];
    a.play(440, { address: '127.0.0.1', port: b.port });
    b.play(660, { address: '127.0.0.1', port: a.port }, PCMU);
    await Promise.all([a.hears(660), b.hears(440)]);
    assert.ok(a.shareOf(440) < 0.1);
    a.close();
    b.close();
  });

  it('SIP messages are read with compact names and folded lines', () => {
    const message = parse('BYE sip:a@b SIP/2.0\r\nv: SIP/2.0/UDP h;branch=z9hG4bK1\r\nf: <sip:a@b>\r\n ;tag=x\r\n\r\nbody');
    assert.equal(message.branch, 'z9hG4bK1');
    assert.equal(message.tag('from'), 'x');
    assert.equal(message.body, 'body');
  });

  it('two trunk peers call, hear, hold and hang up', async () => {
    const [caller, callee] = [await Trunk.open(), await Trunk.open()];
    caller.reaches({ address: '127.0.0.1', port: callee.port });
    const next = callee.nextCall();
    const out = await caller.call('100', { tone: 440 });
    const incoming = await next;
    assert.equal(incoming.dialled, '100');
    incoming.ring();
    await out.becomes('ringing');
    incoming.answer();
    await out.becomes('answered');
    await Promise.all([out.rtp.hears(1000), incoming.rtp.hears(440)]);
    await out.reinvite('sendonly');
    assert.deepEqual(incoming.directions, ['sendonly']);
    out.hangUp();
    await incoming.becomes('ended');
    assert.ok(incoming.endedByPeer);
    await Promise.all([caller.close(), callee.close()]);
  });

  it('a trunk peer cancels and is refused', async () => {
    const [caller, callee] = [await Trunk.open(), await Trunk.open()];
    caller.reaches({ address: '127.0.0.1', port: callee.port });
    const first = callee.nextCall();
    const cancelled = await caller.call('100');
    (await first).ring();
    await cancelled.becomes('ringing');
    cancelled.cancel();
    await cancelled.becomes('ended');
    assert.equal(cancelled.status, 487);
    const second = callee.nextCall();
    const refused = await caller.call('100');
    (await second).reject(486);
    await refused.becomes('ended');
    assert.equal(refused.status, 486);
    await Promise.all([caller.close(), callee.close()]);
  });
});

describe('docs/embedding.md', () => {
  for (const library of LIBRARIES) {
    it(`shows the code that ${library} is tested with`, async () => {
      const read = (path) => readFile(new URL(path, import.meta.url), 'utf8');
      const [guide, code] = await Promise.all([read('../../docs/embedding.md'), read(`clients/embedded/${library}.js`)]);
      assert.ok(guide.includes(`\`\`\`js\n${code}\`\`\`\n`), `the block of clients/embedded/${library}.js is another`);
    });
  }
});
