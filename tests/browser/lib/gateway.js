// Starts the gateway for the tests, with a folder, ports and users of its own.
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, isIPv6 } from 'node:net';
import { connect } from 'node:tls';
import dgram from 'node:dgram';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Relay } from './relay.js';
import { Watch } from './watch.js';

export const USERS = { alice: 'wonderland-1', bob: 'builder-2' };
export const GRACE_SECONDS = 2;
const LOOPBACK = '127.0.0.1';

export class Gateway {
  log = '';
  #process;
  #folder;
  #relay;
  #host;
  #arguments;
  #watch = new Watch();

  /**
   * `trunk`: a Trunk that takes every number which is no user; `settings`: more lines of configuration by section.
   * `host`: where browsers reach it; `turn`: the section of that name; with `on_wss` its `urls` are made.
   * With RELAY=pool in the environment the media relay is a program of its own.
   */
  static async start({ trunk, settings = {}, host = LOOPBACK, turn, pool = process.env.RELAY === 'pool' } = {}) {
    const gateway = new Gateway();
    gateway.#folder = await mkdtemp(join(tmpdir(), 'gateway-test-'));
    gateway.#host = host;
    // Below the ports that the system gives away.
    const server = turn && { relayed_address: host, relayed_ports: [20_000, 20_999], ...turn };
    const told = pool ? await gateway.#startRelay(server) : server;
    await gateway.#configure(trunk, told ? { turn: told, ...settings } : settings);
    gateway.#arguments = ['--config', join(gateway.#folder, 'gateway.toml')];
    await gateway.#run(gateway.#arguments);
    trunk?.reaches({ address: '127.0.0.1', port: gateway.sipPort });
    return gateway;
  }

  /** Another life of the program, which has nothing of the one before but its files. */
  async restart() {
    this.#process.kill('SIGKILL');
    await once(this.#process, 'exit');
    await this.#run(this.#arguments);
  }

  get relay() {
    return this.#relay;
  }

  /** As `./run` starts it: without a configuration file. Only its ports are others, so that it is in nobody's way. */
  static async demo() {
    const gateway = new Gateway();
    gateway.#folder = await mkdtemp(join(tmpdir(), 'gateway-demo-'));
    gateway.#host = LOOPBACK;
    await gateway.#choosePorts();
    const [sip, admin] = [`127.0.0.1:${gateway.sipPort}`, `127.0.0.1:${gateway.adminPort}`];
    await gateway.#run([], {
      GATEWAY__LISTEN__WSS: `127.0.0.1:${gateway.wssPort}`,
      GATEWAY__LISTEN__SIP_UDP: sip,
      GATEWAY__LISTEN__SIP_TCP: sip,
      GATEWAY__ADMIN__LISTEN: admin,
      GATEWAY__RELAY__BROWSER_PORT: '0',
      GATEWAY__BROWSER__PAGE: PAGE,
    });
    return gateway;
  }

  /** Of the demo's users, by their names. */
  async passwords() {
    const users = await readFile(join(this.#folder, 'var', 'demo-users'), 'utf8');
    return Object.fromEntries(users.split('\n').filter((line) => /^\w/.test(line)).map((line) => line.split(':')));
  }

  async #run(options, environment = {}) {
    this.#process = spawn(BINARY, ['run', ...options], {
      cwd: this.#folder,
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream.on('data', (text) => {
        this.log += text;
        this.#watch.changed();
      });
    }
    this.#process.on('error', (error) => (this.log += error.message));
    this.#process.on('exit', () => this.#watch.changed());
    await this.#isReady();
  }

  get origin() {
    return `https://${this.#host === LOOPBACK ? 'localhost' : bracketed(this.#host)}:${this.wssPort}`;
  }

  /** On loopback the relay finds by itself what it tells browsers. */
  get #browserAddress() {
    return { browser_port: 0, ...(this.#host === LOOPBACK ? {} : { browser_address: this.#host }) };
  }

  get #domain() {
    return this.#host === LOOPBACK || isIPv6(this.#host) ? 'localhost' : this.#host;
  }

  /** Waits until every call that began has ended and the store, which is counted from time to time, holds none. */
  async holdsNoCall() {
    const deadline = performance.now() + 60_000;
    for (;;) {
      const metrics = await this.#metrics();
      const sum = (name) => metrics.filter(([known]) => known.startsWith(name)).reduce((total, [, value]) => total + value, 0);
      const [began, ended] = [sum('gateway_calls_started_total'), sum('gateway_calls_ended_total')];
      const kept = sum('gateway_store_values{kind="call"}');
      const sessions = (await this.#relay?.sessions()) ?? 0;
      if (began > 0 && began === ended && kept === 0 && sessions === 0) return;
      if (performance.now() > deadline) throw new Error(`${began} calls began, ${ended} ended, ${kept} are in the store, the relay has ${sessions}`);
      await pause(500);
    }
  }

  /** How many REGISTERs it has accepted. */
  async registrations() {
    return new Map(await this.#metrics()).get('gateway_registrations_total') ?? 0;
  }

  /** The fingerprint of the certificate that new connections see. */
  async certificate() {
    const socket = connect({ host: this.#host, port: this.wssPort, rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    const { fingerprint256 } = socket.getPeerCertificate();
    socket.destroy();
    return fingerprint256;
  }

  /** Another certificate, read at SIGHUP. */
  async renewCertificate() {
    const file = (name) => join(this.#folder, 'state', name);
    await makeCertificate(file('self-signed.pem'), file('self-signed.key'), '127.0.0.1', 'localhost');
    this.#process.kill('SIGHUP');
    await this.#watch.until('the gateway to read its files', () => this.log.includes('read again'));
  }

  /** Stands still, its relay too if that is inside, until it is resumed. */
  suspend() {
    this.#process.kill('SIGSTOP');
  }

  resume() {
    this.#process.kill('SIGCONT');
  }

  /** Resolves with the milliseconds that SIGTERM took to end the process. */
  async stop() {
    const begun = performance.now();
    if (this.#process.exitCode === null) {
      this.#process.kill('SIGTERM');
      await once(this.#process, 'exit');
    }
    const milliseconds = performance.now() - begun;
    await this.#relay?.stop();
    await rm(this.#folder, { recursive: true, force: true });
    return milliseconds;
  }

  get exitCode() {
    return this.#process.exitCode;
  }

  /** The lines of `/metrics` as name with labels, and value. */
  async #metrics() {
    const text = await (await fetch(`http://127.0.0.1:${this.adminPort}/metrics`)).text();
    const lines = text.split('\n').filter((line) => line && !line.startsWith('#'));
    return lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]);
  }

  /** Resolves with what the gateway needs to know of the relay's TURN. */
  async #startRelay(turn) {
    const sections = { media: this.#browserAddress };
    if (turn) {
      const { urls, ...server } = turn;
      const file = (name) => join(this.#folder, name);
      await writeFile(file('turn-secrets'), randomBytes(32).toString('hex'), { mode: 0o600 });
      if (server.tls) await makeCertificate(file('turn.pem'), file('turn.key'), this.#host);
      const certificate = server.tls ? { certificate_file: 'turn.pem', key_file: 'turn.key' } : {};
      sections.turn = { ...server, ...certificate, secrets_file: 'turn-secrets' };
      turn = { urls, secrets_file: 'turn-secrets' };
    }
    this.#relay = await Relay.start(this.#folder, sectionsOf(sections));
    return turn;
  }

  async #choosePorts() {
    [this.wssPort, this.adminPort, this.sipPort] = [await freePort(this.#host), await freePort(), await freeUdpPort()];
  }

  async #configure(trunk, settings) {
    await this.#choosePorts();
    if (settings.turn?.on_wss) settings = { ...settings, turn: { ...settings.turn, urls: [`turns:${this.#host}:${this.wssPort}`] } };
    const users = join(this.#folder, 'users');
    await writeFile(users, Object.entries(USERS).map((user) => `${user.join(':')}\n`).join(''), { mode: 0o600 });
    const sections = {
      listen: { wss: `${bracketed(this.#host)}:${this.wssPort}`, sip_udp: `127.0.0.1:${this.sipPort}`, sip_tcp: `127.0.0.1:${this.sipPort}` },
      admin: { listen: `127.0.0.1:${this.adminPort}` },
      browser: { domain: this.#domain, grace: `${GRACE_SECONDS}s`, page: PAGE },
      users: { file: users },
      dialplan: trunk ? { trunk: 'pbx' } : {},
      relay: this.#relay ? { kind: 'pool' } : this.#browserAddress,
      tls: { names: [this.#host] },
      state: { folder: join(this.#folder, 'state') },
      log: { filter: process.env.GATEWAY_LOG ?? 'info' },
    };
    for (const [name, more] of Object.entries(settings)) sections[name] = { ...sections[name], ...more };
    const tables = Object.entries(sections).map(([name, keys]) => [`[${name}]`, keys]);
    if (trunk) tables.push(['[[trunk]]', { name: 'pbx', address: `127.0.0.1:${trunk.port}`, cidrs: ['127.0.0.0/8'] }]);
    if (this.#relay) tables.push(['[[relay.pool]]', { name: 'relay-1', url: this.#relay.url }]);
    await writeFile(join(this.#folder, 'gateway.toml'), tables.map(([title, keys]) => `${title}\n${toml(keys)}`).join('\n'));
  }

  /** The gateway writes when it listens; asking again after each line needs no guess at how long it takes. */
  async #isReady() {
    const deadline = AbortSignal.timeout(20_000);
    while (!(await this.#answers())) {
      if (this.#process.exitCode !== null || deadline.aborted) throw new Error(`the gateway did not start:\n${this.log}`);
      const { length } = this.log;
      await this.#watch.until('the gateway to write', () => this.log.length > length || this.#process.exitCode !== null, 250).catch(() => {});
    }
  }

  async #answers() {
    try {
      if (!(await fetch(`http://127.0.0.1:${this.adminPort}/readyz`)).ok) return false;
      const ready = new Map(await this.#metrics()).get('gateway_relay_ready{relay="relay-1"}');
      return !this.#relay || ready === 1;
    } catch {
      return false;
    }
  }
}

const PAGE = new URL('../../../gateway/web/dist', import.meta.url).pathname;
/** The binary under test. */
const BINARY = process.env.GATEWAY_BIN ?? new URL('../../../target/debug/gateway', import.meta.url).pathname;

/** Tables by their titles. */
function sectionsOf(tables) {
  return Object.entries(tables).map(([name, keys]) => `[${name}]\n${toml(keys)}`).join('');
}

function toml(keys) {
  return Object.entries(keys).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`).join('');
}

async function makeCertificate(chain, key, address, name = 'turn') {
  const make = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', `/CN=${name}`];
  await promisify(execFile)('openssl', [...make, '-addext', `subjectAltName=IP:${address},DNS:${name}`, '-keyout', key, '-out', chain]);
}

/** As it is written before a port. */
function bracketed(host) {
  return isIPv6(host) ? `[${host}]` : host;
}

/** The system's choice; nobody else takes it in the moment before the gateway does. */
export async function freePort(host = LOOPBACK) {
  const server = createServer().listen(0, host);
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

export async function freeUdpPort() {
  const socket = dgram.createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  await once(socket, 'close');
  return port;
}
