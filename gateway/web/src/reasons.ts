// Why something failed, in words that say what to do next.
import type { Sound } from './sound-watch';

/** What of a SIP response the texts need. */
interface Failure {
  status_code?: number;
  getHeader?(name: string): string | undefined;
}

export interface RegistrationFailure {
  text: string;
  /** Asking again won't help until the user does something. */
  final: boolean;
  retryMilliseconds: number;
}

export function registrationFailure(event: { response?: Failure | null; cause?: unknown }): RegistrationFailure {
  const status = event.response?.status_code ?? 0;
  const seconds = Number.parseInt(event.response?.getHeader?.('retry-after') ?? '', 10) || RETRY_SECONDS;
  const text = REGISTER[status] ?? `The gateway did not accept the sign-in (${status || String(event.cause)}). The page tries again.`;
  const final = status >= 400 && status < 500 && status !== 408 && status !== 429 && !isStale(event.response);
  return { text, final, retryMilliseconds: seconds * 1000 };
}

export function callFailure(message: Failure | null | undefined, cause: string): string {
  const status = message?.status_code;
  const cancelled = CANCELLED[Number(/cause\s*=\s*(\d+)/i.exec(message?.getHeader?.('reason') ?? '')?.[1] ?? 0)];
  if (cancelled) return cancelled;
  if (status && CALL[status]) return CALL[status];
  if (CAUSE[cause]) return CAUSE[cause];
  return status ? `The call failed (${status}). Try again, or ask whoever runs the gateway.` : `The call failed: ${cause}.`;
}

/** Why an established call ended; empty if a side just hung up. */
export function callEnd(message: Failure | null | undefined, cause: string): string {
  const told = message?.getHeader?.('reason');
  if (told) return endReason(told);
  return CAUSE[cause] ?? '';
}

/** The Reason (RFC 3326) of a BYE: the gateway's own, or the other side's. */
function endReason(told: string): string {
  const text = /text\s*=\s*"([^"]*)"/i.exec(told)?.[1] ?? '';
  if (END[text] !== undefined) return END[text];
  const code = Number(/cause\s*=\s*(\d+)/i.exec(told)?.[1] ?? 0);
  if (/^\s*SIP\s*;/i.test(told)) return code >= 400 ? CALL[code] || `The other side ended the call (${code}).` : '';
  // ITU-T Q.850: 16 and 31 are an ordinary end, those from 34 on speak of the network.
  return code >= 34 ? 'The line to the outside broke. Call again.' : '';
}

/** A page of plain http: gets no microphone from any browser. */
export const NO_MICROPHONE_HERE = 'The browser gives a microphone only to pages of https. Open this page by its https: address.';
export const ALLOW_MICROPHONE = 'Allow the microphone: the browser asks at the top of the page.';

/** What disturbs the call that goes on, and what is done about it. */
export function disturbance(sound: Sound, isReachable: boolean): string {
  if (!isReachable) {
    return sound === 'cut'
      ? 'No sound, and the gateway is out of reach. Reconnecting … Stay on the line, and check the network if it lasts.'
      : 'Reconnecting to the gateway … The call goes on; check the network if it lasts.';
  }
  return DISTURBANCE[sound];
}

export function microphoneFailure(error: { name?: string }): string {
  return MICROPHONE[error?.name ?? ''] ?? 'The microphone could not be opened. Check that no other program holds it.';
}

/** The password was right, but the nonce was no longer (RFC 7616 §3.3). */
function isStale(response: Failure | null | undefined): boolean {
  return /\bstale\s*=\s*"?true/i.test(response?.getHeader?.('www-authenticate') ?? '');
}

const RETRY_SECONDS = 10;

/** Why a call that rang here rings no more: the Reason of its CANCEL (RFC 3326 §2). */
const CANCELLED: Record<number, string> = {
  200: 'The call was answered elsewhere.',
  480: 'You missed this call.',
  603: 'The call was declined elsewhere.',
};

const DISTURBANCE: Record<Sound, string> = {
  flows: '',
  cut: 'No sound comes through. Stay on the line, the page is bringing it back. Check the network if it lasts.',
  absent: 'No sound comes from the other side. If it lasts, hang up and call again.',
};

/** Keyed by the gateway's own words. */
const END: Record<string, string> = {
  'Media timeout': 'No sound came any more, so the gateway ended the call. Check the network, then call again.',
  'Media lost': 'The gateway lost the sound, so the call was ended. Call again.',
  'Connection lost': 'The other side lost its connection, so the call was ended.',
  'Dialog lost': 'The other side has lost the call. Call again.',
  'Session expired': 'The other side was silent for too long, so the call was ended. Call again.',
  'ACK timeout': 'The other side did not confirm the call. Call again.',
  'Ended by operator': 'Whoever runs the gateway ended the call.',
  'Shutting down': 'The gateway is being restarted, so the call was ended. Call again in a minute.',
};

const WRONG = 'User or password is wrong. Type them again.';
const REGISTER: Record<number, string> = {
  401: WRONG,
  403: 'The gateway refused the sign-in. Type the user with its domain, as in alice@example.com; after many wrong passwords wait a minute first.',
  407: WRONG,
  404: 'The gateway does not know this user. Check the name.',
  408: 'The gateway did not answer the sign-in. The page tries again.',
  429: 'Too many sign-ins from here. Wait a minute, then try again.',
  503: 'The gateway is busy just now. The page tries again by itself.',
};

const CALL: Record<number, string> = {
  401: 'The gateway refused this call. Sign out and in again.',
  403: 'You are not allowed to call this number.',
  404: 'There is no such number. Check it and call again.',
  408: 'No answer.',
  410: 'This number is no longer in use.',
  480: 'Nobody is signed in there, or they do not answer. Try later.',
  481: 'The other side has lost the call. Call again.',
  484: 'The number is too short. Add the missing digits.',
  486: 'Busy. Try later.',
  487: '',
  488: 'The two sides share no sound format. Tell whoever runs the gateway.',
  500: 'The gateway had an error. Call again.',
  502: 'The line to the outside gave a wrong answer. Try later.',
  503: 'The line to the outside is down or full. Try later.',
  504: 'The line to the outside does not answer. Try later.',
  600: 'Busy. Try later.',
  603: 'The call was declined.',
};

/** Keyed by JsSIP's causes, for failures without a SIP response. */
const CAUSE: Record<string, string> = {
  Canceled: 'The caller hung up before you answered.',
  'No Answer': 'You missed this call.',
  Expires: 'You missed this call.',
  'Connection Error': 'The gateway is out of reach. Call again when the page is signed in.',
  'Request Timeout': 'The gateway did not answer. Call again.',
  'Dialog Error': 'The call was lost while the gateway was out of reach. Call again.',
  'No ACK': 'The other side did not confirm the answer. Wait for a new call.',
  'WebRTC Error': 'The browser could not set up the sound. Reload the page and call again.',
  'Bad Media Description': 'The two sides share no sound format. Tell whoever runs the gateway.',
  'Internal Error': 'The browser could not set up the sound. Reload the page and call again.',
  'User Denied Media Access': 'The microphone could not be opened. Allow it for this page and call again.',
};

/** Keyed by the names of getUserMedia's errors. */
const MICROPHONE: Record<string, string> = {
  NotAllowedError: 'The page may not use the microphone. Allow it at the left of the address bar, then call again.',
  SecurityError: 'The page may not use the microphone. Allow it at the left of the address bar, then call again.',
  NotFoundError: 'No microphone was found. Plug one in, then call again.',
  NotReadableError: 'Another program holds the microphone. Close it, then call again.',
};
