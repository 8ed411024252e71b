// The number field, the keypad under it and the call button.
import { byId } from './dom';
import { keypad } from './keypad';

export class Dialer {
  private readonly section = byId('dialer');
  private readonly number = byId<HTMLInputElement>('number');
  private readonly button = byId<HTMLButtonElement>('call-button');

  constructor(private readonly dial: (number: string) => void) {
    keypad(byId('dial-keys'), (key) => {
      this.number.value += key;
    });
    byId('erase').addEventListener('click', () => {
      this.number.value = this.number.value.slice(0, -1);
    });
    byId('dial').addEventListener('submit', (event) => {
      event.preventDefault();
      this.call(this.number.value);
    });
    for (const chip of this.section.querySelectorAll<HTMLElement>('[data-number]')) {
      chip.addEventListener('click', () => this.call(chip.dataset.number ?? ''));
    }
  }

  show(visible: boolean, ready: boolean): void {
    this.button.disabled = !ready;
    if (this.section.hidden === !visible) return;
    this.section.hidden = !visible;
    if (!visible) return;
    // A touch screen would answer a focused field with its keyboard, over our own keys.
    const first = matchMedia('(pointer: coarse)').matches ? byId('dial-keys').querySelector('button') : this.number;
    first?.focus({ preventScroll: true });
  }

  private call(typed: string): void {
    const number = typed.trim().replace(/(?<=[\d+])[\s()/.-]+(?=\d|$)/g, '');
    if (number && !this.button.disabled) this.dial(number);
  }
}
