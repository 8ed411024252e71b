// What the gateway tells a registered browser about TURN: its server, with credentials for this user and a while.
import type { IncomingResponse } from 'jssip/lib/SIPMessage';

/** The RTCIceServer in the 200 to a REGISTER; none if the gateway has no TURN. */
export function toldServers(response: IncomingResponse): RTCIceServer[] {
  const told = response.getHeader('X-ICE-Server') as string | undefined;
  if (!told) return [];
  try {
    const { urls, username, credential } = JSON.parse(told) as RTCIceServer;
    return [{ urls, username, credential }];
  } catch {
    return [];
  }
}

/** `?relay-only` in the page's address: sound passes TURN or not at all, which shows whether TURN works. */
export function transportPolicy(): RTCIceTransportPolicy {
  return new URLSearchParams(location.search).has('relay-only') ? 'relay' : 'all';
}
