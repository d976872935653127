// The runs that a store keeps: who works at one, what is written while somebody does, and where callbacks meet it.
//
// RH1. Only its owner advances a run. Each write expects the version seen last; where that has moved on, it is written again on top of what
//      came, or, where there is another owner, not at all, and the work stops.
// RH2. A payload enters a run's record in one write, and never another one for the same hook. Nothing is answered before that.
// RH3. A hook is known by its id before its run's record has it. Whoever keeps an early payload looks at that record again afterwards, and an
//      owner looks for early payloads before it lets a run rest: one of them sees the other.
// RH4. A run rests in the write that finds no answer which its code has not had.
// RH5. A payload that was taken in time stands, though its run's owner, who had not heard of it, has let the time of the wait run out since.

import type { Clock } from "../../core/clock.ts";
import type { Serialised } from "../../core/event.ts";
import type { ResumeStore } from "../../core/resume-store.ts";
import { StateMismatch } from "./execution.ts";
import { isPendingApproval, isPendingHook } from "./hook.ts";
import { getPendingHooks, injectHookAsync, type InjectionError, SchemaUnavailable } from "./injection.ts";
import { err, ok, type Result } from "./result.ts";
import { type Early, type Kept, load, type RunRecord, save } from "./resume-record.ts";
import { isOutcome, type ResumeState, type StateEvent } from "./state.ts";
import { UnexpectedError } from "./tagged-error.ts";
import { read, write } from "./value.ts";

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

/** Of the runs that are not over, for `list`. */
export const openMark = "ResumeOpen/";
const rowsAtOnce = 100;

/** One owner's work at a run. */
class Shift<T, E> {
  readonly #options: RunsOptions<T, E>;
  readonly #runs: Runs<T, E>;
  readonly #id: string;
  #kept: Kept;
  /** Writes are made one after another. */
  #writing: Promise<unknown> = Promise.resolve();
  #isLost = false;
  /** RH5. What the code of this owner waits to hear is no longer so: it is run again. */
  #isOverruled = false;
  #trouble: { readonly cause: unknown } | null = null;
  #stopBeating = (): void => {};

  constructor(options: RunsOptions<T, E>, runs: Runs<T, E>, id: string, kept: Kept) {
    this.#options = options;
    this.#runs = runs;
    this.#id = id;
    this.#kept = kept;
  }

  async work(): Going<T, E> {
    this.#beat();
    try {
      for (;;) {
        this.#isOverruled = false;
        const ran = await this.#options.run({
          resumeState: this.#kept.record.state,
          checkpoint: (state) => this.#checkpoint(state),
        });
        if (this.#isLost) return null;
        if (this.#trouble) throw this.#trouble.cause;
        if (this.#isOverruled) continue;
        if (!ran?.result || !ran.resumeState) throw notHandedOn();
        const { result } = ran;
        // Of other code than that which began the run: what came for it is kept for that.
        if (!result.ok && result.cause instanceof StateMismatch) throw result.cause;
        this.#assertOurs(ran.resumeState);
        if (result.ok || !(isPendingHook(result.error) || isPendingApproval(result.error))) return await this.#end(ran);
        if (await this.#rest(ran)) return result;
      }
    } catch (error) {
      if (this.#isLost) return null;
      throw error;
    } finally {
      this.#stopBeating();
    }
  }

  #beat(): void {
    const { clock, leaseMs } = this.#options;
    this.#stopBeating = clock.alarm(clock.now() + leaseMs / 3, () => {
      this.#beat();
      this.#update((record) => record).catch(() => {}); // the next one may succeed; a checkpoint tells
    });
  }

  /** The state of another run would be begun again and again. */
  #assertOurs({ events }: ResumeState): void {
    if (!events.some((event) => event.kind === "run_started" && event.id === this.#id)) throw notHandedOn();
  }

  async #checkpoint(state: ResumeState): Promise<void> {
    try {
      this.#assertOurs(state);
      for (const hookId of this.#unlaid(state)) await this.#lay(hookId);
      const early = await this.#earlyFor(timedOut(state, this.#kept.record.state));
      await this.#update(async (record) => {
        const { record: heard } = await this.#withEarly({ ...record, state: joined(untimed(state), record.state) }, early);
        this.#isOverruled ||= overruled(state, heard.state).length > 0;
        return { ...heard, state: joined(state, heard.state) };
      });
      if (this.#isOverruled)
        throw new UnexpectedError(undefined, "A payload came before the time of its wait was up: the run begins again with it.");
    } catch (cause) {
      if (!(cause instanceof UnexpectedError)) this.#trouble ??= { cause };
      throw cause;
    }
  }

  /** The hooks that no checkpoint has had. */
  #unlaid(state: ResumeState): string[] {
    const known = new Set(hooksIn(this.#kept.record.state).map(({ token }) => token));
    return hooksIn(state).flatMap(({ token }) => (known.has(token) ? [] : [token]));
  }

  /** RH3. Leads from a hook to this run. */
  async #lay(hookId: string): Promise<void> {
    for (;;) {
      const kept = await load(this.#options, "ResumeHook", hookId);
      const { runId, early = [] } = kept?.record ?? {};
      if (runId === this.#id) return;
      const other = runId === undefined ? null : await load(this.#options, "ResumeRun", runId);
      if (other && other.record.result === undefined)
        throw new UnexpectedError(undefined, `Another run waits for hook ${hookId}. Make an id for each wait, with createHook().`);
      // What came early for another run's hook was that run's.
      const record = { kind: "ResumeHook", version: 1, runId: this.#id, early: runId === undefined ? early : [] } as const;
      if (await save(this.#options, hookId, record, kept?.version ?? null)) return;
    }
  }

  /** RH4. Whether it may rest. */
  async #rest({ resumeState, wakeAt }: ResumeRan<T, E>): Promise<boolean> {
    const { clock, leaseMs } = this.#options;
    if (this.#unlaid(resumeState).length > 0) throw notHandedOn(); // no callback would find them
    const early = await this.#earlyFor(getPendingHooks(resumeState));
    let rests = false;
    let lookAt = wakeAt;
    await this.#update(async (record) => {
      const { record: next, isJudged } = await this.#withEarly({ ...record, state: joined(resumeState, record.state) }, early);
      lookAt = isJudged ? wakeAt : Math.min(wakeAt ?? Infinity, clock.now() + leaseMs);
      rests = next.state.events.length === resumeState.events.length;
      if (!rests) return { ...next, wakeAt };
      return { ...next, wakeAt: lookAt, owner: null, answers: next.answers.map((answer) => ({ ...answer, hasRested: true })) };
    });
    if (rests && lookAt !== null) this.#runs.lookAgain(this.#id, lookAt);
    return rests;
  }

  async #earlyFor(hookIds: readonly string[]): Promise<Arrival[]> {
    const found = await Promise.all(
      hookIds.map(async (hookId) => {
        const kept = await load(this.#options, "ResumeHook", hookId);
        return (kept?.record.early ?? []).map((arrival) => ({ hookId, ...arrival }));
      }),
    );
    return found.flat();
  }

  #withEarly(record: RunRecord, early: readonly Arrival[]): Promise<Heard> {
    return withEarly(record, early, (error) => this.#options.onError(error, this.#id));
  }

  /** What the run has come to, as it was kept. */
  async #end({ result, resumeState }: ResumeRan<T, E>): Promise<Result<T, E>> {
    const { clock, keepMs, onError } = this.#options;
    const [kept, text] = written(result);
    const end = { owner: null, result: text, endedAt: clock.now() };
    await this.#update((record) => ({ ...record, state: joined(resumeState, record.state), ...end }), { expiresAt: end.endedAt + keepMs });
    await this.#runs.close(this.#id, this.#kept.record).catch((error) => onError(error, this.#id));
    return kept as Result<T, E>;
  }

  /** RH1 */
  #update(change: (record: RunRecord) => RunRecord | Promise<RunRecord>, more?: { readonly expiresAt: number }): Promise<void> {
    const { owner } = this.#kept.record;
    const { clock, leaseMs } = this.#options;
    const done = this.#writing.then(async () => {
      while (!this.#isLost) {
        const record = { ...(await change(this.#kept.record)), until: clock.now() + leaseMs };
        const version = await save(this.#options, this.#id, record, this.#kept.version, more);
        if (version !== null) return void (this.#kept = { record, version });
        const seen = await load(this.#options, "ResumeRun", this.#id);
        if (seen && seen.record.owner === owner) this.#kept = seen;
        else this.#isLost = true;
      }
      throw new Error("Another process has taken this run up.");
    });
    this.#writing = done.catch(() => {});
    return done;
  }
}

/** A callback on its way: its hook, what tells it from others, and its payload. */
export type Arrival = Early & { readonly hookId: string };

/** RH2. The record with a callback's payload. The error is what refuses it. */
export async function answered(record: RunRecord, { hookId, value, key, digest, at }: Arrival): Promise<Result<RunRecord, InjectionError>> {
  const injected = await injectHookAsync(record.state, { hookId, value: read(value), at });
  if (!injected.ok) return err(injected.error);
  return ok({ ...record, state: injected.value, answers: [...record.answers, { hookId, key, digest, at }] });
}

interface Heard {
  readonly record: RunRecord;
  /** Whether there was a schema for everything, and it did not throw: else it is left for the next time. */
  readonly isJudged: boolean;
}

/** The record with what came early for its waits. */
export async function withEarly(record: RunRecord, early: readonly Arrival[], onTrouble: (error: unknown) => void): Promise<Heard> {
  const heard = { record, isJudged: true };
  for (const arrival of early) {
    try {
      const given = await answered(heard.record, arrival);
      if (given.ok) heard.record = given.value;
      else if (given.error instanceof SchemaUnavailable) throw given.error;
    } catch (error) {
      heard.isJudged = false;
      onTrouble(error);
    }
  }
  return heard;
}

/** What an owner has done, and what came meanwhile. */
function joined(own: ResumeState, kept: ResumeState): ResumeState {
  const late = new Set(overruled(own, kept));
  const events = own.events.filter((event) => !late.has(event));
  const known = new Set(events.flatMap((event) => (isOutcome(event) ? [event.name] : [])));
  return { ...own, events: [...events, ...kept.events.filter((event) => event.kind === "hook_received" && !known.has(event.name))] };
}

/** The hooks whose time is up for an owner, which nobody has been told yet. */
function timedOut(own: ResumeState, kept: ResumeState): string[] {
  const known = new Set(kept.events.flatMap((event) => (isOutcome(event) ? [event.name] : [])));
  const names = new Set(own.events.flatMap((event) => (event.kind === "hook_failed" && !known.has(event.name) ? [event.name] : [])));
  return hooksIn(own).flatMap(({ name, token }) => (names.has(name) ? [token] : []));
}

function untimed(own: ResumeState): ResumeState {
  return { ...own, events: own.events.filter(({ kind }) => kind !== "hook_failed") };
}

/** RH5. What an owner holds of waits that were answered meanwhile. It was not kept before, so no code has seen it. */
function overruled(own: ResumeState, kept: ResumeState): StateEvent[] {
  const came = new Set(kept.events.flatMap((event) => (event.kind === "hook_received" ? [event.name] : [])));
  return own.events.filter((event) => event.kind === "hook_failed" && came.has(event.name));
}

type Hook = StateEvent & { readonly kind: "hook_created"; readonly token: string };

export function hooksIn({ events }: ResumeState): Hook[] {
  return events.filter((event): event is Hook => event.kind === "hook_created" && event.token !== null);
}

function notHandedOn(): TypeError {
  return new TypeError("run() has not handed on what it was given. Write run: (options) => workflow.runWithState(body, options).");
}

/** A result that cannot be kept is an error to whoever asks for it, now and later. */
function written(result: Result<unknown, unknown>): [kept: Result<unknown, unknown>, text: Serialised] {
  try {
    return [result, write(result.ok ? result : err(result.error), "The result")];
  } catch (cause) {
    const unkept = err(new UnexpectedError(undefined, (cause as Error).message));
    return [unkept, write(unkept, "The result")];
  }
}
