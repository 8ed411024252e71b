// JsSIP answers digest challenges with MD5 alone, and of several WWW-Authenticate lines it keeps the last. This teaches it
// SHA-256 (RFC 8760 §2.4), and to take it wherever it is offered.
import { sha256 } from '@noble/hashes/sha2';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils';
import DigestAuthentication from 'jssip/lib/DigestAuthentication.js';
import RequestSender from 'jssip/lib/RequestSender.js';
import Utils from 'jssip/lib/Utils.js';

export function teachSha256(): void {
  const answerMd5 = DigestAuthentication.prototype.authenticate;
  DigestAuthentication.prototype.authenticate = function (request, challenge) {
    if (challenge.algorithm !== 'SHA-256') return answerMd5.call(this, request, challenge);
    if (!challenge.realm || !challenge.nonce || !challenge.qop?.includes('auth')) return false;
    answer(this, request, challenge);
    return true;
  };

  const receive = RequestSender.prototype._receiveResponse;
  RequestSender.prototype._receiveResponse = function (response) {
    for (const name of ['WWW-Authenticate', 'Proxy-Authenticate']) {
      const offer = lines(response.data, name).find(offersSha256);
      if (offer) response.setHeader(name, offer);
    }
    receive.call(this, response);
  };
}

/** RFC 7616 §3.4.1, qop=auth. */
function answer(digest: DigestAuthentication, request: DigestRequest, challenge: Challenge): void {
  const { username, password } = digest._credentials;
  // RFC 7616 §3.4: the count is of requests with this nonce.
  if (digest._nonce !== challenge.nonce) digest._nc = 0;
  digest._algorithm = 'SHA-256';
  digest._realm = challenge.realm;
  digest._nonce = challenge.nonce;
  digest._opaque = challenge.opaque;
  digest._stale = challenge.stale;
  digest._qop = 'auth';
  digest._uri = request.ruri;
  digest._cnonce = Utils.createRandomToken(12);
  digest._nc += 1;
  digest._ncHex = digest._nc.toString(16).padStart(8, '0');
  const ha1 = hash(`${username}:${challenge.realm}:${password}`);
  const ha2 = hash(`${request.method}:${request.ruri}`);
  digest._response = hash(`${ha1}:${challenge.nonce}:${digest._ncHex}:${digest._cnonce}:auth:${ha2}`);
}

function hash(text: string): string {
  return bytesToHex(sha256(utf8ToBytes(text)));
}

/** The values of a header in the text of a message. */
function lines(message: string, name: string): string[] {
  const head = message.slice(0, message.indexOf('\r\n\r\n'));
  return [...head.matchAll(new RegExp(`^${name}\\s*:\\s*(.*)$`, 'gim'))].map((match) => match[1]?.trim() ?? '');
}

function offersSha256(challenge: string): boolean {
  return /algorithm\s*=\s*"?SHA-256"?\s*(,|$)/i.test(challenge);
}

type Challenge = import('jssip/lib/DigestAuthentication.js').Challenge;
type DigestRequest = import('jssip/lib/DigestAuthentication.js').DigestRequest;
