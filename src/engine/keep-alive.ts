// Keeps the process from ending while somebody waits for the engine: a host promise, a step that runs, an engine that was opened.

import { clearInterval, setInterval } from "node:timers";

const longMs = 2 ** 31 - 1;

export class KeepAlive {
  #holders = 0;
  #handle: NodeJS.Timeout | null = null;

  hold(): void {
    if (this.#holders++ === 0) this.#handle = setInterval(() => {}, longMs);
  }

  release(): void {
    if (--this.#holders > 0 || !this.#handle) return;
    clearInterval(this.#handle);
    this.#handle = null;
  }

  /** Holds until the promise settles. */
  during<T>(promise: Promise<T>): Promise<T> {
    this.hold();
    return promise.finally(() => this.release());
  }
}
