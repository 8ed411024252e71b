// What the page remembers between visits; never the password.
import type { KeysAs } from './call';

export interface Settings {
  user: string;
  /** WebSocket address of the gateway; empty for the one this page came from. */
  server: string;
  /** The URL of an extra STUN server; the gateway tells its own. */
  ice: string;
  keysAs: KeysAs;
  /** Echo cancellation, noise suppression and automatic gain. */
  clean: boolean;
}

export function load(): Settings {
  return { ...defaults, ...stored() };
}

export function save(settings: Settings): void {
  localStorage.setItem(KEY, JSON.stringify(settings));
}

/** `/ws` of the host that served the page. */
export function ownServer(): string {
  return `${location.protocol === 'http:' ? 'ws' : 'wss'}://${location.host}/ws`;
}

/**
 * The WebSocket address that is meant by what was typed: such an address, the gateway's https: one, or its host.
 *
 * @throws if it is none of these, in words for the user.
 */
export function serverOf(typed: string): string {
  if (!typed) return ownServer();
  const hasScheme = /^[a-z][a-z\d+.-]*:\/\//i.test(typed);
  const url = parsed((hasScheme ? typed : `wss://${typed}`).replace(/^http/i, 'ws'));
  // Chromium takes a blank in a host for %20.
  if (!url || /[\s%]/.test(url.hostname) || !['wss:', 'ws:'].includes(url.protocol)) {
    throw new Error('Type an address like wss://gateway.example.com/ws, or leave it empty.');
  }
  if (!/^wss?:/i.test(typed) && url.pathname === '/') url.pathname = '/ws';
  return url.href;
}

/**
 * Whether the browser can use this STUN server.
 *
 * @throws if it can't, in words for the user.
 */
export function checkIce(typed: string): void {
  if (!typed) return;
  if (/^turns?:/i.test(typed)) throw new Error('A TURN server needs a password, and the gateway tells its own. Type a STUN server, or leave it empty.');
  try {
    new RTCPeerConnection({ iceServers: [{ urls: typed }] }).close();
  } catch {
    throw new Error('Type an address like stun:stun.example.com:3478, or leave it empty.');
  }
}

/** The domain of the users: the one that the gateway names, or else the host of `server`. */
export async function domainOf(server: string): Promise<string> {
  const host = new URL(server).hostname;
  if (server !== ownServer()) return host;
  try {
    const about = (await (await fetch('gateway.json')).json()) as { domain?: string };
    return about.domain ?? host;
  } catch {
    return host;
  }
}

/**
 * The +sip.instance of this tab (RFC 5626 §4.1). It survives a reload, so the gateway sees the same phone come back. Two
 * tabs have two: a duplicated one has a copy of the first one's, which holds a lock on it for as long as it lives.
 */
export async function claimInstance(): Promise<string> {
  const known = sessionStorage.getItem(INSTANCE);
  if (known && (await claim(known))) return known;
  const fresh = crypto.randomUUID();
  sessionStorage.setItem(INSTANCE, fresh);
  await claim(fresh);
  return fresh;
}

/** Whether no other page has this instance. */
function claim(instance: string): Promise<boolean> {
  // Pages of plain http: have no locks, nor a microphone.
  if (!navigator.locks) return Promise.resolve(true);
  return new Promise((resolve) => {
    const forever = new Promise(() => {});
    void navigator.locks.request(`${INSTANCE}-${instance}`, { ifAvailable: true }, (lock) => {
      resolve(lock !== null);
      return lock && forever;
    });
  });
}

function parsed(text: string): URL | null {
  try {
    return new URL(text);
  } catch {
    return null;
  }
}

function stored(): Partial<Settings> {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? '{}') as Partial<Settings>;
  } catch {
    return {};
  }
}

const KEY = 'softphone';
const INSTANCE = 'softphone-instance';
const defaults: Settings = { user: '', server: '', ice: '', keysAs: 'RFC2833', clean: true };
