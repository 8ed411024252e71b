// The twelve keys of a telephone.

export function keypad(parent: HTMLElement, press: (key: string) => void): void {
  for (const [key, letters] of KEYS) {
    const button = document.createElement('button');
    button.type = 'button';
    button.dataset.key = key;
    button.setAttribute('aria-label', NAMES[key] ?? key);
    button.append(key, letter(letters));
    button.addEventListener('click', () => press(key));
    parent.append(button);
  }
}

export function isKey(key: string): boolean {
  return KEYS.some(([known]) => known === key);
}

function letter(letters: string): HTMLElement {
  const small = document.createElement('small');
  small.textContent = letters;
  return small;
}

const KEYS: [string, string][] = [
  ['1', ''], ['2', 'ABC'], ['3', 'DEF'],
  ['4', 'GHI'], ['5', 'JKL'], ['6', 'MNO'],
  ['7', 'PQRS'], ['8', 'TUV'], ['9', 'WXYZ'],
  ['*', ''], ['0', '+'], ['#', ''],
];
const NAMES: Record<string, string> = { '*': 'star', '#': 'hash' };
