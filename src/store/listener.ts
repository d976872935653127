// Who listens to a store's notices.

import type { Notice } from "./port.ts";

export class Listeners {
  readonly #all = new Set<(notice: Notice) => void>();

  /** Returns what takes the listener off again. */
  add(listener: (notice: Notice) => void): () => void {
    this.#all.add(listener);
    return () => this.#all.delete(listener);
  }

  tell(notices: readonly Notice[]): void {
    for (const notice of notices) for (const listener of this.#all) this.#call(listener, notice);
  }

  /** What a notice tells of is committed, whatever a listener makes of it: its error goes to the host, not into `commit`. */
  #call(listener: (notice: Notice) => void, notice: Notice): void {
    try {
      listener(notice);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}
