// Does sound come in, and if not, is it the path or the other side?

/** `cut`: nothing comes through any more. `absent`: the path is well, but the other side sends nothing. */
export type Sound = 'flows' | 'cut' | 'absent';

export class SoundWatch {
  sound: Sound = 'flows';
  /** How long it has been cut. */
  cutMilliseconds = 0;

  private sampledAt = performance.now();
  /** Not before the last packet. */
  private soundAt = performance.now();
  /** Not after the last answer: a sample that comes late must not make a path look well on which both ended together. */
  private answerAt = performance.now();
  private packets = 0;
  private answers = 0;
  private cutAt: number | null = null;
  /** The other side sends nothing while nobody speaks there (RFC 3551 §4.1), so that a pause says little. */
  private pauses = false;

  constructor(private readonly connection: RTCPeerConnection) {}

  /** `expected`: false while one side holds the other. */
  async sample(expected: boolean): Promise<void> {
    const asked = performance.now();
    const reports = [...(await this.connection.getStats()).values()] as Record<string, number | string>[];
    const now = performance.now();
    const inbound = reports.find((report) => report.type === 'inbound-rtp' && report.kind === 'audio');
    const packets = Number(inbound?.packetsReceived ?? 0);
    const pairs = reports.filter((report) => report.type === 'candidate-pair');
    const answers = pairs.reduce((sum, pair) => sum + Number(pair.responsesReceived ?? 0), 0);

    // A page that slept has heard nothing, which says nothing.
    if (packets !== this.packets || !expected || now - this.sampledAt > SLEPT_MILLISECONDS) this.soundAt = now;
    if (answers > this.answers) this.answerAt = this.sampledAt;
    [this.sampledAt, this.packets, this.answers] = [asked, packets, answers];
    this.judge(now);
  }

  private judge(now: number): void {
    const quiet = now - this.soundAt;
    // RFC 7675 §5.1: the checks go on whether there is sound or not.
    const answered = this.answerAt > this.soundAt + MARGIN_MILLISECONDS;
    if (answered && this.packets > 0 && quiet > QUIET_MILLISECONDS) this.pauses = true;
    const isCut = this.isBroken() || (!answered && quiet > (this.pauses ? PATIENT_MILLISECONDS : QUIET_MILLISECONDS));
    this.cutAt = isCut ? (this.cutAt ?? now) : null;
    this.cutMilliseconds = this.cutAt === null ? 0 : now - this.cutAt;
    this.sound = isCut ? 'cut' : quiet > ABSENT_MILLISECONDS ? 'absent' : 'flows';
  }

  /** Chromium calls the one or the other state `failed`, Firefox both. */
  private isBroken(): boolean {
    const { iceConnectionState, connectionState } = this.connection;
    return [iceConnectionState, connectionState].some((state) => state === 'disconnected' || state === 'failed');
  }
}

/** With the time of two samples 2.6 s; Chromium checks a path every 2.5 s, Firefox every 4 to 6 s. */
const QUIET_MILLISECONDS = 2200;
const PATIENT_MILLISECONDS = 7000;
const ABSENT_MILLISECONDS = 10_000;
/** An answer that came by then may have been under way together with the last sound. */
const MARGIN_MILLISECONDS = 100;
const SLEPT_MILLISECONDS = 5000;
