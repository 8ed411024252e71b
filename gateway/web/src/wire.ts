// The WebSocket under JsSIP, which notices that nobody answers: RFC 5626 §4.4.1, which RFC 7118 §6 lets clients use.
import type { Socket } from 'jssip';

export type Pulse = 'alive' | 'silent';

export class Wire implements Socket {
  readonly via_transport: string;
  readonly sip_uri: string;
  onconnect: () => void = () => {};
  ondisconnect: (error: boolean, code?: number, reason?: string) => void = () => {};
  ondata: (data: never) => void = () => {};

  private socket: WebSocket | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private closely = false;
  private beatAt = 0;
  private askedAt = -Infinity;
  /** A ping is out that nothing has followed. */
  private asks = false;
  private silentMilliseconds = 0;
  private heard = false;
  /** Has it ever answered a ping? Of a server that does not, silence says nothing. */
  private answers = false;

  constructor(
    readonly url: string,
    private readonly changed: (pulse: Pulse) => void,
  ) {
    const { protocol, host } = new URL(url);
    this.via_transport = protocol === 'ws:' ? 'WS' : 'WSS';
    this.sip_uri = `sip:${host};transport=ws`;
  }

  /** Asks with every beat, as is fit during a call, or now and then. */
  watch(closely: boolean): void {
    this.closely = closely;
  }

  connect(): void {
    if (this.socket) return;
    try {
      this.socket = new WebSocket(this.url, 'sip');
    } catch {
      this.timer = setTimeout(() => this.ondisconnect(true));
      return;
    }
    this.socket.binaryType = 'arraybuffer';
    this.socket.onopen = () => this.opened();
    this.socket.onmessage = ({ data }: MessageEvent) => this.receive(data);
    this.socket.onclose = ({ wasClean, code, reason }) => this.gone(!wasClean, code, reason);
    // What does not open in time won't: browsers themselves wait for minutes.
    this.timer = setTimeout(() => this.gone(true), CONNECT_MILLISECONDS);
  }

  disconnect(): void {
    clearTimeout(this.timer);
    const { socket } = this;
    this.socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  isConnected(): boolean {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  isConnecting(): boolean {
    return this.socket?.readyState === WebSocket.CONNECTING;
  }

  send(message: string | ArrayBufferLike | Blob | ArrayBufferView): boolean {
    if (!this.isConnected()) return false;
    this.socket?.send(message as string);
    return true;
  }

  private opened(): void {
    clearTimeout(this.timer);
    this.beatAt = performance.now();
    this.askedAt = -Infinity;
    this.silentMilliseconds = 0;
    this.heard = this.asks = this.answers = false;
    this.changed('alive');
    this.onconnect();
    this.beat();
  }

  private receive(data: unknown): void {
    this.heard = true;
    if (data === PONG) this.answers = true;
    else this.ondata(data as never);
  }

  private gone(error: boolean, code?: number, reason?: string): void {
    this.disconnect();
    this.ondisconnect(error, code, reason);
  }

  private beat(): void {
    const now = performance.now();
    const before = this.silentMilliseconds;
    if (this.heard) this.asks = false;
    // The clock goes on while the machine sleeps, and a page in the background is woken once a second.
    const beat = Math.min(now - this.beatAt, LONGEST_BEAT_MILLISECONDS);
    this.silentMilliseconds = this.asks ? before + beat : 0;
    [this.beatAt, this.heard] = [now, false];
    if (this.answers && this.told(before)) return;
    if (this.closely || this.asks || now - this.askedAt >= IDLE_MILLISECONDS) this.ask(now);
    this.timer = setTimeout(() => this.beat(), BEAT_MILLISECONDS);
  }

  private ask(now: number): void {
    this.send(PING);
    [this.asks, this.askedAt] = [true, now];
  }

  /** Tells of a silence that began, ended, or lasted too long. True when it was the end of the connection. */
  private told(before: number): boolean {
    const isSilent = this.silentMilliseconds >= SILENT_MILLISECONDS;
    if (isSilent !== (before >= SILENT_MILLISECONDS)) this.changed(isSilent ? 'silent' : 'alive');
    if (this.silentMilliseconds < DEAD_MILLISECONDS) return false;
    this.gone(true);
    return true;
  }
}

const [PING, PONG] = ['\r\n\r\n', '\r\n'];
const BEAT_MILLISECONDS = 500;
const LONGEST_BEAT_MILLISECONDS = 1000;
const IDLE_MILLISECONDS = 15_000;
/**
 * Four beats after a ping, which goes out one beat after the last answer at most: 2.5 s in all. TCP brings what a hiccup of one second
 * swallowed sooner, 1.4 s after it was sent (RFC 6298 §5.5, from 200 ms on).
 */
const SILENT_MILLISECONDS = 1900;
/** Long enough for a gateway that is busy, short enough to come back within a call's grace. */
const DEAD_MILLISECONDS = 6000;
const CONNECT_MILLISECONDS = 8000;
