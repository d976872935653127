// Group commit: what many runs and callbacks ask of the store at one moment goes into one transaction.
//
// C1. Outcomes are handed out in the order the commands were put, before anything else of the engine runs on them.
// C2. The window is adaptive, never a timer: flush when a pass of the event loop brought nothing new, at most four passes.
// C3. A lazy command rides with the next flush, at the latest 1 ms later. Nobody may be waiting for it.

import { clearTimeout, setImmediate, setTimeout } from "node:timers";
import type { Broken, Command, Outcome, OutcomeOf, Store } from "../store/port.ts";
import { crashPoint, isDoomed } from "./crash-point.ts";

const passesAtMost = 4;
const lazyMs = 1;

/**
 * A class, and queues that are used again, for the garbage collector's sake: what object and array literals make it may put among the
 * old at once, where many of them lived long before, and there each would keep the request behind it until the next full collection.
 */
class Member {
  readonly command: Command;
  readonly done: (outcome: Outcome) => void;

  constructor(command: Command, done: (outcome: Outcome) => void) {
    this.command = command;
    this.done = done;
  }
}

export interface CommitterListener {
  /** Why a whole group found no store. */
  failed(error: unknown): void;
  /** The first group that found it again. */
  answered(): void;
}

export class Committer {
  readonly #store: Store;
  readonly #listener: CommitterListener;
  #hasFailed = false;
  #queue: Member[] = [];
  #spare: Member[] = [];
  #isArmed = false;
  #isFlushing = false;
  #lazy: NodeJS.Timeout | null = null;
  #passes = 0;
  #looked = 0;
  #idle: (() => void)[] = [];

  constructor(store: Store, listener: CommitterListener) {
    this.#store = store;
    this.#listener = listener;
  }

  /** The last group found no store. */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /** Commands that wait for the next group. */
  get queueLength(): number {
    return this.#queue.length;
  }

  /** Commits with the next group. `done` gets the outcome, or `broken` with the reason why there is none. */
  put<C extends Command>(command: C, done: (outcome: OutcomeOf<C> | Broken) => void, isLazy = false): void {
    this.#queue.push(new Member(command, done as (outcome: Outcome) => void));
    if (this.#isArmed || this.#isFlushing) return;
    if (isLazy) {
      this.#lazy ??= setTimeout(this.#flushLazy, lazyMs);
      return;
    }
    this.#arm();
  }

  /** The same as a promise, for callers off the hot path. Rejects where there is no outcome. */
  commit<C extends Command>(command: C): Promise<OutcomeOf<C>> {
    return new Promise((resolve, reject) => {
      this.put(command, (outcome) => {
        if (outcome.type === "broken") reject((outcome as Broken).error);
        else resolve(outcome as OutcomeOf<C>);
      });
    });
  }

  get isIdle(): boolean {
    return this.#queue.length === 0 && !this.#isFlushing;
  }

  /** Resolves when nothing is queued or under way. */
  async drained(): Promise<void> {
    if (this.isIdle) return;
    if (!this.#isArmed && !this.#isFlushing) this.#arm();
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #arm(): void {
    this.#isArmed = true;
    this.#passes = 0;
    this.#looked = this.#queue.length;
    setImmediate(this.#look);
  }

  readonly #look = (): void => {
    if (this.#queue.length > this.#looked && this.#passes++ < passesAtMost) {
      this.#looked = this.#queue.length;
      setImmediate(this.#look);
    } else void this.#flush();
  };

  readonly #flushLazy = (): void => {
    this.#lazy = null;
    if (!this.#isArmed && !this.#isFlushing && this.#queue.length > 0) void this.#flush();
  };

  async #flush(): Promise<void> {
    this.#isArmed = false;
    this.#isFlushing = true;
    if (this.#lazy) clearTimeout(this.#lazy);
    this.#lazy = null;
    const group = this.#queue;
    this.#queue = this.#spare;
    this.#spare = group;
    let outcomes: readonly Outcome[];
    let isAnswered = true;
    if (isDoomed) passCrashPoints(group, "before_commit");
    try {
      outcomes = await this.#store.commit(group.map((member) => member.command));
      if (isDoomed) passCrashPoints(group, "after_commit");
    } catch (error) {
      outcomes = group.map(() => ({ type: "broken", error }));
      isAnswered = false;
      this.#hasFailed = true;
      this.#listener.failed(error);
    }
    this.#isFlushing = false;
    if (this.#hasFailed && isAnswered) {
      this.#hasFailed = false;
      this.#listener.answered();
    }
    try {
      for (let index = 0; index < group.length; index++) (group[index] as Member).done(outcomes[index] as Outcome);
    } finally {
      group.length = 0;
    }
    if (this.#queue.length > 0 && !this.#isArmed) this.#arm();
    else if (this.isIdle) for (const resolve of this.#idle.splice(0)) resolve();
  }
}

function passCrashPoints(group: readonly Member[], when: "before_commit" | "after_commit"): void {
  for (const { command } of group) {
    const what = committedBy(command);
    if (what !== null) crashPoint(`${what}.${when}`);
  }
}

function committedBy(command: Command): "start" | "deliver" | "append" | "step" | "write" | "answer" | "continue" | "end" | null {
  if (command.op === "start" || command.op === "deliver") return command.op;
  if (command.op === "decide") return "answer";
  if (command.op === "write") return "write";
  if (command.op !== "append") return null;
  const kind = command.events.at(-1)?.kind;
  if (kind === "run_continued") return "continue";
  return kind === "run_ended" ? "end" : kind === "step_completed" || kind === "step_failed" ? "step" : "append";
}
