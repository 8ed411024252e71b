// SIP messages (RFC 3261 §7) as plain values: { start, headers: [[name, value], …], body }.
import { randomBytes } from 'node:crypto';

export function parse(text) {
  const split = text.indexOf('\r\n\r\n');
  const [start, ...lines] = text.slice(0, split).split('\r\n');
  const headers = [];
  for (const line of lines) {
    if (/^[ \t]/.test(line) && headers.length) headers.at(-1)[1] += ` ${line.trim()}`;
    else {
      const colon = line.indexOf(':');
      const name = line.slice(0, colon).trim().toLowerCase();
      headers.push([LONG[name] ?? name, line.slice(colon + 1).trim()]);
    }
  }
  return new Message(start, headers, text.slice(split + 4));
}

export class Message {
  constructor(start, headers, body = '') {
    this.start = start;
    this.headers = headers;
    this.body = body;
  }

  get isRequest() {
    return !this.start.startsWith('SIP/2.0 ');
  }

  get method() {
    return this.isRequest ? this.start.split(' ')[0] : this.get('cseq').split(/\s+/)[1];
  }

  get uri() {
    return this.start.split(' ')[1];
  }

  get status() {
    return Number(this.start.split(' ')[1]);
  }

  get cseq() {
    return Number.parseInt(this.get('cseq'), 10);
  }

  get branch() {
    return /;\s*branch=([^;,\s]+)/.exec(this.get('via'))?.[1];
  }

  get(name) {
    return this.headers.find(([known]) => known === name)?.[1];
  }

  all(name) {
    return this.headers.filter(([known]) => known === name).map(([, value]) => value);
  }

  tag(name) {
    return /;\s*tag=([^;\s]+)/.exec(this.get(name))?.[1];
  }

  toString() {
    const headers = this.headers.filter(([name]) => name !== 'content-length');
    const lines = [...headers, ['content-length', Buffer.byteLength(this.body)]].map(([name, value]) => `${name}: ${value}`);
    return `${this.start}\r\n${lines.join('\r\n')}\r\n\r\n${this.body}`;
  }
}

/** A response with what RFC 3261 §8.2.6.2 copies from the request. */
export function response(request, status, { reason = REASONS[status] ?? 'Reason', tag, headers = [], body = '' } = {}) {
  const copied = request.headers.filter(([name]) => ['via', 'from', 'call-id', 'cseq', 'record-route'].includes(name));
  let to = request.get('to');
  if (tag && !request.tag('to')) to += `;tag=${tag}`;
  return new Message(`SIP/2.0 ${status} ${reason}`, [...copied, ['to', to], ...headers], body);
}

/** The URI inside a From, To or Contact value. */
export function uriOf(value) {
  return (/<([^>]+)>/.exec(value) ?? /^\s*([^;]+)/.exec(value))[1].trim();
}

export function userOf(uri) {
  return /^sips?:([^@;?]+)@/.exec(uri)?.[1] ?? '';
}

export function token(bytes = 6) {
  return randomBytes(bytes).toString('hex');
}

const LONG = { v: 'via', f: 'from', t: 'to', i: 'call-id', m: 'contact', l: 'content-length', c: 'content-type', k: 'supported' };
const REASONS = {
  100: 'Trying', 180: 'Ringing', 183: 'Session Progress', 200: 'OK', 401: 'Unauthorized', 403: 'Forbidden', 404: 'Not Found',
  480: 'Temporarily Unavailable', 481: 'Call/Transaction Does Not Exist', 486: 'Busy Here', 487: 'Request Terminated',
  488: 'Not Acceptable Here', 503: 'Service Unavailable', 603: 'Decline',
};
