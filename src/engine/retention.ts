// What is over goes by itself, in portions between callbacks: finished runs, the keys that outlived them, held deliveries.
//
// RE1. A portion is one short command; the next one waits until the event loop has come round, so that callbacks come between.

import { setImmediate } from "node:timers/promises";
import type { Clock } from "../core/clock.ts";
import { checkOptions, type OptionNames } from "../core/argument.ts";
import { parseDuration } from "../core/duration.ts";
import { limits } from "../core/limits.ts";
import type { Purge, PurgeOutcome, Store } from "../store/port.ts";
import type { Committer } from "./commit.ts";

/** How long what is over is kept. The key of a delivery is known for 30 days, also where its run is gone. */
export interface RetentionOptions {
  /** Runs, from their end; then nothing of them is left. `Infinity`: for ever. Default 30 days. */
  readonly runs?: string | number;
  /** Refused deliveries, which can be looked at and delivered again; 0 for not at all. Default 7 days. */
  readonly refused?: string | number;
}

const retentionOptions: OptionNames<RetentionOptions> = { runs: true, refused: true };

/** The same in milliseconds. */
export interface RetentionPolicy {
  /** Runs, from their end; null for ever. */
  readonly runsMs: number | null;
  /** Refused deliveries; 0 keeps none. */
  readonly refusedMs: number;
}

/** What `createEngine({ retention })` asks for. Throws `bad_argument`. */
export function retentionFrom(option: RetentionOptions): RetentionPolicy {
  checkOptions("createEngine({ retention })", option, retentionOptions);
  const { runs = "30d", refused = "7d" } = option;
  return {
    runsMs: runs === Number.POSITIVE_INFINITY ? null : parseDuration(runs, "retention.runs"),
    refusedMs: parseDuration(refused, "retention.refused"),
  };
}

/** What a purge has removed. */
export interface Purged {
  /** Runs that nobody sees any more. */
  readonly runs: number;
  /** Events, keys and held deliveries. */
  readonly rows: number;
}

const everyMs = 60_000;

export class Retention {
  readonly #store: Store;
  readonly #committer: Committer;
  readonly #clock: Clock;
  readonly #policy: RetentionPolicy;
  #pass: Promise<Purged> | null = null;
  #isStopped = true;
  #takeBack: (() => void) | null = null;

  constructor(store: Store, committer: Committer, clock: Clock, policy: RetentionPolicy) {
    this.#store = store;
    this.#committer = committer;
    this.#clock = clock;
    this.#policy = policy;
  }

  get isIdle(): boolean {
    return this.#pass === null;
  }

  begin(): void {
    this.#isStopped = false;
    this.#arm();
  }

  stop(): void {
    this.#isStopped = true;
    this.#takeBack?.();
  }

  /** Removes all that is over now; `runsMs` in place of the policy's; `progress` is told of each portion. Rejects where the store does not answer; what is removed is. */
  async purge(runsMs: number | null = this.#policy.runsMs, progress: (purged: Purged) => void = () => {}): Promise<Purged> {
    let [runs, rows] = [0, 0];
    const { refusedMs } = this.#policy;
    for (let from: number | null = 0; from !== null; ) {
      const command: Purge = { op: "purge", runsMs, keysMs: limits.keysMs, unclaimedMs: refusedMs, from, rows: limits.purgedRows };
      const outcome: PurgeOutcome = await this.#committer.commit(command);
      runs += outcome.runs;
      rows += outcome.rows;
      from = outcome.next;
      progress({ runs, rows });
      await setImmediate(); // RE1
    }
    return { runs, rows };
  }

  #arm(): void {
    this.#takeBack = this.#clock.alarm(this.#store.now() + everyMs, () => {
      this.#pass ??= this.#look();
    });
  }

  async #look(): Promise<Purged> {
    try {
      return await this.purge();
    } catch {
      return { runs: 0, rows: 0 }; // the store is away, and whoever commits is told
    } finally {
      this.#pass = null;
      if (!this.#isStopped) this.#arm();
    }
  }
}
