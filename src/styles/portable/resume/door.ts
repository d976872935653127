// What becomes of a callback: which run it is for, whether it came before, and what its sender is told.

import type { Issue } from "../../../core/errors.ts";
import { limits } from "../../../core/limits.ts";
import type { SchemaIssue } from "../../../core/definition.ts";
import { hasPendingApproval, HookNotPending, injectApproval, InvalidPayload } from "../injection.ts";
import { type HookRecord, type Kept, load, type RunRecord, save, type Taken } from "./record.ts";
import { answered, type Arrival, hooksIn, withEarly } from "./arrival.ts";
import type { Going, Runs, RunsOptions } from "./run.ts";
import type { ResumeState } from "../state.ts";
import { write } from "../value.ts";

/** What became of a callback. */
export interface ResumeReceipt {
  /**
   * `accepted`: its run has it. `buffered`: it is kept for a hook that no run has come to yet. `duplicate`: it came before. `closed`: the hook
   * takes nothing any more. `invalid`: its schema refused it, and it waits on. `unknown`: there is no such hook.
   */
  readonly disposition: "accepted" | "buffered" | "duplicate" | "closed" | "invalid" | "unknown";
  /** Without a key a repeat is known by its payload. */
  readonly keyed: boolean;
  /** What closed the hook: another callback, its deadline, or the end of its run. */
  readonly by?: "answered" | "timeout" | "ended";
  /** When that was, where it is known. */
  readonly at?: Date;
  /** Why the schema refused the payload. */
  readonly issues?: readonly Issue[];
}

export interface Outcome<T, E> {
  readonly receipt: ResumeReceipt;
  /** What its run comes to, where anybody may wait for it. */
  readonly going?: Going<T, E>;
  readonly runId?: string;
  /** Its key came before with another payload. */
  readonly isReused?: boolean;
}

export interface DoorOptions<T, E> extends RunsOptions<T, E> {
  /** How long a payload waits for its hook, in milliseconds; 0 for not at all. */
  readonly earlyMs: number;
}

export class Door<T, E> {
  readonly #options: DoorOptions<T, E>;
  readonly #runs: Runs<T, E>;

  constructor(options: DoorOptions<T, E>, runs: Runs<T, E>) {
    this.#options = options;
    this.#runs = runs;
  }

  async take(hookId: string, payload: unknown, key: string | null): Promise<Outcome<T, E>> {
    const value = write(payload, "The payload");
    const arrival: Arrival = { hookId, value, key, digest: await digestOf(value), at: this.#options.clock.now() };
    for (let isKept = false; ; ) {
      const hook = await load(this.#options, "ResumeHook", hookId);
      const { runId } = hook?.record ?? {};
      const run = runId === undefined ? null : await load(this.#options, "ResumeRun", runId);
      if (
        runId !== undefined &&
        run &&
        (run.record.result !== undefined || hooksIn(run.record.state).some(({ token }) => token === hookId))
      ) {
        const outcome = await this.#give(runId, run, arrival, hook?.record.early);
        // RH3. Its own payload may have been given to the run by the run's owner.
        if (outcome && isKept && outcome.receipt.disposition === "duplicate") return { ...outcome, ...told(arrival, "buffered") };
        if (outcome) return outcome;
      } else if (isKept) return told(arrival, "buffered");
      else {
        const early = hook?.record.early ?? [];
        const first = early.find((other) => isSame(other, arrival));
        if (first) return behind(first, arrival);
        if (runId === undefined ? this.#options.earlyMs === 0 : run === null) return told(arrival, "unknown");
        isKept = await this.#keep(hook, arrival);
      }
    }
  }

  /** Gives somebody's word on an approval of a run; the same word again is a duplicate. */
  async approve(runId: string, stepKey: string, value: unknown): Promise<Outcome<T, E>> {
    const word: Taken = { key: null, digest: "", at: this.#options.clock.now() };
    for (;;) {
      const kept = await load(this.#options, "ResumeRun", runId);
      if (kept === null) return told(word, "unknown");
      const { state, endedAt } = kept.record;
      try {
        if (endedAt !== undefined && hasPendingApproval(state, stepKey))
          return told(word, "closed", { by: "ended", at: new Date(endedAt) });
        const next = injectApproval(state, { stepKey, value, at: word.at });
        const going = await this.#write(runId, kept, { ...kept.record, state: next });
        if (going) return { ...told(word, "accepted"), ...going };
      } catch (error) {
        if (!(error instanceof HookNotPending)) throw error;
        if (error.reason === "unknown") return told(word, "unknown");
        return isSaid(state, stepKey, write(value, "The word"))
          ? told(word, "duplicate")
          : told(word, "closed", { by: error.reason === "expired" ? "timeout" : "answered" });
      }
    }
  }

  /** Null where somebody else has written: what to do is to be found anew. */
  async #give(runId: string, kept: Kept, arrival: Arrival, early: HookRecord["early"] = []): Promise<Outcome<T, E> | null> {
    const { record } = kept;
    const first = record.answers.find(({ hookId }) => hookId === arrival.hookId);
    if (first) {
      const outcome = behind<T, E>(first, arrival);
      return first.hasRested || !isSame(first, arrival) ? outcome : { ...outcome, runId, going: this.#runs.takeUp(runId, true) };
    }
    const { endedAt = Infinity } = record;
    const { expiresAt = Infinity } = hooksIn(record.state).find(({ token }) => token === arrival.hookId) ?? {};
    if (expiresAt <= Math.min(arrival.at, endedAt)) return told(arrival, "closed", { by: "timeout", at: new Date(expiresAt) });
    if (record.endedAt !== undefined) return told(arrival, "closed", { by: "ended", at: new Date(endedAt) });
    // What came before its hook was known comes first: its owner has not looked for it yet.
    const mine = early.map((other) => ({ hookId: arrival.hookId, ...other }));
    const { record: heard } = await withEarly(record, mine, (error) => this.#options.onError(error, runId));
    const won = heard.answers[record.answers.length];
    if (won) {
      const going = await this.#write(runId, kept, heard);
      return going && { ...behind(won, arrival), ...going };
    }
    const given = await answered(record, arrival);
    if (!given.ok) {
      const { error } = given;
      if (error instanceof InvalidPayload) return told(arrival, "invalid", { issues: error.issues.map(issueOf) });
      if (!(error instanceof HookNotPending)) throw error;
      return told(arrival, "closed", { by: error.reason === "expired" ? "timeout" : "answered" });
    }
    const going = await this.#write(runId, kept, given.value);
    return going && { ...told(arrival, "accepted"), ...going };
  }

  /** Keeps a payload, and sees to it that somebody goes on with it. */
  async #write(runId: string, { record, version }: Kept, heard: RunRecord): Promise<Pick<Outcome<T, E>, "runId" | "going"> | null> {
    const isHeld = this.#runs.isHeld(record);
    const next = isHeld ? heard : this.#runs.owned(heard);
    const saved = await save(this.#options, runId, next, version);
    if (saved === null) return null;
    return { runId, going: isHeld ? this.#runs.takeUp(runId, true) : this.#runs.begin(runId, { record: next, version: saved }) };
  }

  async #keep(hook: Kept<HookRecord> | null, { hookId, ...early }: Arrival): Promise<boolean> {
    const { runId, early: others = [] } = hook?.record ?? {};
    if (others.length >= limits.earlyPerToken) throw new Error("No more early callbacks are kept for this hook.");
    const expiry = runId === undefined ? { expiresAt: early.at + this.#options.earlyMs, isEarly: true } : {};
    const record = { ...(hook?.record ?? { kind: "ResumeHook", version: 1 }), early: [...others, early] } as HookRecord;
    return (await save(this.#options, hookId, record, hook?.version ?? null, expiry)) !== null;
  }
}

/** Whether this is the word that an approval has. */
function isSaid({ events }: ResumeState, stepKey: string, word: string): boolean {
  const isAsked = (name: string): boolean =>
    events.some((event) => event.kind === "hook_created" && event.name === name && (event.approval?.key ?? name) === stepKey);
  return events.some((event) => event.kind === "hook_received" && event.payload === word && isAsked(event.name));
}

function told<T, E>({ key }: Taken, disposition: ResumeReceipt["disposition"], more?: Partial<ResumeReceipt>): Outcome<T, E> {
  return { receipt: { disposition, keyed: key !== null, ...more } };
}

/** What comes behind the payload that its hook has. */
function behind<T, E>(first: Taken, arrival: Taken): Outcome<T, E> {
  if (!isSame(first, arrival)) return told(arrival, "closed", { by: "answered", at: new Date(first.at) });
  return { ...told(arrival, "duplicate"), isReused: first.digest !== arrival.digest };
}

/** A sender is told of no objects. */
function issueOf({ message, path }: SchemaIssue): Issue {
  return path ? { message, path: path.map((part) => (typeof part === "object" ? part.key : part)) } : { message };
}

/** Where one of them has no key, what they say decides. */
function isSame(one: Taken, other: Taken): boolean {
  return one.key !== null && other.key !== null ? one.key === other.key : one.digest === other.digest;
}

async function digestOf(text: string): Promise<string> {
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return btoa(String.fromCharCode(...new Uint8Array(bytes)));
}
