// A worker's lease: its runs are its own while it beats, and anybody's soon after it stops.
//
// L1. The store's time decides. A worker that finds its lease over drops its hot runs before it appends again; the fence holds the rest.
// L2. Beats come from the thread that does the work, so a worker whose thread is stuck loses its runs.

import type { Clock } from "../core/clock.ts";
import type { Committer } from "./commit.ts";

export interface LeaseOptions {
  readonly worker: string;
  readonly leaseMs: number;
  /** The store has a lock of its own. */
  readonly isMoot: boolean;
  readonly lost: () => void;
}

export class Lease {
  readonly #committer: Committer;
  readonly #clock: Clock;
  readonly #options: LeaseOptions;
  #until = 0;
  #takeBack: (() => void) | null = null;
  #isStopped = false;

  constructor(committer: Committer, clock: Clock, options: LeaseOptions) {
    this.#committer = committer;
    this.#clock = clock;
    this.#options = options;
  }

  async begin(): Promise<void> {
    if (this.#options.isMoot) return;
    await this.#beat();
    this.#next();
  }

  /** How long other workers leave this one's runs alone, unless it beats again; negative once it is over. */
  get leftMs(): number {
    return this.#until - this.#clock.now();
  }

  stop(): void {
    this.#isStopped = true;
    this.#takeBack?.();
  }

  /** Gives all runs back. */
  async end(): Promise<void> {
    this.stop();
    const { worker, isMoot } = this.#options;
    if (isMoot) return;
    await this.#committer.commit({ op: "release", worker });
    await this.#committer.commit({ op: "beat", worker, leaseMs: 0 });
  }

  /** Five beats to a lease: four may fail. */
  #next(): void {
    if (this.#isStopped) return;
    this.#takeBack = this.#clock.alarm(this.#clock.now() + this.#options.leaseMs / 5, () => {
      if (this.#clock.now() > this.#until) this.#options.lost();
      this.#beat().then(
        () => this.#next(),
        () => this.#next(),
      );
    });
  }

  async #beat(): Promise<void> {
    const { worker, leaseMs } = this.#options;
    const asked = this.#clock.now();
    await this.#committer.commit({ op: "beat", worker, leaseMs });
    this.#until = asked + leaseMs;
  }
}
