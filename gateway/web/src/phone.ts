// The signed-in user: one JsSIP user agent, its registration, and at most one call.
import { WebSocketInterface } from 'jssip';
import type { RTCSession } from 'jssip/lib/RTCSession';
import type { RTCSessionEvent } from 'jssip/lib/UA';
import { Agent } from './agent';
import { Call, callOptions, type Media } from './call';
import { registrationFailure, type RegistrationFailure } from './reasons';
import { toldServers } from './turn';

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

export class Phone {
  registration: Registration = 'signed-out';
  /** What is wrong and what to do about it; empty when all is well. */
  notice = '';
  call: Call | null = null;

  private agent: Agent | null = null;
  private own: Media | null = null;
  private told: RTCIceServer[] = [];
  /** Why the gateway refused to renew the sign-in, while a call goes on. */
  private refusal = '';
  private retry: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly listener: Listener) {}

  signIn(account: Account): void {
    this.leave();
    this.own = account.media;
    this.told = [];
    const [name = '', domain = account.domain] = account.user.split('@');
    this.agent = new Agent({
      sockets: [new WebSocketInterface(account.server)],
      uri: `sip:${encodeURIComponent(name)}@${domain}`,
      authorization_user: name,
      password: account.password,
      instance_id: account.instance,
      register_expires: REGISTER_SECONDS,
      connection_recovery_min_interval: 1,
      connection_recovery_max_interval: 15,
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
    if (!this.agent || !this.media || this.busy) return;
    // JsSIP hands the new session to `newRTCSession` before it returns.
    try {
      this.agent.call(number, callOptions(this.media));
    } catch {
      this.become(this.registration, `“${number}” can't be dialled. Use digits, letters, and + * # . _ -`);
    }
  }

  /** Takes the ended call off the screen. */
  dismiss(): void {
    if (!this.call?.ended) return;
    this.call = null;
    this.listener.changed();
  }

  private get media(): Media | null {
    return this.own && { ...this.own, iceServers: [...this.own.iceServers, ...this.told] };
  }

  private get busy(): boolean {
    return this.call !== null && !this.call.ended;
  }

  private follow(agent: Agent): void {
    agent.on('connected', () => this.become('connecting'));
    agent.on('disconnected', () => {
      if (agent !== this.agent || this.registration === 'refused') return;
      this.become('reconnecting', 'The gateway is out of reach. The page keeps trying; check the network if it lasts.');
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

  private refused(agent: Agent, failure: RegistrationFailure): void {
    if (failure.final && !this.busy) {
      this.leave();
      this.become('refused', failure.text);
      return;
    }
    // The call lives in a dialog of its own (RFC 3261 §12), whatever becomes of the registration.
    this.refusal = failure.final ? failure.text : '';
    if (failure.final) this.become('lapsed', `${failure.text} The call goes on.`);
    else this.become('reconnecting', failure.text);
    clearTimeout(this.retry);
    const wait = failure.final ? LAPSED_RETRY_MILLISECONDS : failure.retryMilliseconds;
    this.retry = setTimeout(() => agent.isConnected() && agent.register(), wait);
  }

  /** After a call that outlived its registration the user has to sign in again. */
  private callChanged(): void {
    if (this.registration === 'lapsed' && !this.busy) {
      this.leave();
      this.become('refused', this.refusal);
      return;
    }
    this.listener.changed();
  }

  private adopt(session: RTCSession): void {
    if (this.busy) {
      session.terminate({ status_code: 486, reason_phrase: 'Busy Here' });
      return;
    }
    this.notice = '';
    const remoteSound = (stream: MediaStream) => this.listener.remoteSound(stream);
    this.call = new Call(session, this.media as Media, () => this.callChanged(), remoteSound);
    this.listener.changed();
  }

  private leave(): void {
    clearTimeout(this.retry);
    const { agent } = this;
    this.agent = null;
    this.call?.end();
    agent?.stop();
  }

  private become(registration: Registration, notice = ''): void {
    this.registration = registration;
    this.notice = notice;
    this.listener.changed();
  }
}

const REGISTER_SECONDS = 300;
/** Each try may count as a failed login, of which the gateway allows few a minute. */
const LAPSED_RETRY_MILLISECONDS = 60_000;
