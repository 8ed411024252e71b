// Stock JsSIP 3.13 that stays signed in, and whose calls keep their sound, for a working day.
import JsSIP from 'jssip';

/** For `agent.call(number, options)` and `session.answer(options)`. */
export const options = {
  mediaConstraints: { audio: true, video: false },
  pcConfig: { iceServers: [], bundlePolicy: 'max-bundle' },
};

export function signIn({ server, domain, user, password }) {
  const agent = new JsSIP.UA({
    sockets: [new JsSIP.WebSocketInterface(server)],
    uri: `sip:${user}@${domain}`,
    password,
    register_expires: 300,
    // JsSIP comes back by itself, and registers anew; within `browser.grace` its calls go on over the new connection.
    connection_recovery_min_interval: 1,
    connection_recovery_max_interval: 15,
  });
  agent.on('registrationFailed', ({ response }) => {
    // A wrong password is for people to mend; a gateway that is busy or has just started is asked again.
    if (!response || response.status_code >= 500) setTimeout(() => agent.isConnected() && agent.register(), 10_000);
  });
  agent.on('newTransaction', ({ transaction }) => hearAboutTurn(transaction));
  agent.on('newRTCSession', ({ session }) => keepSound(agent, session));
  agent.start();
  return agent;
}

/** Each 200 to a REGISTER has new credentials for TURN; JsSIP says `registered` for the first one only. */
function hearAboutTurn({ request, eventHandlers }) {
  if (request?.method !== 'REGISTER' || !eventHandlers) return;
  const receive = eventHandlers.onReceiveResponse;
  eventHandlers.onReceiveResponse = (response) => {
    const told = response.getHeader('X-ICE-Server');
    if (told) options.pcConfig.iceServers = [JSON.parse(told)];
    receive(response);
  };
}

/** Sound that stopped is asked for anew by an ICE restart, as long as the gateway can be asked. */
function keepSound(agent, session) {
  // The gateway needs no candidate of ours, so the first one is waited for and no other.
  session.on('icecandidate', ({ ready }) => ready());
  // JsSIP gives a call up when ICE has failed; here it is the gateway that ends it, after `relay.media_timeout`.
  const terminate = session.terminate.bind(session);
  session.terminate = (why) => why?.cause === JsSIP.C.causes.RTP_TIMEOUT || terminate(why);
  const look = setInterval(() => {
    const isLost = ['disconnected', 'failed'].includes(session.connection?.connectionState);
    if (isLost && agent.isRegistered()) session.renegotiate({ rtcOfferConstraints: { iceRestart: true } });
  }, 3000);
  for (const end of ['ended', 'failed']) session.on(end, () => clearInterval(look));
}

/** Why a call ended, of the events `ended` and `failed` of a session. */
export function endReason({ message, cause }) {
  const [, text] = /;text="([^"]*)"/.exec(message?.getHeader('Reason') ?? '') ?? [];
  return text ?? message?.reason_phrase ?? cause;
}
