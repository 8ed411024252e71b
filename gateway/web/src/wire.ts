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
  private beats = 0;
  /** Beats since a ping that nothing has followed. */
  private unanswered = 0;
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

  /** Asks every second, as is fit during a call, or now and then. */
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
    this.beats = this.unanswered = 0;
    this.heard = this.answers = false;
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

  /** Silence is counted in beats and not by the clock, which goes on while the machine sleeps. */
  private beat(): void {
    const waited = this.unanswered;
    if (this.heard) this.unanswered = 0;
    this.heard = false;
    if (waited >= SILENT_BEATS && this.unanswered === 0) this.changed('alive');
    if (this.answers && this.unanswered === SILENT_BEATS) this.changed('silent');
    if (this.answers && this.unanswered >= DEAD_BEATS) {
      this.gone(true);
      return;
    }
    if (this.closely || this.unanswered > 0 || this.beats % IDLE_BEATS === 0) {
      this.send(PING);
      this.unanswered += 1;
    }
    this.beats += 1;
    this.timer = setTimeout(() => this.beat(), BEAT_MILLISECONDS);
  }
}

const [PING, PONG] = ['\r\n\r\n', '\r\n'];
const BEAT_MILLISECONDS = 1000;
const IDLE_BEATS = 15;
const SILENT_BEATS = 2;
/** Long enough for a gateway that is busy, short enough to come back within a call's grace. */
const DEAD_BEATS = 6;
const CONNECT_MILLISECONDS = 8000;
