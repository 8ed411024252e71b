// A stand-in for the gateway in tests of the softphone page alone: serves the page, registers users with a digest
// challenge, and carries messages between them like a proxy. The sound goes from browser to browser.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { extname } from 'node:path';
import { WebSocketServer } from 'ws';
import { Message, parse, response, token, uriOf, userOf } from './sip.js';
import { Watch } from './watch.js';

export class ScriptedServer {
  received = [];
  watch = new Watch();
  /** What INVITEs get instead of being carried: a status, or null. */
  refusesCallsWith = null;
  /** False: the connection is there and nobody behind it. */
  answersPings = true;
  /** What REGISTERs get instead of being judged: a status, or null. */
  refusesRegistersWith = null;
  /** Seconds that a registration lasts. */
  expires = 300;
  /** The Reason that is put into every BYE, or null. */
  byeReason = null;
  /** Whether offers and answers may speak of telephone-event. */
  carriesEvents = true;
  /** Algorithms of the challenges, in the order they are sent. */
  algorithms = ['SHA-256', 'MD5'];

  #users;
  #http;
  #flows = new Map();
  #via = new Map();

  /** `users`: passwords by name. */
  static async start(users, page = new URL('../../../gateway/web/dist/', import.meta.url)) {
    const server = new ScriptedServer();
    server.#users = users;
    server.#http = createServer((request, answer) => void serve(page, request, answer));
    const sockets = new WebSocketServer({ server: server.#http, path: '/ws', handleProtocols: () => 'sip' });
    sockets.on('connection', (socket) => {
      socket.on('message', (data) => server.#receive(socket, data.toString()));
      socket.on('close', () => server.#forget(socket));
    });
    server.#http.listen(0, '127.0.0.1');
    await once(server.#http, 'listening');
    return server;
  }

  get origin() {
    return `http://127.0.0.1:${this.#http.address().port}`;
  }

  registered(user) {
    return this.#flows.has(user);
  }

  /** Breaks every connection; the clients come back by themselves. */
  dropConnections() {
    for (const socket of new Set(this.#flows.values())) socket.terminate();
  }

  async close() {
    this.#http.closeAllConnections();
    this.dropConnections();
    this.#http.close();
    await once(this.#http, 'close');
  }

  #receive(socket, text) {
    // RFC 5626 §4.4.1
    if (text === '\r\n\r\n' && this.answersPings) socket.send('\r\n');
    if (!text.trim()) return;
    const message = parse(text);
    this.received.push(message);
    if (!message.isRequest) this.#carryBack(message);
    else if (message.method === 'REGISTER') this.#register(socket, message);
    else if (message.method === 'INVITE' && this.refusesCallsWith) this.#answer(socket, message, this.refusesCallsWith);
    else this.#carry(socket, message);
    this.watch.changed();
  }

  #register(socket, request) {
    if (this.refusesRegistersWith) return this.#answer(socket, request, this.refusesRegistersWith);
    const user = userOf(uriOf(request.get('to')));
    const credentials = request.get('authorization');
    if (!credentials || !isRight(credentials, this.#users[user])) {
      const headers = this.algorithms.map((name) => ['www-authenticate', challenge(name)]);
      this.#answer(socket, request, 401, headers);
    } else {
      const contact = request.get('contact');
      this.#flows.set(user, socket);
      this.#flows.set(userOf(uriOf(contact)), socket);
      this.#answer(socket, request, 200, [['contact', `${contact.replace(/;expires=\d+/, '')};expires=${this.expires}`]]);
    }
  }

  #carry(socket, request) {
    const target = this.#flows.get(userOf(request.uri));
    if (!target) {
      if (request.method !== 'ACK') this.#answer(socket, request, 404);
      return;
    }
    // One branch for an INVITE, its CANCEL and its ACK, as a stateless proxy has it (RFC 3261 §16.11).
    const branch = `z9hG4bK-hop-${request.branch}`;
    this.#via.set(branch, socket);
    const headers = [['via', `SIP/2.0/WS scripted.invalid;branch=${branch}`], ...request.headers];
    if (request.method === 'BYE' && this.byeReason) headers.push(['reason', this.byeReason]);
    target.send(new Message(request.start, headers, this.#carried(request.body)).toString());
  }

  #carryBack(message) {
    const back = this.#via.get(message.branch);
    const own = message.headers.findIndex(([name]) => name === 'via');
    back?.send(new Message(message.start, without(message.headers, own), this.#carried(message.body)).toString());
  }

  #carried(sdp) {
    return this.carriesEvents ? sdp : sdp.replace(/^a=rtpmap:\d+ telephone-event.*\r\n/gm, '');
  }

  #answer(socket, request, status, headers = []) {
    socket.send(response(request, status, { tag: token(), headers }).toString());
  }

  #forget(socket) {
    for (const [name, known] of this.#flows) if (known === socket) this.#flows.delete(name);
    this.watch.changed();
  }
}

function without(list, index) {
  return list.filter((_, i) => i !== index);
}

function challenge(algorithm) {
  return `Digest realm="test", nonce="${token()}", algorithm=${algorithm}, qop="auth"`;
}

/** RFC 7616 §3.4.1. */
function isRight(credentials, password) {
  const value = (name) => new RegExp(`\\b${name}="?([^",]+)`).exec(credentials)?.[1];
  const hash = (text) => createHash(value('algorithm') === 'SHA-256' ? 'sha256' : 'md5').update(text).digest('hex');
  const ha1 = hash(`${value('username')}:${value('realm')}:${password}`);
  const ha2 = hash(`REGISTER:${value('uri')}`);
  return value('response') === hash([ha1, value('nonce'), value('nc'), value('cnonce'), value('qop'), ha2].join(':'));
}

async function serve(folder, request, answer) {
  const name = request.url === '/' ? 'index.html' : request.url.slice(1);
  try {
    const content = await readFile(new URL(name, folder));
    answer.writeHead(200, { 'content-type': TYPES[extname(name)] ?? 'text/plain', 'content-security-policy': POLICY });
    answer.end(content);
  } catch {
    answer.writeHead(404, { 'content-type': 'text/plain' }).end('no such page\n');
  }
}

const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
/** Stricter than the gateway's own, so that the page stays within both. */
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; media-src 'self' blob:";
