// Stock JsSIP behind the verbs of the tests.
import { Ears } from './ears.js';
import { endReason, options, signIn } from './embedded/jssip.js';

const ears = new Ears();
// Noise reduction would take a test's tone for noise.
options.mediaConstraints.audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
let agent;
let session;
const unanswered = { status: 0, reason: null, answeredAt: null, soundAt: null };
let seen = { registration: 'none', call: 'none', ...unanswered };

globalThis.client = {
  get seen() {
    return seen;
  },
  hears: (hertz) => ears.share(hertz) > 0.6,
  hearsNothing: () => ears.isSilent(),
  hearsSomething: () => ears.hearsAnything(),
  register({ iceServers = [], ...account }) {
    options.pcConfig.iceServers = iceServers;
    agent = signIn(account);
    agent.on('registered', () => (seen.registration = 'registered'));
    agent.on('unregistered', () => (seen.registration = 'unregistered'));
    agent.on('registrationFailed', ({ response }) => {
      seen = { ...seen, registration: 'failed', status: response?.status_code ?? 0 };
    });
    agent.on('newRTCSession', (event) => follow(event.session));
  },
  unregister: () => agent.unregister(),
  call: (number) => void agent.call(number, options),
  answer: () => session.answer(options),
  reject: () => session.terminate({ status_code: 486 }),
  hangUp: () => session.terminate(),
  hold: () => done((then) => session.hold({}, then)),
  resume: () => done((then) => session.unhold({}, then)),
  sendKey: (key, how) => session.sendDTMF(key, { transportType: how === 'info' ? 'INFO' : 'RFC2833', duration: 120 }),
  iceServers: () => options.pcConfig.iceServers,
  caller: () => session.remote_identity.uri.user,
};

/** JsSIP says `hold` before its re-INVITE is answered, and refuses the next one until then. */
function done(start) {
  return new Promise((then, refused) => start(then) || refused(new Error('JsSIP is not ready for another offer')));
}

function follow(fresh) {
  session = fresh;
  seen = { ...seen, call: session.direction === 'incoming' ? 'incoming' : 'calling', ...unanswered };
  session.on('progress', ({ originator }) => originator === 'remote' && (seen.call = 'ringing'));
  session.on('accepted', () => (seen.answeredAt ??= performance.now()));
  session.on('confirmed', () => (seen.call = 'active'));
  session.on('hold', () => (seen.call = 'held'));
  session.on('unhold', () => (seen.call = 'active'));
  session.on('ended', (event) => (seen = { ...seen, call: 'ended', reason: endReason(event) }));
  session.on('failed', (event) => {
    seen = { ...seen, call: 'ended', status: event.message?.status_code ?? 0, reason: endReason(event) };
  });
  session.on('peerconnection', ({ peerconnection }) => listen(peerconnection));
  if (session.connection) listen(session.connection);
}

function listen(connection) {
  connection.addEventListener('iceconnectionstatechange', () => (seen.ice = connection.iceConnectionState));
  connection.addEventListener('track', ({ track }) => {
    ears.listenTo(new MediaStream([track]));
    // A remote track is muted until its first packet comes.
    track.addEventListener('unmute', () => (seen.soundAt ??= performance.now()));
  });
}
