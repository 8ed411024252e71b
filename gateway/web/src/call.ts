// One call as the page sees it: a JsSIP session with a state that can be shown.
import type { RTCSession } from 'jssip/lib/RTCSession';
import { callFailure, microphoneFailure } from './reasons';
import { transportPolicy } from './turn';

export type CallState = 'calling' | 'ringing' | 'incoming' | 'connecting' | 'active' | 'held' | 'held-by-peer' | 'ended';

/** How a key press in a call travels, in JsSIP's words. */
export type KeysAs = 'RFC2833' | 'INFO';

export interface Media {
  iceServers: RTCIceServer[];
  clean: boolean;
  keysAs: KeysAs;
}

export class Call {
  state: CallState;
  muted = false;
  /** When sound began, on the clock of `performance.now()`. */
  since: number | null = null;
  /** Why the call ended, in words for the user; empty after an ordinary hang-up. */
  reason = '';
  /** True once the other side's sound may arrive, which with early media is before the answer. */
  hears = false;

  constructor(
    private readonly session: RTCSession,
    private readonly media: Media,
    private readonly changed: () => void,
    private readonly onRemoteTrack: (stream: MediaStream) => void,
  ) {
    this.state = session.direction === 'incoming' ? 'incoming' : 'calling';
    this.follow();
  }

  get peer(): { name: string; number: string } {
    const identity = this.session.remote_identity;
    const number = decode(identity.uri.user ?? identity.uri.host);
    return { name: identity.display_name || number, number };
  }

  get ended(): boolean {
    return this.state === 'ended';
  }

  get answered(): boolean {
    return this.state === 'active' || this.state === 'held' || this.state === 'held-by-peer';
  }

  get connection(): RTCPeerConnection | undefined {
    return this.session.connection;
  }

  get microphone(): MediaStreamTrack | null {
    return this.connection?.getSenders().find((sender) => sender.track?.kind === 'audio')?.track ?? null;
  }

  answer(): void {
    this.become('connecting');
    this.session.answer(callOptions(this.media));
  }

  /** Rejects, cancels or hangs up, whichever the state asks for. */
  end(): void {
    if (this.session.isEnded()) return;
    this.session.terminate(this.state === 'incoming' ? { status_code: 603, reason_phrase: 'Decline' } : {});
  }

  toggleHold(): void {
    if (!this.answered) return;
    if (this.session.isOnHold().local) this.session.unhold();
    else this.session.hold();
  }

  toggleMute(): void {
    if (this.muted) this.session.unmute({ audio: true });
    else this.session.mute({ audio: true });
  }

  sendKey(key: string): void {
    if (!this.answered) return;
    this.session.sendDTMF(key, {
      transportType: this.media.keysAs as never,
      duration: KEY_MILLISECONDS,
      interToneGap: KEY_GAP_MILLISECONDS,
    });
  }

  private follow(): void {
    const { session } = this;
    session.on('progress', () => this.state === 'calling' && this.become('ringing'));
    session.on('accepted', () => this.begin());
    session.on('confirmed', () => this.begin());
    for (const event of ['hold', 'unhold'] as const) session.on(event, () => this.answered && this.become(this.talking()));
    for (const event of ['muted', 'unmuted'] as const) {
      session.on(event, () => {
        this.muted = session.isMuted().audio === true;
        this.changed();
      });
    }
    session.on('getusermediafailed', (error: Error) => (this.reason = microphoneFailure(error)));
    session.on('failed', (event) => {
      this.reason ||= isOwnWish(event) ? '' : callFailure(event.message, event.cause);
      this.become('ended');
    });
    session.on('ended', (event) => {
      this.reason ||= event.originator === 'system' ? callFailure(event.message, event.cause) : '';
      this.become('ended');
    });
    session.on('icecandidate', ({ ready }) => setTimeout(ready, GATHER_MILLISECONDS));
    session.on('peerconnection', ({ peerconnection }) => this.listen(peerconnection));
    if (session.connection) this.listen(session.connection);
  }

  private listen(connection: RTCPeerConnection): void {
    connection.addEventListener('track', (event) => {
      this.hears = true;
      this.onRemoteTrack(event.streams[0] ?? new MediaStream([event.track]));
      this.changed();
    });
  }

  private begin(): void {
    this.since ??= performance.now();
    this.become(this.talking());
  }

  private talking(): CallState {
    const hold = this.session.isOnHold();
    if (hold.local) return 'held';
    return hold.remote ? 'held-by-peer' : 'active';
  }

  private become(state: CallState): void {
    this.state = state;
    this.changed();
  }
}

export function callOptions(media: Media) {
  const { clean } = media;
  return {
    mediaConstraints: {
      audio: { echoCancellation: clean, noiseSuppression: clean, autoGainControl: clean },
      video: false,
    },
    pcConfig: {
      iceServers: media.iceServers,
      iceTransportPolicy: transportPolicy(),
      bundlePolicy: 'max-bundle' as const,
    },
  };
}

/** The user cancelled or rejected, and needs no telling. */
function isOwnWish(event: { originator: string; cause: string }): boolean {
  return event.originator === 'local' && ['Canceled', 'Rejected', 'Terminated'].includes(event.cause);
}

function decode(user: string): string {
  try {
    return decodeURIComponent(user);
  } catch {
    return user;
  }
}

/**
 * How long to gather more candidates after the first. The gateway is a public ICE peer that learns the browser's
 * address from its checks, so nothing is gained by waiting for a STUN or TURN server, which may never answer.
 */
const GATHER_MILLISECONDS = 50;
const KEY_MILLISECONDS = 120;
const KEY_GAP_MILLISECONDS = 80;
