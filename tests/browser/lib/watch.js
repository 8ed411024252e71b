// Waiting for something to become true, told by the one who changes it; never by sleeping.

export class Watch {
  #waiting = new Set();

  /** To be called after every change that somebody may wait for. */
  changed() {
    for (const look of [...this.#waiting]) look();
  }

  /** Resolves with the first truthy result of `check`; rejects after `milliseconds`, saying what was waited for. */
  until(what, check, milliseconds = DEADLINE) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(look);
        reject(new Error(`waited ${milliseconds} ms in vain for ${what}`));
      }, milliseconds);
      const look = () => {
        const result = check();
        if (!result) return;
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve(result);
      };
      this.#waiting.add(look);
      look();
    });
  }
}

/** Far above what anything takes, so that a slow machine fails nothing. */
export const DEADLINE = 30_000;
