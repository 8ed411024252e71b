// The sign-in form and its settings.
import type { KeysAs } from './call';
import { byId } from './dom';
import type { Account } from './phone';
import * as settings from './settings';

export class AccountForm {
  private readonly form = byId<HTMLFormElement>('sign-in');
  private readonly userInput = byId<HTMLInputElement>('user');
  private readonly password = byId<HTMLInputElement>('password');
  private readonly server = byId<HTMLInputElement>('server');
  private readonly ice = byId<HTMLInputElement>('ice');
  private readonly keysAs = byId<HTMLSelectElement>('keys-as');
  private readonly clean = byId<HTMLInputElement>('clean');

  constructor(signIn: (account: Account) => void) {
    this.fill(settings.load());
    this.form.addEventListener('submit', (event) => {
      event.preventDefault();
      const chosen = this.read();
      settings.save(chosen);
      const account = this.account(chosen);
      this.password.value = '';
      void settings.domainOf(account.server).then((domain) => signIn({ ...account, domain }));
    });
    (this.user ? this.password : this.userInput).focus();
  }

  get user(): string {
    return this.userInput.value.trim();
  }

  show(visible: boolean): void {
    if (this.form.hidden === !visible) return;
    this.form.hidden = !visible;
    if (visible) this.password.focus();
  }

  private fill(stored: settings.Settings): void {
    this.userInput.value = stored.user;
    this.server.value = stored.server;
    this.server.placeholder = settings.ownServer();
    this.ice.value = stored.ice;
    this.keysAs.value = stored.keysAs;
    this.clean.checked = stored.clean;
  }

  private read(): settings.Settings {
    return {
      user: this.user,
      server: this.server.value.trim(),
      ice: this.ice.value.trim(),
      keysAs: this.keysAs.value as KeysAs,
      clean: this.clean.checked,
    };
  }

  private account(chosen: settings.Settings): Omit<Account, 'domain'> {
    return {
      user: chosen.user,
      password: this.password.value,
      server: chosen.server || settings.ownServer(),
      instance: settings.instanceId(),
      media: {
        iceServers: chosen.ice ? [{ urls: chosen.ice }] : [],
        clean: chosen.clean,
        keysAs: chosen.keysAs,
      },
    };
  }
}
