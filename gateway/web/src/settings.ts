// What the page remembers between visits; never the password.
import type { KeysAs } from './call';

export interface Settings {
  user: string;
  /** WebSocket address of the gateway; empty for the one this page came from. */
  server: string;
  /** An extra STUN or TURN URL; the gateway tells its own. */
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
 * The +sip.instance of this tab (RFC 5626 §4.1). It survives a reload, so the gateway sees the same phone come back;
 * two tabs have two.
 */
export function instanceId(): string {
  const known = sessionStorage.getItem(INSTANCE);
  if (known) return known;
  const fresh = crypto.randomUUID();
  sessionStorage.setItem(INSTANCE, fresh);
  return fresh;
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
