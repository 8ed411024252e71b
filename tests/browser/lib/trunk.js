// A SIP peer on the trunk side, over UDP, with G.711 sound: what a PBX would be to the gateway.
import dgram from 'node:dgram';
import { once } from 'node:events';
import { EVENT_TYPE, RtpPeer } from './rtp.js';
import { Message, parse, response, token, uriOf, userOf } from './sip.js';
import { Watch } from './watch.js';

export class Trunk {
  /** Every request and response received, in order. */
  received = [];
  calls = [];
  watch = new Watch();

  #socket;
  #gateway;
  /** Last response by transaction, to answer a repeated request alike (RFC 3261 §17.2.2). */
  #answers = new Map();
  #pending = new Map();

  static async open(gateway = null) {
    const trunk = new Trunk();
    trunk.#gateway = gateway;
    trunk.#socket = dgram.createSocket('udp4');
    trunk.#socket.bind(0, ADDRESS);
    await once(trunk.#socket, 'listening');
    trunk.#socket.on('message', (bytes, from) => trunk.#receive(bytes.toString(), from));
    return trunk;
  }

  get port() {
    return this.#socket.address().port;
  }

  get contact() {
    return `sip:trunk@${ADDRESS}:${this.port}`;
  }

  /** Where requests outside a dialog go. */
  reaches(gateway) {
    this.#gateway = gateway;
  }

  /** The next call that comes in from now on; it rings nowhere until the test says so. */
  async nextCall() {
    const known = this.calls.length;
    return this.watch.until('a call at the trunk', () => this.calls[known]);
  }

  /** Calls a user of the gateway. */
  async call(user, { from = '5551234', name = 'Trunk Caller', tone } = {}) {
    const call = new TrunkCall(this, await RtpPeer.open(ADDRESS), tone);
    const uri = `sip:${user}@${this.#gateway.address}:${this.#gateway.port}`;
    call.invite(uri, `"${name}" <sip:${from}@${ADDRESS}:${this.port}>;tag=${token()}`, this.#gateway);
    this.calls.push(call);
    return call;
  }

  /** Sends a request, repeats it until something answers (timers A and E), hands each response to `onResponse`. */
  request(message, to, onResponse) {
    const key = `${message.branch} ${message.method}`;
    this.send(message, to);
    const timer = message.method === 'ACK' ? null : setInterval(() => this.send(message, to), 500);
    this.#pending.set(key, { timer, onResponse });
  }

  send(message, { address, port }) {
    this.#socket.send(message.toString(), port, address);
  }

  respond(request, from, status, extra) {
    const message = response(request, status, extra);
    this.#answers.set(`${request.branch} ${request.method}`, message);
    this.send(message, from);
  }

  via() {
    return `SIP/2.0/UDP ${ADDRESS}:${this.port};branch=z9hG4bK${token()};rport`;
  }

  async close() {
    for (const { timer } of this.#pending.values()) clearInterval(timer);
    for (const call of this.calls) call.close();
    this.#socket.close();
    await once(this.#socket, 'close');
  }

  #receive(text, { address, port }) {
    if (!text.trim()) return;
    const message = parse(text);
    const from = { address, port };
    this.received.push(message);
    if (message.isRequest) this.#receiveRequest(message, from);
    else this.#receiveResponse(message);
    this.watch.changed();
  }

  #receiveResponse(message) {
    const pending = this.#pending.get(`${message.branch} ${message.method}`);
    if (!pending) return;
    clearInterval(pending.timer);
    pending.onResponse(message);
  }

  #receiveRequest(request, from) {
    const repeated = this.#answers.get(`${request.branch} ${request.method}`);
    if (repeated) {
      this.send(repeated, from);
      return;
    }
    const call = this.calls.find((known) => known.callId === request.get('call-id'));
    if (call) call.receiveRequest(request, from);
    else if (request.method === 'INVITE') this.#adopt(request, from);
    else if (request.method === 'OPTIONS') this.respond(request, from, 200, { tag: token() });
    else if (request.method !== 'ACK') this.respond(request, from, 481, { tag: token() });
  }

  #adopt(request, from) {
    this.respond(request, from, 100);
    void RtpPeer.open(ADDRESS).then((rtp) => {
      const call = new TrunkCall(this, rtp);
      call.receiveInvite(request, from);
      this.calls.push(call);
      this.watch.changed();
    });
  }
}

/** One dialog and its sound. */
class TrunkCall {
  /** calling, ringing, answered, ended; with `status` when it failed. */
  state = 'calling';
  status = null;
  /** Directions of the peer's offers, oldest first: how hold and resume look here. */
  directions = [];
  /** True if the peer, not we, sent BYE or CANCEL. */
  endedByPeer = false;
  answeredAt = null;

  #trunk;
  #tone;
  #peer;
  #invite;
  #local;
  #remote;
  #target;
  #cseq = 1;
  #version = 1;
  #audio = null;

  constructor(trunk, rtp, tone = 1000) {
    this.#trunk = trunk;
    this.rtp = rtp;
    this.#tone = tone;
  }

  get callId() {
    return this.#invite.get('call-id');
  }

  get dialled() {
    return userOf(this.#invite.uri);
  }

  get caller() {
    return this.#invite.get('from');
  }

  /** The peer's first SDP. */
  get offer() {
    return this.#invite.body;
  }

  until(what, check, milliseconds) {
    return this.#trunk.watch.until(what, check, milliseconds);
  }

  becomes(state) {
    return this.until(`the trunk's call to be ${state}`, () => this.state === state);
  }

  // As the one called

  receiveInvite(request, from) {
    this.#invite = request;
    this.#peer = from;
    this.#local = `${request.get('to')};tag=${token()}`;
    this.#remote = request.get('from');
    this.#target = uriOf(request.get('contact'));
    this.#hear(request.body);
  }

  ring() {
    this.#answer(180);
  }

  answer() {
    this.#answer(200, this.#sdp());
    this.answeredAt = performance.now();
    this.#become('answered');
    this.#play();
  }

  reject(status = 486) {
    this.#answer(status);
    this.status = status;
    this.#become('ended');
  }

  // As the one calling

  invite(uri, from, peer) {
    this.#peer = peer;
    this.#local = from;
    this.#target = uri;
    this.#remote = `<${uri}>`;
    this.#invite = this.#request('INVITE', this.#sdp(), `${token()}@trunk`);
    this.#trunk.request(this.#invite, peer, (answer) => this.#answered(answer));
  }

  cancel() {
    const { headers } = this.#invite;
    const kept = headers.filter(([name]) => ['via', 'from', 'to', 'call-id', 'max-forwards'].includes(name));
    const cancel = new Message(`CANCEL ${this.#invite.uri} SIP/2.0`, [...kept, ['cseq', `${this.#invite.cseq} CANCEL`]]);
    this.#trunk.request(cancel, this.#peer, () => {});
  }

  // Both

  /** Plays the tone again after `rtp.mute()`. */
  resume() {
    this.#play();
  }

  hangUp() {
    this.#become('ended');
    this.rtp.mute();
    this.#trunk.request(this.#request('BYE'), this.#peer, () => {});
  }

  /** Offers a new direction; resolves with the answer. */
  reinvite(direction) {
    return new Promise((resolve, reject) => {
      this.#version += 1;
      const invite = this.#request('INVITE', this.#sdp(direction));
      this.#trunk.request(invite, this.#peer, (answer) => {
        if (answer.status < 200) return;
        this.#acknowledge(invite, answer);
        if (answer.status < 300) resolve(answer);
        else reject(new Error(`re-INVITE got ${answer.status}`));
      });
    });
  }

  receiveRequest(request, from) {
    this.#peer = from;
    if (request.method === 'ACK') return;
    if (request.method === 'INVITE' || request.method === 'UPDATE') this.#answerOffer(request, from);
    else if (request.method === 'BYE' || request.method === 'CANCEL') this.#endByPeer(request, from);
    else this.#trunk.respond(request, from, 200);
  }

  close() {
    this.rtp.close();
  }

  #answerOffer(request, from) {
    const offered = direction(request.body);
    this.directions.push(offered);
    this.#hear(request.body);
    this.#version += 1;
    this.#trunk.respond(request, from, 200, { headers: this.#contact(true), body: this.#sdp(MIRROR[offered]) });
    if (offered === 'inactive' || offered === 'sendonly') this.rtp.mute();
    else this.#play();
  }

  #endByPeer(request, from) {
    this.#trunk.respond(request, from, 200);
    if (request.method === 'CANCEL' && this.state !== 'answered') this.#answer(487);
    this.endedByPeer = true;
    this.rtp.mute();
    this.#become('ended');
  }

  #answered(answer) {
    if (answer.status < 180) return;
    if (answer.tag('to')) this.#remote = answer.get('to');
    if (answer.get('contact')) this.#target = uriOf(answer.get('contact'));
    if (answer.body) this.#hear(answer.body);
    if (answer.status < 200) {
      this.#become('ringing');
      return;
    }
    this.#acknowledge(this.#invite, answer);
    if (answer.status >= 300) {
      this.status = answer.status;
      this.#become('ended');
    } else if (this.state !== 'answered') {
      this.answeredAt = performance.now();
      this.#become('answered');
      this.#play();
    }
  }

  /** RFC 3261 §17.1.1.3: the ACK of a failure is part of the INVITE's transaction, that of a success is not. */
  #acknowledge(invite, answer) {
    const ack = this.#request('ACK');
    ack.headers = ack.headers.map(([name, value]) => {
      if (name === 'cseq') return [name, `${invite.cseq} ACK`];
      if (name === 'via' && answer.status >= 300) return [name, invite.get('via')];
      if (name === 'to') return [name, answer.get('to')];
      return [name, value];
    });
    if (answer.status >= 300) ack.start = `ACK ${invite.uri} SIP/2.0`;
    this.#cseq -= 1;
    this.#trunk.send(ack, this.#peer);
  }

  #answer(status, body = '') {
    const tag = /;tag=([^;]+)$/.exec(this.#local)[1];
    this.#trunk.respond(this.#invite, this.#peer, status, { tag, headers: this.#contact(body !== ''), body });
  }

  #request(method, body = '', callId = this.callId) {
    return new Message(
      `${method} ${this.#target} SIP/2.0`,
      [
        ['via', this.#trunk.via()],
        ['max-forwards', '70'],
        ['from', this.#local],
        ['to', this.#remote],
        ['call-id', callId],
        ['cseq', `${this.#cseq++} ${method}`],
        ...this.#contact(body !== ''),
      ],
      body,
    );
  }

  #contact(withBody) {
    const contact = [['contact', `<${this.#trunk.contact}>`]];
    return withBody ? [...contact, ['content-type', 'application/sdp']] : contact;
  }

  #sdp(way = 'sendrecv') {
    return [
      'v=0',
      `o=trunk 1 ${this.#version} IN IP4 ${ADDRESS}`,
      's=-',
      `c=IN IP4 ${ADDRESS}`,
      't=0 0',
      `m=audio ${this.rtp.port} RTP/AVP 0 ${EVENT_TYPE}`,
      'a=rtpmap:0 PCMU/8000',
      `a=rtpmap:${EVENT_TYPE} telephone-event/8000`,
      `a=fmtp:${EVENT_TYPE} 0-15`,
      'a=ptime:20',
      `a=${way}`,
      '',
    ].join('\r\n');
  }

  #hear(sdp) {
    const address = /^c=IN IP4 (\S+)/m.exec(sdp)?.[1];
    const port = Number(/^m=audio (\d+)/m.exec(sdp)?.[1] ?? 0);
    if (address && port) this.#audio = { address, port };
  }

  #play() {
    if (this.#audio && this.#tone) this.rtp.play(this.#tone, this.#audio);
  }

  #become(state) {
    this.state = state;
    this.#trunk.watch.changed();
  }
}

/** sendrecv unless the SDP says otherwise (RFC 3264 §5.1). */
export function direction(sdp) {
  return /^a=(sendrecv|sendonly|recvonly|inactive)\s*$/m.exec(sdp)?.[1] ?? 'sendrecv';
}

const ADDRESS = '127.0.0.1';
const MIRROR = { sendrecv: 'sendrecv', sendonly: 'recvonly', recvonly: 'sendonly', inactive: 'inactive' };
