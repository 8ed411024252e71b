// Stock SIP.js behind the verbs of the tests.
import { Inviter, RegistererState, SessionState, UserAgent } from 'sip.js';
import { Ears } from './ears.js';
import { endReason, iceServers, keepSound, signIn } from './embedded/sipjs.js';

const ears = new Ears();
const constraints = { audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false }, video: false };
let agent;
let registerer;
let session;
let domain;
const unanswered = { status: 0, reason: null, answeredAt: null, soundAt: null };
let seen = { registration: 'none', call: 'none', ...unanswered };

globalThis.client = {
  get seen() {
    return seen;
  },
  hears: (hertz) => ears.share(hertz) > 0.6,
  hearsNothing: () => ears.isSilent(),
  hearsSomething: () => ears.hearsAnything(),
  async register({ iceServers: given = [], ...account }) {
    iceServers.push(...given);
    domain = account.domain;
    const onInvite = (invitation) => follow(invitation, 'incoming');
    const onRefused = (status) => (seen = { ...seen, registration: 'failed', status });
    ({ agent, registerer } = await signIn({ ...account, onInvite, onRefused }));
    registerer.stateChange.addListener(tellRegistration);
    tellRegistration(registerer.state);
  },
  unregister: () => registerer.unregister().then(() => {}),
  call(number) {
    const target = UserAgent.makeURI(`sip:${number}@${domain}`);
    follow(new Inviter(agent, target, { sessionDescriptionHandlerOptions: { constraints } }), 'calling');
    return session
      .invite({
        requestDelegate: {
          onProgress: () => (seen.call = 'ringing'),
          onReject: ({ message }) => (seen.status = message.statusCode),
        },
      })
      .then(() => {});
  },
  answer: () => session.accept({ sessionDescriptionHandlerOptions: { constraints } }),
  reject: () => session.reject({ statusCode: 486 }),
  hangUp: () => (session.state === SessionState.Established ? session.bye() : session.cancel()).then(() => {}),
  hold: () => renegotiate(true),
  resume: () => renegotiate(false),
  sendKey(key, how) {
    if (how !== 'info') return session.sessionDescriptionHandler.sendDtmf(key, { duration: 120 });
    const body = { contentDisposition: 'render', contentType: 'application/dtmf-relay', content: `Signal=${key}\r\nDuration=120` };
    return session.info({ requestOptions: { body } }).then(() => {});
  },
  iceServers: () => iceServers,
  caller: () => session.remoteIdentity.uri.user,
};

function tellRegistration(state) {
  if (state === RegistererState.Registered) seen.registration = 'registered';
  else if (state === RegistererState.Unregistered && seen.registration === 'registered') seen.registration = 'unregistered';
}

function follow(fresh, call) {
  session = fresh;
  keepSound(session, registerer);
  session.delegate = {
    onSessionDescriptionHandler: ({ peerConnection }) => watchSound(peerConnection),
    onBye(bye) {
      seen.reason = endReason(bye);
      bye.accept();
    },
    onCancel: (cancel) => (seen.reason = endReason(cancel)),
  };
  seen = { ...seen, call, ...unanswered };
  session.stateChange.addListener((state) => {
    if (state === SessionState.Established) {
      seen.answeredAt = performance.now();
      seen.call = 'active';
      ears.listenTo(session.sessionDescriptionHandler.remoteMediaStream);
    } else if (state === SessionState.Terminated) seen.call = 'ended';
  });
}

/** A remote track is muted until its first packet comes. */
function watchSound(connection) {
  connection.addEventListener('iceconnectionstatechange', () => (seen.ice = connection.iceConnectionState));
  connection.addEventListener('track', ({ track }) => {
    track.addEventListener('unmute', () => (seen.soundAt ??= performance.now()));
  });
}

/** As SIP.js's own SimpleUser does it: the handler is told the direction, and the tracks are silenced beside it. */
function renegotiate(hold) {
  session.sessionDescriptionHandlerOptionsReInvite = { constraints, hold };
  session.sessionDescriptionHandler.enableReceiverTracks(!hold);
  session.sessionDescriptionHandler.enableSenderTracks(!hold);
  return new Promise((resolve, reject) => {
    const onAccept = () => resolve((seen.call = hold ? 'held' : 'active'));
    const onReject = ({ message }) => reject(new Error(`re-INVITE got ${message.statusCode}`));
    session.invite({ requestDelegate: { onAccept, onReject } }).catch(reject);
  });
}
