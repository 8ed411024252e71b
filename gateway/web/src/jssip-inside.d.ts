// The inner modules of JsSIP that this page reaches into, as of the version pinned in package.json.
declare module 'jssip/lib/DigestAuthentication.js' {
  export interface Challenge {
    algorithm?: string;
    realm?: string;
    nonce?: string;
    opaque?: string;
    stale?: boolean;
    qop?: string[];
  }
  export interface DigestRequest {
    method: string;
    ruri: string;
  }
  export default class DigestAuthentication {
    _credentials: { username: string; password: string };
    _algorithm?: string;
    _realm?: string;
    _nonce?: string;
    _opaque?: string;
    _stale?: boolean;
    _qop?: string;
    _uri?: string;
    _cnonce: string;
    _nc: number;
    _ncHex: string;
    _response?: string;
    authenticate(request: DigestRequest, challenge: Challenge): boolean;
  }
}
declare module 'jssip/lib/Dialog.js' {
  interface Request {
    method: string;
    body?: string;
    reply(status: number): void;
  }
  export default class Dialog {
    uac_pending_reply: boolean;
    _checkInDialogRequest(request: Request): boolean;
  }
}
declare module 'jssip/lib/RequestSender.js' {
  import type { IncomingResponse } from 'jssip/lib/SIPMessage';
  export default class RequestSender {
    _ua: import('jssip').UA;
    _method: string;
    _receiveResponse(response: IncomingResponse & { data: string; setHeader(name: string, value: string): void }): void;
  }
}
declare module 'jssip/lib/RTCSession.js' {
  import type { RTCSession as Known } from 'jssip/lib/RTCSession';
  export interface ReInvite {
    rtcOfferConstraints?: RTCOfferOptions;
    eventHandlers: { succeeded?(): void; failed(): void };
  }
  export default class RTCSession extends Known {
    _connection: RTCPeerConnection;
    _localHold: boolean;
    _createRTCConnection(config: RTCConfiguration): void;
    _onhold(originator: 'local'): void;
    _onunhold(originator: 'local'): void;
    _sendReinvite(options: ReInvite): void;
    isReadyToReOffer(): boolean;
    onTransportError(): void;
  }
}
declare module 'jssip/lib/Transactions.js' {
  class InviteTransaction {
    state: number;
    onTransportError(): void;
  }
  const Transactions: {
    C: { STATUS_ACCEPTED: number };
    InviteClientTransaction: typeof InviteTransaction;
    InviteServerTransaction: typeof InviteTransaction;
  };
  export default Transactions;
}
declare module 'jssip/lib/Utils.js' {
  const Utils: { createRandomToken(size: number): string };
  export default Utils;
}
