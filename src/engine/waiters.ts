// Host code that waits for a run to end: woken by the commit that ends it, here or elsewhere, never by polling.

import type { RunOutcome } from "../core/event.ts";
import type { Store } from "../store/port.ts";

interface Waiter {
  readonly resolve: (outcome: RunOutcome) => void;
  readonly reject: (error: unknown) => void;
}

export class Waiters {
  readonly #store: Store;
  readonly #waiting = new Map<string, Set<Waiter>>();

  constructor(store: Store) {
    this.#store = store;
  }

  isAwaited(runId: string): boolean {
    return this.#waiting.has(runId);
  }

  /** How the run ended, once it has. */
  wait(runId: string): Promise<RunOutcome> {
    return new Promise((resolve, reject) => {
      const waiting = this.#waiting.get(runId) ?? new Set();
      this.#waiting.set(runId, waiting.add({ resolve, reject }));
      this.ended(runId);
    });
  }

  /** The run may have ended: tells those who wait, if it has. */
  ended(runId: string): void {
    if (this.#waiting.has(runId)) void this.#tell(runId);
  }

  async #tell(runId: string): Promise<void> {
    const waiting = this.#waiting.get(runId);
    if (!waiting) return;
    try {
      const row = await this.#store.run({ id: runId });
      const outcome = row && row.endedAt !== null ? await this.#store.outcome(row.run) : null;
      if (!outcome) return;
      this.#waiting.delete(runId);
      for (const waiter of waiting) waiter.resolve(outcome);
    } catch (error) {
      this.#waiting.delete(runId);
      for (const waiter of waiting) waiter.reject(error);
    }
  }

  /** Something changed in the store that brought no notice of its own. */
  async look(): Promise<void> {
    await Promise.all([...this.#waiting.keys()].map((runId) => this.#tell(runId)));
  }

  close(error: Error): void {
    for (const waiting of this.#waiting.values()) for (const waiter of waiting) waiter.reject(error);
    this.#waiting.clear();
  }
}
