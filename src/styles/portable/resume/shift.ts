// One owner's work at a run: its code is run with what is kept, and what it does is kept with what came meanwhile, until it rests or ends.

import type { Serialised } from "../../../core/event.ts";
import { StateMismatch } from "../execution.ts";
import { isPendingApproval, isPendingHook } from "../hook.ts";
import { getPendingHooks } from "../injection.ts";
import { err, type Result } from "../result.ts";
import { isOutcome, type ResumeState, type StateEvent } from "../state.ts";
import { UnexpectedError } from "../tagged-error.ts";
import { write } from "../value.ts";
import { type Arrival, type Heard, hooksIn, withEarly } from "./arrival.ts";
import { type Kept, load, type RunRecord, save } from "./record.ts";
import type { Going, ResumeRan, Runs, RunsOptions } from "./run.ts";

/** One owner's work at a run. */
export class Shift<T, E> {
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
