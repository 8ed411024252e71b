// The signed-in user: one JsSIP user agent, its registration, and at most one call.
import type { RTCSession } from 'jssip/lib/RTCSession';
import type { RTCSessionEvent } from 'jssip/lib/UA';
import { Agent } from './agent';
import { Call, callOptions, type Home, type Media } from './call';
import { disturbance, NO_MICROPHONE_HERE, registrationFailure, type RegistrationFailure } from './reasons';
import { toldServers } from './turn';
import { Wire } from './wire';

/** `lapsed`: the gateway refused to renew the sign-in, and a call goes on that is not to be lost for that. */
export type Registration = 'signed-out' | 'connecting' | 'registered' | 'reconnecting' | 'lapsed' | 'refused';

export interface Account {
  /** `name`, or `name@domain` where the domain is not the gateway's. */
  user: string;
  domain: string;
  password: string;
  server: string;
  instance: string;
  media: Media;
}

export interface Listener {
  changed(): void;
  remoteSound(stream: MediaStream): void;
}

export class Phone implements Home {
  call: Call | null = null;

  private state: Registration = 'signed-out';
  /** What is wrong with the registration and what to do about it. */
  private problem = '';
  /** The gateway does not answer, though the connection is there. */
  private silent = false;
  private agent: Agent | null = null;
  private wire: Wire | null = null;
  private own: Media | null = null;
  private told: RTCIceServer[] = [];
  /** Why the gateway refused to renew the sign-in, while a call goes on. */
  private refusal = '';
  private retry: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly listener: Listener) {
    window.addEventListener('online', () => this.agent?.hurry());
  }

  get registration(): Registration {
    return this.silent && this.state === 'registered' ? 'reconnecting' : this.state;
  }

  /** What is wrong and what to do about it; empty when all is well. */
  get notice(): string {
    const call = this.call?.answered ? this.call : null;
    return (call && disturbance(call.sound, this.isAtHand())) || this.problem;
  }

  /** A call is there that would end with the page. */
  get busy(): boolean {
    return this.call !== null && !this.call.ended;
  }

  signIn(account: Account): void {
    this.leave();
    this.own = account.media;
    this.told = [];
    const [name = '', domain = account.domain] = account.user.split('@');
    const wire = new Wire(account.server, (pulse) => wire === this.wire && this.felt(pulse === 'silent'));
    this.wire = wire;
    this.agent = new Agent({
      sockets: [wire],
      uri: `sip:${encodeURIComponent(name)}@${domain}`,
      authorization_user: name,
      password: account.password,
      instance_id: account.instance,
      register_expires: REGISTER_SECONDS,
      connection_recovery_min_interval: 1,
      connection_recovery_max_interval: RECOVERY_SECONDS,
      user_agent: 'softphone',
    });
    this.follow(this.agent);
    this.become('connecting');
    this.agent.start();
  }

  signOut(): void {
    this.leave();
    this.become('signed-out');
  }

  dial(number: string): void {
    if (!this.agent || !this.own || this.busy) return;
    if (!navigator.mediaDevices) return this.become(this.state, NO_MICROPHONE_HERE);
    if (!this.agent.normalizeTarget(number)) {
      return this.become(this.state, `“${number}” can't be dialled. Use digits, letters, and + * # . _ -`);
    }
    // JsSIP hands the new session to `newRTCSession` before it returns.
    try {
      this.agent.call(number, callOptions(this.media(this.own)));
    } catch (error) {
      this.become(this.state, `The browser could not set up the sound: ${(error as Error).message}`);
    }
  }

  /** Takes the ended call off the screen. */
  dismiss(): void {
    if (!this.call?.ended) return;
    this.call = null;
    this.listener.changed();
  }

  /** Something about the call changed. After one that outlived its registration the user has to sign in again. */
  changed(): void {
    this.watchClosely();
    if (this.state === 'lapsed' && !this.busy) {
      this.leave();
      this.become('refused', this.refusal);
      return;
    }
    this.listener.changed();
  }

  remoteSound(stream: MediaStream): void {
    this.listener.remoteSound(stream);
  }

  isReachable(): boolean {
    return this.isAtHand() && this.state !== 'connecting';
  }

  iceServers(): RTCIceServer[] {
    return [...(this.own?.iceServers ?? []), ...this.told];
  }

  private isAtHand(): boolean {
    return this.agent !== null && this.agent.isConnected() && !this.silent;
  }

  private media(own: Media): Media {
    return { ...own, iceServers: this.iceServers() };
  }

  private follow(agent: Agent): void {
    agent.on('connected', () => this.become('connecting'));
    agent.on('disconnected', () => {
      if (agent !== this.agent || this.state === 'refused') return;
      this.silent = false;
      this.become('reconnecting', 'The gateway is out of reach. The page keeps trying; check the network if it lasts.');
      this.call?.connectionLost();
    });
    agent.onBound = (response) => {
      if (agent !== this.agent) return;
      // New credentials come with each registration; a call that begins takes the latest.
      this.told = toldServers(response);
      this.become('registered');
    };
    agent.on('registrationFailed', (event) => agent === this.agent && this.refused(agent, registrationFailure(event)));
    agent.on('newRTCSession', (event: RTCSessionEvent) => this.adopt(event.session));
  }

  private felt(silent: boolean): void {
    if (silent === this.silent) return;
    this.silent = silent;
    this.listener.changed();
  }

  private refused(agent: Agent, failure: RegistrationFailure): void {
    if (failure.final && !this.busy) {
      this.leave();
      this.become('refused', failure.text);
      return;
    }
    // The call lives in a dialog of its own (RFC 3261 §12), whatever becomes of the registration.
    this.refusal = failure.final ? failure.text : '';
    if (failure.final) this.become('lapsed', 'The gateway no longer accepts this sign-in. The call goes on; sign in again after it.');
    else this.become('reconnecting', failure.text);
    clearTimeout(this.retry);
    const wait = failure.final ? LAPSED_RETRY_MILLISECONDS : failure.retryMilliseconds;
    this.retry = setTimeout(() => agent.isConnected() && agent.register(), wait);
  }

  private adopt(session: RTCSession): void {
    if (this.busy || !this.own) {
      session.terminate({ status_code: 486, reason_phrase: 'Busy Here' });
      return;
    }
    this.problem = '';
    this.call = new Call(session, this.media(this.own), this);
    this.changed();
  }

  /** In a call the page asks often whether the gateway is there, and is quick to come back. */
  private watchClosely(): void {
    this.wire?.watch(this.busy);
    this.agent?.recoverWithin(this.busy ? CALL_RECOVERY_SECONDS : RECOVERY_SECONDS);
  }

  private leave(): void {
    clearTimeout(this.retry);
    const { agent } = this;
    this.agent = null;
    this.wire = null;
    this.silent = false;
    this.call?.end();
    agent?.stop();
  }

  private become(registration: Registration, problem = ''): void {
    this.state = registration;
    this.problem = problem;
    this.listener.changed();
  }
}

const REGISTER_SECONDS = 300;
/** Each try may count as a failed login, of which the gateway allows few a minute. */
const LAPSED_RETRY_MILLISECONDS = 60_000;
const RECOVERY_SECONDS = 15;
/** The gateway keeps a call for ten seconds by default. */
const CALL_RECOVERY_SECONDS = 1;
