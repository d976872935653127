// The runs that a store keeps: who works at one, what is written while somebody does, and where callbacks meet it.
//
// RH1. Only its owner advances a run. Each write expects the version seen last; where that has moved on, it is written again on top of what
//      came, or, where there is another owner, not at all, and the work stops.
// RH2. A payload enters a run's record in one write, and never another one for the same hook. Nothing is answered before that.
// RH3. A hook is known by its id before its run's record has it. Whoever keeps an early payload looks at that record again afterwards, and an
//      owner looks for early payloads before it lets a run rest: one of them sees the other.
// RH4. A run rests in the write that finds no answer which its code has not had.
// RH5. A payload that was taken in time stands, though its run's owner, who had not heard of it, has let the time of the wait run out since.

import type { Clock } from "../../../core/clock.ts";
import { limits } from "../../../core/limits.ts";
import type { ResumeStore } from "../../../core/resume-store.ts";
import type { Result } from "../result.ts";
import { emptyState, type ResumeState } from "../state.ts";
import { read, write } from "../value.ts";
import { hooksIn } from "./arrival.ts";
import { type Kept, load, type RunRecord, save } from "./record.ts";
import { Shift } from "./shift.ts";

/** What a workflow is run with: hand it on to `workflow.runWithState(body, options)`. The state has the run's id and its input. */
export interface ResumeRunOptions {
  readonly resumeState: ResumeState;
  readonly checkpoint: (state: ResumeState) => Promise<void>;
}

/** What `workflow.runWithState` resolves with. */
export interface ResumeRan<T, E> {
  readonly result: Result<T, E>;
  readonly resumeState: ResumeState;
  readonly wakeAt: number | null;
}

export interface RunsOptions<T, E> extends ResumeStore {
  readonly run: (options: ResumeRunOptions) => Promise<ResumeRan<T, E>>;
  readonly clock: Clock;
  readonly leaseMs: number;
  readonly keepMs: number;
  readonly onError: (error: unknown, runId: string) => void;
}

/** What a run has come to; null where somebody else works at it. */
export type Going<T, E> = Promise<Result<T, E> | null>;

export class Runs<T, E> {
  readonly #options: RunsOptions<T, E>;
  /** The work under way in this process. */
  readonly #shifts = new Map<string, Going<T, E>>();
  /** When a run is looked at again. */
  readonly #alarms = new Map<string, { readonly at: number; readonly stop: () => void }>();

  constructor(options: RunsOptions<T, E>) {
    this.#options = options;
  }

  isHeld({ owner, until }: RunRecord): boolean {
    return owner !== null && until > this.#options.clock.now();
  }

  /** The record as it is while a new owner works at it. */
  owned(record: RunRecord): RunRecord {
    return { ...record, owner: crypto.randomUUID(), until: this.#options.clock.now() + this.#options.leaseMs };
  }

  /** What this process is doing at a run. */
  underWay(id: string): Going<T, E> {
    return this.#shifts.get(id) ?? Promise.resolve(null);
  }

  /** Begins a run; where one has the id, takes that up. Throws a `TypeError` where the id is none. */
  async start(id: string, input: unknown): Going<T, E> {
    if (typeof id !== "string" || id === "" || id.length > limits.runIdBytes || noText.test(id))
      throw new TypeError("A run id is text of 1 to 255 characters, no NUL among them, nor half a surrogate pair.");
    const inputText = input === undefined ? {} : { input: write(input, "The input") };
    const state: ResumeState = { ...emptyState, events: [{ kind: "run_started", id, workflow: null, ...inputText }] };
    const record = this.owned({ kind: "ResumeRun", version: 1, state, owner: null, until: 0, answers: [] });
    const version = await save(this.#options, id, record, null);
    const isOver = version === null && (await load(this.#options, "ResumeRun", id))?.record.result !== undefined;
    if (!isOver) await this.#options.save(openMark + id, "1", { expected: null });
    return version === null ? this.takeUp(id) : this.begin(id, { record, version });
  }

  /** Works at a run whose record names a new owner: us. */
  begin(id: string, kept: Kept): Going<T, E> {
    const going = new Shift(this.#options, this, id, kept).work().finally(() => {
      if (this.#shifts.get(id) === going) this.#shifts.delete(id);
    });
    this.#shifts.set(id, going);
    going.catch(() => this.lookAgain(id));
    return going;
  }

  /** Runs a run again that nobody works at; `ifNeeded`: only where its owner has died over it, or its time has come. */
  async takeUp(id: string, ifNeeded = false): Going<T, E> {
    for (;;) {
      const kept = await load(this.#options, "ResumeRun", id);
      if (kept === null) return null;
      const { record, version } = kept;
      if (record.result !== undefined) return read(record.result) as Result<T, E>;
      const { owner, wakeAt } = record;
      const isDue = wakeAt != null && wakeAt <= this.#options.clock.now();
      if (this.isHeld(record) || (ifNeeded && owner === null && !isDue)) {
        const at = owner === null ? wakeAt : record.until;
        if (ifNeeded && at != null && !this.#shifts.has(id)) this.lookAgain(id, at);
        return this.underWay(id);
      }
      const owned = this.owned(record);
      const saved = await save(this.#options, id, owned, version);
      if (saved !== null) return this.begin(id, { record: owned, version: saved });
    }
  }

  /** Looks at a run when its owner has had its time, or its own has come: nobody else may. */
  lookAgain(id: string, at: number = this.#options.clock.now() + this.#options.leaseMs): void {
    const set = this.#alarms.get(id);
    if (set && set.at <= at) return;
    set?.stop();
    const stop = this.#options.clock.alarm(at, () => {
      this.#alarms.delete(id);
      this.takeUp(id, true).catch((error) => {
        this.#options.onError(error, id);
        this.lookAgain(id);
      });
    });
    this.#alarms.set(id, { at, stop });
  }

  /** Takes up what the dead have left, and what is due. */
  async recover(): Promise<{ readonly resumed: number; readonly busy: number }> {
    if (!this.#options.list) throw new TypeError("recover() finds runs by the store's list(), and this store has none.");
    const found = { resumed: 0, busy: 0, none: 0 };
    const looks = new Set<Promise<unknown>>();
    for (let after: string | undefined, marks: readonly string[]; ; after = marks.at(-1)) {
      marks = await this.#options.list(openMark, { limit: rowsAtOnce, ...(after === undefined ? {} : { after }) });
      for (const mark of marks) {
        const look = this.#recoverOne(mark.slice(openMark.length)).then((became) => {
          found[became]++;
          looks.delete(look);
        });
        looks.add(look);
        // One that takes long keeps no other waiting.
        if (looks.size >= rowsAtOnce) await Promise.race(looks);
      }
      if (marks.length < rowsAtOnce) break;
    }
    await Promise.all(looks);
    return { resumed: found.resumed, busy: found.busy };
  }

  /** One run's trouble is not the others'. */
  async #recoverOne(id: string): Promise<"resumed" | "busy" | "none"> {
    const { onError } = this.#options;
    try {
      const record = (await load(this.#options, "ResumeRun", id))?.record;
      if (record?.result !== undefined) await this.close(id, record);
      if (record === undefined || record.result !== undefined) return "none";
      if (!this.isHeld(record)) return (await this.takeUp(id, true)) === null ? "none" : "resumed";
      if (!this.#shifts.has(id)) this.lookAgain(id, record.until);
      return "busy";
    } catch (error) {
      onError(error, id);
      return "busy";
    }
  }

  /** Nothing is to be done for a run that is over: its records may go in time. */
  async close(id: string, { state, endedAt = 0 }: RunRecord): Promise<void> {
    const expiresAt = endedAt + this.#options.keepMs;
    for (const { token } of hooksIn(state)) {
      const kept = await load(this.#options, "ResumeHook", token);
      if (kept?.record.runId === id) await save(this.#options, token, kept.record, kept.version, { expiresAt });
    }
    const open = await this.#options.load(openMark + id);
    if (open) await this.#options.delete(openMark + id, { expected: open.version });
  }
}

/** What a database cuts off or writes as something else: recover() would not find the run. */
const noText = /[\0\p{Surrogate}]/u;
/** Of the runs that are not over, for `list`. */
const openMark = "ResumeOpen/";
const rowsAtOnce = 100;
