// One call as the page sees it: a JsSIP session with a state that can be shown.
import type { RTCSession } from 'jssip/lib/RTCSession';
import { hold, reoffer } from './lasting';
import { callEnd, callFailure, microphoneFailure } from './reasons';
import { SoundWatch, type Sound } from './sound-watch';
import { transportPolicy } from './turn';

export type CallState = 'calling' | 'ringing' | 'incoming' | 'connecting' | 'active' | 'held' | 'held-by-peer' | 'ended';

/** How a key press in a call travels, in JsSIP's words. */
export type KeysAs = 'RFC2833' | 'INFO';

export interface Media {
  iceServers: RTCIceServer[];
  clean: boolean;
  keysAs: KeysAs;
}

/** What a call asks of the phone it belongs to. */
export interface Home {
  changed(): void;
  remoteSound(stream: MediaStream): void;
  /** Do requests reach the gateway now? */
  isReachable(): boolean;
  /** As of now, since TURN credentials expire. */
  iceServers(): RTCIceServer[];
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
  /** The browser asks its user for the microphone. */
  asksForMicrophone = false;

  private watch: SoundWatch | null = null;
  private watching: ReturnType<typeof setTimeout> | undefined;
  private asking: ReturnType<typeof setTimeout> | undefined;
  private restartedAt = -Infinity;
  /** The sound was cut and has not been heard since. */
  private wasCut = false;
  /** Set once we end it: the reason, empty if the user wished it. */
  private ours: string | null = null;
  /** The connection was lost, so the other side may know something else than we do. */
  private toConfirm = false;

  constructor(
    private readonly session: RTCSession,
    private readonly media: Media,
    private readonly home: Home,
  ) {
    this.state = session.direction === 'incoming' ? 'incoming' : 'calling';
    if (this.state === 'calling') this.askForMicrophone();
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

  get sound(): Sound {
    return (this.answered && this.watch?.sound) || 'flows';
  }

  get connection(): RTCPeerConnection | undefined {
    return this.session.connection;
  }

  get microphone(): MediaStreamTrack | null {
    return this.connection?.getSenders().find((sender) => sender.track?.kind === 'audio')?.track ?? null;
  }

  answer(): void {
    if (this.state !== 'incoming') return;
    this.askForMicrophone();
    this.become('connecting');
    this.session.answer(callOptions(this.media));
  }

  /** Rejects, cancels or hangs up, whichever the state asks for. `reason`: unless the user wished it. */
  end(reason = ''): void {
    if (this.session.isEnded()) return;
    this.ours = reason;
    const declines = this.state === 'incoming' && !reason;
    this.session.terminate(declines ? { status_code: 603, reason_phrase: 'Decline' } : {});
  }

  toggleHold(): void {
    if (this.answered) hold(this.session, !this.session.isOnHold().local);
  }

  toggleMute(): void {
    if (this.muted) this.session.unmute({ audio: true });
    else this.session.mute({ audio: true });
  }

  sendKey(key: string): void {
    if (!this.answered) return;
    const how = { duration: KEY_MILLISECONDS, interToneGap: KEY_GAP_MILLISECONDS };
    try {
      if (this.media.keysAs === 'RFC2833' && this.takesEvents()) {
        this.session.sendDTMF(key, { ...how, transportType: 'RFC2833' as never });
        return;
      }
    } catch {
      // No event was negotiated, which not every browser tells beforehand.
    }
    this.session.sendDTMF(key, { ...how, transportType: 'INFO' as never });
  }

  /** The connection to the gateway is gone. An established call goes on without it for a while. */
  connectionLost(): void {
    if (this.answered) this.toConfirm = true;
    else if (!this.ended) this.end(CONNECTION_LOST);
  }

  private takesEvents(): boolean {
    const sender = this.connection?.getSenders().find(({ track }) => track?.kind === 'audio');
    return !!sender?.dtmf && sender.dtmf.canInsertDTMF !== false;
  }

  private follow(): void {
    const { session } = this;
    session.on('connecting', () => this.hasMicrophone());
    session.on('progress', () => this.state === 'calling' && this.become('ringing'));
    session.on('accepted', () => this.begin());
    session.on('confirmed', () => this.begin());
    for (const event of ['hold', 'unhold'] as const) session.on(event, () => this.answered && this.become(this.talking()));
    for (const event of ['muted', 'unmuted'] as const) {
      session.on(event, () => {
        this.muted = session.isMuted().audio === true;
        this.home.changed();
      });
    }
    // JsSIP tells it after `failed`.
    session.on('getusermediafailed', (error: Error) => {
      this.reason = microphoneFailure(error);
      this.home.changed();
    });
    // What was cancelled, and not by the user, was cancelled by JsSIP when the connection broke.
    session.on('failed', ({ originator, message, cause }) =>
      this.over(() => (`${originator}` === 'local' && cause === 'Canceled' ? CONNECTION_LOST : callFailure(message, cause))),
    );
    session.on('ended', (event) => this.over(() => callEnd(event.message as never, event.cause)));
    session.on('icecandidate', ({ ready }) => setTimeout(ready, GATHER_MILLISECONDS));
    session.on('peerconnection', ({ peerconnection }) => this.listen(peerconnection));
    if (session.connection) this.listen(session.connection);
  }

  private listen(connection: RTCPeerConnection): void {
    connection.addEventListener('track', (event) => {
      this.hears = true;
      this.home.remoteSound(event.streams[0] ?? new MediaStream([event.track]));
      this.home.changed();
    });
  }

  private begin(): void {
    this.since ??= performance.now();
    if (!this.watch && this.connection) {
      const watch = new SoundWatch(this.connection);
      this.watch = watch;
      this.lookLater(watch);
    }
    this.become(this.talking());
  }

  /** Looks one after the other, however long the browser takes to count. */
  private lookLater(watch: SoundWatch): void {
    // A connection that was closed meanwhile has no figures.
    const look = () => this.look(watch).catch(() => {}).then(() => this.ended || this.lookLater(watch));
    this.watching = setTimeout(() => void look(), LOOK_MILLISECONDS);
  }

  /** Shows whether there is sound, and has it come back. */
  private async look(watch: SoundWatch): Promise<void> {
    const before = watch.sound;
    await watch.sample(this.state === 'active');
    if (this.ended) return;
    if (watch.sound !== before) this.home.changed();
    if (watch.cutMilliseconds > LOST_MILLISECONDS) this.end(SOUND_LOST);
    // With a gateway that is out of reach there is nothing to do but reconnect.
    else if (this.home.isReachable()) this.repair(watch);
  }

  private repair(watch: SoundWatch): void {
    if (watch.sound !== 'absent') this.wasCut = watch.sound === 'cut';
    const isCut = watch.sound === 'cut' && watch.cutMilliseconds > RESTART_MILLISECONDS;
    // Answers that came late make a path look well that the browser has given up: once it is tried anew.
    const isDoubtful = watch.sound === 'absent' && this.wasCut;
    const restart = (isCut || isDoubtful) && performance.now() - this.restartedAt > RESTART_AGAIN_MILLISECONDS;
    if (!restart && !this.toConfirm) return;
    // RFC 8839 §4.4.1.1.1: new credentials in an offer. Without them the offer tells what the lost connection may have kept from the
    // other side, and whether the gateway still has the call.
    if (restart) this.takeIceServers();
    if (!reoffer(this.session, { iceRestart: restart })) return;
    this.toConfirm = false;
    if (restart) [this.restartedAt, this.wasCut] = [performance.now(), false];
  }

  private takeIceServers(): void {
    try {
      this.connection?.setConfiguration({ ...callOptions(this.media).pcConfig, iceServers: this.home.iceServers() });
    } catch {
      // A browser that can't change them goes on with those of the call's beginning.
    }
  }

  private talking(): CallState {
    const hold = this.session.isOnHold();
    if (hold.local) return 'held';
    return hold.remote ? 'held-by-peer' : 'active';
  }

  private askForMicrophone(): void {
    this.asking = setTimeout(() => {
      this.asksForMicrophone = true;
      this.home.changed();
    }, ASKED_MILLISECONDS);
  }

  private hasMicrophone(): void {
    clearTimeout(this.asking);
    if (!this.asksForMicrophone) return;
    this.asksForMicrophone = false;
    this.home.changed();
  }

  private over(reason: () => string): void {
    if (this.ended) return;
    this.reason = this.ours ?? reason();
    this.become('ended');
  }

  private become(state: CallState): void {
    if (this.ended) return;
    this.state = state;
    if (state === 'ended') {
      clearTimeout(this.watching);
      clearTimeout(this.asking);
      this.asksForMicrophone = false;
    }
    this.home.changed();
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

function decode(user: string): string {
  try {
    return decodeURIComponent(user);
  } catch {
    return user;
  }
}

const CONNECTION_LOST = 'The connection to the gateway broke before the answer. Call again when the page is ready.';
const SOUND_LOST = 'The sound did not come back, so the call was ended. Check the network, then call again.';

/**
 * How long to gather more candidates after the first. The gateway is a public ICE peer that learns the browser's
 * address from its checks, so nothing is gained by waiting for a STUN or TURN server, which may never answer.
 */
const GATHER_MILLISECONDS = 50;
const KEY_MILLISECONDS = 120;
const KEY_GAP_MILLISECONDS = 80;
/** A browser that need not ask gives the microphone sooner. */
const ASKED_MILLISECONDS = 600;
const LOOK_MILLISECONDS = 200;
/** Most cuts are shorter and heal by themselves. */
const RESTART_MILLISECONDS = 1500;
const RESTART_AGAIN_MILLISECONDS = 5000;
/** The gateway gives up sooner, if it can tell us. */
const LOST_MILLISECONDS = 60_000;
