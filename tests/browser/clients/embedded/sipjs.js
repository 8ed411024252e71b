// Stock SIP.js 0.21 that stays signed in, and whose calls keep their sound, for a working day.
import { Registerer, RegistererState, SessionState, UserAgent } from 'sip.js';

/** Every call reads it when it begins. */
export const iceServers = [];

/** `onInvite`: what to do with an incoming call, beside `keepSound`; `onRefused`: what to do with the status that a REGISTER got. */
export async function signIn({ server, domain, user, password, onInvite, onRefused }) {
  const agent = new UserAgent({
    uri: UserAgent.makeURI(`sip:${user}@${domain}`),
    authorizationUsername: user,
    authorizationPassword: password,
    transportOptions: { server },
    sessionDescriptionHandlerFactoryOptions: {
      // The gateway needs no candidate of ours, so there is nothing to wait for.
      iceGatheringTimeout: 200,
      peerConnectionConfiguration: { iceServers, bundlePolicy: 'max-bundle' },
    },
    delegate: { onInvite, onDisconnect: (error) => error && comeBack(agent, registerer) },
  });
  // By `regId` the gateway knows the page again: within `browser.grace` its calls go on over the new connection.
  const registerer = new LastingRegisterer(agent, { expires: 300, refreshFrequency: 50, regId: 1 });
  registerer.onRefused = onRefused;
  await agent.start();
  await registerer.register();
  return { agent, registerer };
}

class LastingRegisterer extends Registerer {
  register(options = {}) {
    const onAccept = ({ message }) => {
      // Each 200 has new credentials for TURN.
      const told = message.getHeader('X-ICE-Server');
      if (told) iceServers.splice(0, Infinity, JSON.parse(told));
    };
    const onReject = ({ message }) => {
      // A wrong password is for people to mend; a gateway that is busy or has just started is asked again.
      if (message.statusCode >= 500) setTimeout(() => this.register().catch(() => {}), 10_000);
      this.onRefused(message.statusCode);
    };
    return super.register({ ...options, requestDelegate: { onAccept, onReject } });
  }
}

/** SIP.js does not come back by itself. */
async function comeBack(agent, registerer) {
  try {
    await agent.reconnect();
    await registerer.register();
  } catch {
    setTimeout(() => comeBack(agent, registerer), 1000 + 1000 * Math.random());
  }
}

/** For each call when it begins. Sound that stopped is asked for anew by an ICE restart, as long as the gateway can be asked. */
export function keepSound(session, registerer) {
  const look = setInterval(() => {
    const state = session.sessionDescriptionHandler?.peerConnection?.connectionState;
    if (!['disconnected', 'failed'].includes(state) || registerer.state !== RegistererState.Registered) return;
    session.invite({ sessionDescriptionHandlerOptions: { offerOptions: { iceRestart: true } } }).catch(() => {});
  }, 3000);
  session.stateChange.addListener((state) => state === SessionState.Terminated && clearInterval(look));
}

/** Why the other side ended the call: for `onBye` and `onCancel` of a session's delegate. */
export function endReason({ request }) {
  const [, text] = /;text="([^"]*)"/.exec(request.getHeader('Reason') ?? '') ?? [];
  return text ?? 'The other side hung up.';
}
