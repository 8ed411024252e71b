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
  /** Claimed by the page and not by its sign-in, so that a duplicate of it has another. */
  private readonly instance = settings.claimInstance();

  constructor(signIn: (account: Account) => void) {
    this.fill(settings.load());
    check(this.server, settings.serverOf);
    check(this.ice, settings.checkIce);
    // A browser refuses the form without a word while the field it means is folded away.
    this.form.addEventListener('invalid', ({ target }) => this.unfold(target as HTMLElement), true);
    this.form.addEventListener('submit', (event) => {
      event.preventDefault();
      const chosen = this.read();
      settings.save(chosen);
      void this.account(chosen).then(signIn);
      this.password.value = '';
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

  private async account(chosen: settings.Settings): Promise<Account> {
    const [password, server] = [this.password.value, settings.serverOf(chosen.server)];
    return {
      user: chosen.user,
      password,
      server,
      domain: await settings.domainOf(server),
      instance: await this.instance,
      media: {
        iceServers: chosen.ice ? [{ urls: chosen.ice }] : [],
        clean: chosen.clean,
        keysAs: chosen.keysAs,
      },
    };
  }

  private unfold(field: HTMLElement): void {
    const details = field.closest('details');
    if (details) details.open = true;
  }
}

/** Has the browser tell what is wrong with a field when the form is sent. */
function check(field: HTMLInputElement, judge: (typed: string) => void): void {
  const look = () => {
    try {
      judge(field.value.trim());
      field.setCustomValidity('');
    } catch (error) {
      field.setCustomValidity((error as Error).message);
    }
  };
  field.addEventListener('input', look);
  look();
}
