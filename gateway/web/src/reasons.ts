// Why something failed, in words that say what to do next.

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
  if (status && CALL[status]) return CALL[status];
  if (CAUSE[cause]) return CAUSE[cause];
  return status ? `The call failed (${status}). Try again, or ask whoever runs the gateway.` : `The call failed: ${cause}.`;
}

export function microphoneFailure(error: { name?: string }): string {
  return MICROPHONE[error?.name ?? ''] ?? 'The microphone could not be opened. Check that no other program holds it.';
}

/** The password was right, but the nonce was no longer (RFC 7616 §3.3). */
function isStale(response: Failure | null | undefined): boolean {
  return /\bstale\s*=\s*"?true/i.test(response?.getHeader?.('www-authenticate') ?? '');
}

const RETRY_SECONDS = 10;

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
  'RTP Timeout': 'No sound came any more, so the call was ended. Check the network.',
  'No ACK': 'The other side did not confirm the answer. Wait for a new call.',
  'WebRTC Error': 'The browser could not set up the sound. Reload the page and call again.',
  'Bad Media Description': 'The two sides share no sound format. Tell whoever runs the gateway.',
  'User Denied Media Access': 'The microphone could not be opened. Allow it for this page and call again.',
};

/** Keyed by the names of getUserMedia's errors. */
const MICROPHONE: Record<string, string> = {
  NotAllowedError: 'The page may not use the microphone. Allow it at the left of the address bar, then call again.',
  NotFoundError: 'No microphone was found. Plug one in, then call again.',
  NotReadableError: 'Another program holds the microphone. Close it, then call again.',
};
