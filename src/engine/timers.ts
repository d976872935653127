// Fires what is due: timers and hook deadlines, with one alarm set for the earliest. The store decides what is due (P6).

import type { Clock } from "../core/clock.ts";
import type { Recorded } from "../core/event.ts";
import type { RunNumber, Store } from "../store/port.ts";
import type { Committer } from "./commit.ts";

const batch = 500;
/** Alarms are kept shorter than what the platform's timers can hold. */
const longestMs = 24 * 3_600_000;
/** What is due and could not be fired, since the store is away or the run is another's, is looked at again after this. */
const retryMs = 1_000;

export interface TimersListener {
  fired(run: RunNumber, worker: string | null, event: Recorded): void;
  /** A cancelled run's grace is over. */
  expired(run: RunNumber): Promise<void>;
}

export class Timers {
  readonly #store: Store;
  readonly #committer: Committer;
  readonly #clock: Clock;
  readonly #listener: TimersListener;
  #alarmAt = Number.POSITIVE_INFINITY;
  #takeBack: (() => void) | null = null;
  #isFiring = false;
  #isStopped = false;

  constructor(store: Store, committer: Committer, clock: Clock, listener: TimersListener) {
    this.#store = store;
    this.#committer = committer;
    this.#clock = clock;
    this.#listener = listener;
  }

  get isIdle(): boolean {
    return !this.#isFiring;
  }

  /** Something is due at `dueAt`. */
  note(dueAt: number): void {
    if (this.#isStopped || dueAt >= this.#alarmAt) return;
    this.#takeBack?.();
    this.#alarmAt = dueAt;
    this.#takeBack = this.#clock.alarm(Math.min(dueAt, this.#clock.now() + longestMs), () => {
      this.#alarmAt = Number.POSITIVE_INFINITY;
      this.#takeBack = null;
      void this.fireDue();
    });
  }

  /** Somebody else may have set a timer, or time may have jumped (a machine that slept). */
  async look(): Promise<void> {
    try {
      const next = await this.#store.nextDue();
      if (next !== null && next <= this.#store.now()) await this.fireDue();
      else if (next !== null) this.note(next);
    } catch {
      this.note(this.#clock.now() + retryMs); // the store is away
    }
  }

  stop(): void {
    this.#isStopped = true;
    this.#takeBack?.();
  }

  /** Fires all that is due by now, earliest first, and sets the alarm for what comes next. */
  async fireDue(): Promise<void> {
    if (this.#isFiring || this.#isStopped) return;
    this.#isFiring = true;
    try {
      const askedAt = await this.#fireAll();
      this.#isFiring = false;
      const next = await this.#store.nextDue();
      if (next !== null) this.note(next <= askedAt ? this.#clock.now() + retryMs : next);
    } catch {
      this.#isFiring = false;
      this.note(this.#clock.now() + retryMs); // the store is away; what is due stays due
    }
  }

  /** What falls due while others fire is fired with them. What stays due, since its run is another's, is tried once. Returns up to when. */
  async #fireAll(): Promise<number> {
    const tried = new Set<string>();
    for (let stuck = 0; ; ) {
      const now = this.#store.now();
      const due = await this.#store.due(now, batch + stuck);
      const fresh = due.filter(({ run, position }) => !tried.has(`${run}:${position}`));
      if (fresh.length === 0 && due.length < batch + stuck) return now;
      stuck = due.length - fresh.length;
      for (const { run, position } of fresh) tried.add(`${run}:${position}`);
      await Promise.all(fresh.map(({ run, position }) => (position === 0 ? this.#listener.expired(run) : this.#fire(run, position))));
    }
  }

  #fire(run: RunNumber, position: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#committer.put({ op: "fire", run, position }, (outcome) => {
        if (outcome.type === "broken") return reject(outcome.error);
        if (outcome.type === "fired") this.#listener.fired(run, outcome.worker, outcome.event);
        resolve();
      });
    });
  }
}
