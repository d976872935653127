// Host code that waits for a run to end: woken by the commit that ends it, here or elsewhere, never by polling.

import type { RunOutcome } from "../core/event.ts";
import { runNotFound } from "./refusal.ts";
import type { Store } from "../store/port.ts";

interface Waiter {
  readonly resolve: (outcome: RunOutcome) => void;
  readonly reject: (error: unknown) => void;
}

/** The next look finds what this one did not. */
const nothing = (): void => {};

export class Waiters {
  readonly #store: Store;
  readonly #waiting = new Map<string, Set<Waiter>>();

  constructor(store: Store) {
    this.#store = store;
  }

  isAwaited(runId: string): boolean {
    return this.#waiting.has(runId);
  }

  /** How a run that exists ended, once it has. Rejects where the store does not answer now; one that is away later is waited for. */
  wait(runId: string): Promise<RunOutcome> {
    return new Promise((resolve, reject) => {
      const waiter = { resolve, reject };
      const waiting = this.#waiting.get(runId) ?? new Set();
      this.#waiting.set(runId, waiting.add(waiter));
      this.#tell(runId).catch((error: unknown) => {
        waiting.delete(waiter);
        if (waiting.size === 0 && this.#waiting.get(runId) === waiting) this.#waiting.delete(runId);
        reject(error);
      });
    });
  }

  /** The run may have ended: tells those who wait, if it has. */
  ended(runId: string): void {
    if (this.#waiting.has(runId)) this.#tell(runId).catch(nothing);
  }

  async #tell(runId: string): Promise<void> {
    const row = await this.#store.run({ id: runId });
    if (!row) return this.#fail(runId);
    const outcome = row.endedAt !== null ? await this.#store.outcome(row.run) : null;
    if (!outcome) return;
    for (const waiter of this.#waiting.get(runId) ?? []) waiter.resolve(outcome);
    this.#waiting.delete(runId);
  }

  /** It was there when the wait began: it has ended, and somebody has removed it before that was seen here. */
  #fail(runId: string): void {
    for (const waiter of this.#waiting.get(runId) ?? []) waiter.reject(runNotFound(runId));
    this.#waiting.delete(runId);
  }

  /** Something changed in the store that brought no notice of its own. */
  async look(): Promise<void> {
    await Promise.all([...this.#waiting.keys()].map((runId) => this.#tell(runId).catch(nothing)));
  }

  close(error: Error): void {
    for (const waiting of this.#waiting.values()) for (const waiter of waiting) waiter.reject(error);
    this.#waiting.clear();
  }
}
