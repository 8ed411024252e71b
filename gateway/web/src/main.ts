// Entry point: joins the phone to the page.
import { AccountForm } from './account-form';
import { followRegistrations } from './agent';
import { CallView } from './call-view';
import { Dialer } from './dialer';
import { teachSha256 } from './digest';
import { byId } from './dom';
import { letCallsLast } from './lasting';
import { Phone, type Registration } from './phone';
import { Ringer } from './ringer';

teachSha256();
followRegistrations();
letCallsLast();

let audioContext: AudioContext | null = null;
/** Made at the first click, because browsers keep a context silent that was made without one. */
function audio(): AudioContext {
  audioContext ??= new AudioContext();
  void audioContext.resume();
  return audioContext;
}

const remote = byId<HTMLAudioElement>('remote');
const phone = new Phone({
  changed: () => show(),
  remoteSound: (stream) => {
    remote.srcObject = stream;
  },
});
const ringer = new Ringer(audio);
const form = new AccountForm((account) => {
  audio();
  phone.signIn(account);
});
const dialer = new Dialer((number) => phone.dial(number));
const callView = new CallView(audio, remote, () => phone.dismiss());

byId('sign-out').addEventListener('click', () => phone.signOut());
// A closed tab says good-bye at once instead of leaving the gateway to find out.
window.addEventListener('pagehide', () => phone.signOut());
// The browser asks in its own words whether the page may go.
window.addEventListener('beforeunload', (event) => phone.busy && event.preventDefault());

function show(): void {
  const { registration, call } = phone;
  const signedIn = registration !== 'signed-out' && registration !== 'refused';
  document.body.dataset.registration = registration;
  document.body.dataset.call = call?.state ?? 'idle';
  document.body.dataset.sound = call?.sound ?? 'flows';

  byId('registration').textContent = REGISTRATION[registration];
  const notice = byId('notice');
  notice.textContent = phone.notice;
  notice.hidden = phone.notice === '';

  form.show(!signedIn);
  dialer.show(signedIn && !call, registration === 'registered');
  callView.show(call);
  byId('account').hidden = !signedIn;
  byId('identity').textContent = `Signed in as ${form.user}`;
  document.title = call?.state === 'incoming' ? `☎ ${call.peer.name} – Softphone` : 'Softphone';
  ringer.play(call?.state === 'incoming' ? 'incoming' : call?.state === 'ringing' && !call.hears ? 'ringback' : null);
}

const REGISTRATION: Record<Registration, string> = {
  'signed-out': 'Signed out',
  connecting: 'Connecting …',
  registered: 'Ready',
  reconnecting: 'Reconnecting …',
  lapsed: 'Sign-in not renewed',
  refused: 'Not signed in',
};

show();
