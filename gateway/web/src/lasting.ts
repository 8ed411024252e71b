// Lets JsSIP's calls outlive their connection and their path for the sound. JsSIP ends them with either.
import Dialog from 'jssip/lib/Dialog.js';
import RTCSession from 'jssip/lib/RTCSession.js';
import type { RTCSession as Session } from 'jssip/lib/RTCSession';
import Transactions from 'jssip/lib/Transactions.js';

/** To be called once, before the first call. */
export function letCallsLast(): void {
  // A dead path is repaired by an ICE restart (RFC 8445 §9); JsSIP hangs up when ICE says `failed`.
  RTCSession.prototype._createRTCConnection = function (config) {
    this._connection = new RTCPeerConnection(config);
    this.emit('peerconnection', { peerconnection: this._connection });
  };

  // A request that its connection took with it leaves an established dialog as it was; JsSIP hangs up.
  const connectionLost = RTCSession.prototype.onTransportError;
  RTCSession.prototype.onTransportError = function () {
    if (!this.isEstablished()) connectionLost.call(this);
  };

  // RFC 3261 §14.2: an offer that crosses ours is refused; JsSIP refuses it and takes it all the same.
  const check = Dialog.prototype._checkInDialogRequest;
  Dialog.prototype._checkInDialogRequest = function (request) {
    const crosses = this.uac_pending_reply && (request.method === 'INVITE' || (request.method === 'UPDATE' && !!request.body));
    return check.call(this, request) && !crosses;
  };

  // RFC 6026 §7: a 2xx is repeated until its ACK comes, over the next connection if need be.
  for (const { prototype } of [Transactions.InviteClientTransaction, Transactions.InviteServerTransaction]) {
    const fail = prototype.onTransportError;
    prototype.onTransportError = function () {
      if (this.state !== Transactions.C.STATUS_ACCEPTED) fail.call(this);
    };
  }
}

/**
 * Sends a re-INVITE, unless another exchange is open. A refusal leaves the call as it was (RFC 3261 §14.1), where JsSIP
 * would hang up; a dialog that the gateway no longer has ends.
 */
export function reoffer(session: Session, options: RTCOfferOptions, refused: () => void = () => {}): boolean {
  const inside = session as RTCSession;
  if (!inside.isEstablished() || !inside.isReadyToReOffer()) return false;
  const failed = () => {
    void takeBack(inside.connection).catch(() => {});
    refused();
  };
  inside._sendReinvite({ rtcOfferConstraints: options, eventHandlers: { failed } });
  return true;
}

/**
 * Ends an exchange that came to nothing, as if the answer had been the one that holds. A rollback would do in Firefox;
 * Chromium's silences the stream that comes in, if the first offer was the other side's.
 */
async function takeBack(connection: RTCPeerConnection): Promise<void> {
  const { signalingState, currentLocalDescription: local, currentRemoteDescription: remote } = connection;
  if (signalingState !== 'have-local-offer' || !local || !remote) return;
  // RFC 8842 §5.3: who answered chose the role, and an answer must name one.
  const role = local.sdp.includes('a=setup:active') ? 'passive' : 'active';
  await connection.setRemoteDescription({ type: 'answer', sdp: remote.sdp.replaceAll('a=setup:actpass', `a=setup:${role}`) });
}

/** Puts the other side on hold, or takes it back. */
export function hold(session: Session, wanted: boolean): void {
  const inside = session as RTCSession;
  if (!inside.isEstablished() || !inside.isReadyToReOffer()) return;
  mark(inside, wanted);
  reoffer(session, {}, () => mark(inside, !wanted));
}

function mark(session: RTCSession, held: boolean): void {
  session._localHold = held;
  if (held) session._onhold('local');
  else session._onunhold('local');
}
