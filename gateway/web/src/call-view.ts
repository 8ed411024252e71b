// The card of the call in progress: who, what state, how long, how loud, how good, and the buttons.
import type { Call, CallState } from './call';
import { byId } from './dom';
import { isKey, keypad } from './keypad';
import { Level } from './level';
import { QualityProbe, type Quality } from './quality';
import { ALLOW_MICROPHONE } from './reasons';

export class CallView {
  private readonly section = byId('call');
  private readonly keys = byId('call-keys');
  private call: Call | null = null;
  private probe = new QualityProbe();
  private levels: { out: Level; in: Level; track: MediaStreamTrack; stream: MediaStream } | null = null;
  private sentKeys = '';
  private lastSample = 0;
  private dismissal: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly audio: () => AudioContext,
    private readonly remote: HTMLAudioElement,
    private readonly dismiss: () => void,
  ) {
    keypad(this.keys, (key) => this.press(key));
    byId('answer').addEventListener('click', () => this.answer());
    byId('hang-up').addEventListener('click', () => this.end());
    byId('mute').addEventListener('click', () => this.call?.toggleMute());
    byId('hold').addEventListener('click', () => this.call?.toggleHold());
    byId('keys').addEventListener('click', () => this.toggleKeys(this.keys.hidden === true));
    document.addEventListener('keydown', (event) => this.typed(event));
  }

  show(call: Call | null): void {
    const isNew = call !== this.call;
    if (isNew) this.replace(call);
    this.section.hidden = !call;
    if (!call) return;
    byId('call-state').textContent = (call.ended && call.reason) || (call.asksForMicrophone ? ALLOW_MICROPHONE : STATE[call.state]);
    byId('answer').hidden = call.state !== 'incoming';
    byId('hang-up').setAttribute('aria-label', HANG_UP[call.state] ?? 'Hang up');
    document.getElementById('hang-up-icon')?.setAttribute('href', call.ended ? '#icon-close' : '#icon-handset');
    byId('controls').hidden = !call.answered;
    byId('levels').hidden = !call.answered;
    byId('quality').hidden = !call.answered;
    press(byId('mute'), call.muted);
    press(byId('hold'), call.state === 'held');
    if (!call.answered) this.toggleKeys(false);
    // What is hidden takes no focus.
    if (isNew) byId(call.state === 'incoming' ? 'answer' : 'hang-up').focus();
    if (call.ended) this.finish(call);
  }

  private replace(call: Call | null): void {
    clearTimeout(this.dismissal);
    this.dismissal = undefined;
    this.closeLevels();
    this.call = call;
    this.probe = new QualityProbe();
    this.showQuality(NOTHING);
    this.sentKeys = '';
    byId('sent').textContent = '';
    byId('duration').textContent = '';
    if (!call) return;
    const { name, number } = call.peer;
    byId('peer').textContent = name === number ? name : `${name} (${number})`;
    byId('face').textContent = initials(name);
    requestAnimationFrame((now) => this.tick(call, now));
  }

  /** Its button goes, so the focus moves to the one that stays. */
  private answer(): void {
    this.call?.answer();
    byId('hang-up').focus();
  }

  /** Declines, cancels, hangs up, or closes what has ended. */
  private end(): void {
    if (this.call?.ended) this.dismiss();
    else this.call?.end();
  }

  /** Runs with the display's frames for as long as the call is shown. */
  private tick(call: Call, now: number): void {
    if (call !== this.call || call.ended) return;
    if (call.since !== null) {
      byId('duration').textContent = clock((performance.now() - call.since) / 1000);
      this.followLevels(call);
      this.sampleQuality(call, now);
    }
    requestAnimationFrame((next) => this.tick(call, next));
  }

  private followLevels(call: Call): void {
    const track = call.microphone;
    const stream = this.remote.srcObject as MediaStream | null;
    if (track && stream && (this.levels?.track !== track || this.levels.stream !== stream)) {
      this.closeLevels();
      const audio = this.audio();
      this.levels = { out: new Level(audio, new MediaStream([track])), in: new Level(audio, stream), track, stream };
    }
    meter(byId('level-out'), this.levels?.out.read() ?? 0);
    meter(byId('level-in'), this.levels?.in.read() ?? 0);
  }

  private closeLevels(): void {
    this.levels?.out.close();
    this.levels?.in.close();
    this.levels = null;
  }

  private sampleQuality(call: Call, now: number): void {
    if (!call.connection || now - this.lastSample < SAMPLE_MILLISECONDS) return;
    this.lastSample = now;
    const { probe } = this;
    void probe.sample(call.connection).then((quality) => probe === this.probe && this.showQuality(quality));
  }

  private showQuality({ loss, jitterMilliseconds, roundTripMilliseconds, verdict }: Quality): void {
    byId('quality').dataset.verdict = verdict ?? '';
    byId('verdict').textContent = verdict ?? '–';
    byId('loss').textContent = loss === null ? '–' : `${(loss * 100).toFixed(1)} %`;
    byId('jitter').textContent = jitterMilliseconds === null ? '–' : `${jitterMilliseconds} ms`;
    byId('rtt').textContent = roundTripMilliseconds === null ? '–' : `${roundTripMilliseconds} ms`;
  }

  private finish(call: Call): void {
    this.closeLevels();
    // A text that asks something of the user stays until it was read and closed.
    this.dismissal ??= setTimeout(this.dismiss, call.reason ? READ_MILLISECONDS : GLANCE_MILLISECONDS);
  }

  private press(key: string): void {
    if (!this.call?.answered) return;
    this.call.sendKey(key);
    this.sentKeys = (this.sentKeys + key).slice(-SHOWN_KEYS);
    byId('sent').textContent = `Sent ${this.sentKeys}`;
  }

  private typed(event: KeyboardEvent): void {
    if (!this.call || event.ctrlKey || event.metaKey || event.altKey || event.repeat || isField(event.target)) return;
    if (event.key === 'Escape') {
      event.preventDefault();
      this.end();
    }
    // A button in focus is pressed by Enter anyway.
    else if (event.key === 'Enter' && this.call.state === 'incoming' && !isButton(event.target)) this.answer();
    else if (isKey(event.key)) this.press(event.key);
  }

  private toggleKeys(visible: boolean): void {
    this.keys.hidden = !visible;
    press(byId('keys'), visible);
  }
}

function isField(target: EventTarget | null): boolean {
  return target instanceof HTMLInputElement || target instanceof HTMLSelectElement;
}

function isButton(target: EventTarget | null): boolean {
  return target instanceof HTMLButtonElement;
}

function press(button: HTMLElement, pressed: boolean): void {
  button.setAttribute('aria-pressed', String(pressed));
}

function meter(element: HTMLElement, level: number): void {
  element.style.setProperty('--level', level.toFixed(3));
  element.setAttribute('aria-valuenow', String(Math.round(level * 100)));
}

function clock(seconds: number): string {
  const whole = Math.floor(seconds);
  const parts = [Math.floor(whole / 60) % 60, whole % 60].map((part) => String(part).padStart(2, '0'));
  return whole >= 3600 ? `${Math.floor(whole / 3600)}:${parts.join(':')}` : parts.join(':');
}

function initials(name: string): string {
  const words = name.split(/[\s._-]+/).filter(Boolean);
  if (!/\p{L}/u.test(name)) return '#';
  return words.slice(0, 2).map((word) => [...word][0]?.toUpperCase()).join('');
}

const STATE: Record<CallState, string> = {
  calling: 'Calling …',
  ringing: 'Ringing …',
  incoming: 'is calling you',
  connecting: 'Connecting …',
  active: 'In call',
  held: 'On hold',
  'held-by-peer': 'The other side put you on hold',
  ended: 'Call ended',
};
const HANG_UP: Partial<Record<CallState, string>> = { calling: 'Cancel', ringing: 'Cancel', incoming: 'Decline', ended: 'Close' };
const NOTHING: Quality = { loss: null, jitterMilliseconds: null, roundTripMilliseconds: null, verdict: null };

const SAMPLE_MILLISECONDS = 1000;
const GLANCE_MILLISECONDS = 1500;
const READ_MILLISECONDS = 20_000;
const SHOWN_KEYS = 16;
