// A run as its starter holds it: what it is doing, how it ended, and ways to end it. Nothing is read until it is asked for.

import { badArgument, checkOptions, kindOf, type OptionNames } from "../core/argument.ts";
import type { Attributes } from "../core/attribute.ts";
import { callOutcome } from "../core/call.ts";
import { legible } from "../core/envelope.ts";
import { endingOf, type RunEnding } from "../core/ending.ts";
import type { RingbackError } from "../core/errors.ts";
import type { Recorded } from "../core/event.ts";
import { outcomeError } from "../core/pending.ts";
import type { RunHost } from "../core/run.ts";
import { type RunStateName, runStateName } from "../core/run-row.ts";
import { nameOfNamespace } from "../core/stream.ts";
import { textOf } from "../core/thrown.ts";
import { type Difference, differenceOf, type TimelineEntry, timelineOf } from "../core/timeline.ts";
import type { RunRow } from "../store/port.ts";
import type { EngineCore } from "./engine.ts";
import { callingRun, durably } from "./realm.ts";
import { runNotFound } from "./refusal.ts";
import { readableOf, type WorkflowReadableStream } from "./stream-value.ts";

/** How far a run is, in Workflow DevKit's words: waiting and blocked runs read `running`. */
export type RunStatus = "pending" | "running" | "completed" | "failed" | "cancelled";

/** Why a run is set aside. */
export interface Blocked {
  /** `changed_code`, `misuse`, `crash_loop` or `missing_key`: each has a page under `docs/errors`. */
  readonly reason: string;
  /** What happened, and what to do. */
  readonly message: string;
  /** Where code and journal part; null for other reasons than changed code. */
  readonly difference: Difference | null;
}

/** How a run is to end. */
export interface CancelOptions {
  /**
   * The run undoes what it did, where its code says how, and takes the time it takes for that: `cancelGraceMs` does not end it, only a
   * `cancel()` without this does.
   */
  readonly compensate?: boolean;
}
const cancelOptions: OptionNames<CancelOptions> = { compensate: true };

/** Which sleeps of a run are to end. */
export interface StopSleepOptions {
  /** The ids of sleeps: `<run id>:<position>`, with the position that its timeline has. All of them where this is left out. */
  readonly correlationIds?: readonly string[];
}
const wakeUpOptions: OptionNames<StopSleepOptions> = { correlationIds: true };

/** What `wakeUp` has done. */
export interface StopSleepResult {
  /** Sleeps that were ended. */
  readonly stoppedCount: number;
}

/** Which stream of a run, and from where. */
export interface WorkflowReadableStreamOptions {
  /** As given to `getWritable`; without it, the run's own. */
  readonly namespace?: string;
  /** The number of the first chunk wanted; below 0: so many from the end, as it is when reading begins. Default 0. */
  readonly startIndex?: number;
}

const readableOptions: OptionNames<WorkflowReadableStreamOptions> = { namespace: true, startIndex: true };

/** A run, by its id. Every property asks the store anew, and rejects `RunNotFoundError` where there is no such run. */
export class RunHandle<R = unknown> {
  /** The id given at `start`, or made there. */
  readonly runId: string;
  readonly #engine: () => EngineCore | Promise<EngineCore>;

  constructor(runId: string, engine: () => EngineCore | Promise<EngineCore>) {
    this.runId = runId;
    this.#engine = engine;
  }

  /** Whether the store has it; does not reject. */
  get exists(): Promise<boolean> {
    return this.#find().then((row) => row !== null);
  }

  /** How far it is, in five words. */
  get status(): Promise<RunStatus> {
    return this.state.then((state) => (state === "waiting" || state === "blocked" ? "running" : state));
  }

  /** How far it is, in all seven: `waiting` is parked, `blocked` is set aside. */
  get state(): Promise<RunStateName> {
    return this.#row().then(runStateName);
  }

  /** What it is a run of. */
  get workflowName(): Promise<string> {
    return this.#row().then((row) => row.workflow);
  }

  /** Its labels, by name: given at its start, and set by its code since. */
  get attributes(): Promise<{ readonly [name: string]: string }> {
    return this.#attributes();
  }

  /**
   * The last value that its code has published under this key, in whichever chapter, also once the run has ended; undefined where it has
   * published none. What is not committed yet is not seen. Rejects `bad_argument` for a key that is no text, `RunNotFoundError`.
   */
  async published<T = unknown>(key: string): Promise<T | undefined> {
    if (typeof key !== "string")
      throw badArgument("key", key, `published() takes the key of a value, such as "status", got ${kindOf(key)}.`);
    const { run } = await this.#row();
    const { parts, host } = await this.#engine();
    const event = await parts.store.published(run, key);
    if (!event) return undefined;
    await host.prepare(event.value);
    return host.parse(event.value) as T;
  }

  /** When it was started, by the store's clock. */
  get createdAt(): Promise<Date> {
    return this.#row().then((row) => new Date(row.createdAt));
  }

  /** When its code began: with its start; undefined while nobody has taken it up. */
  get startedAt(): Promise<Date | undefined> {
    return this.#row().then((row) => (runStateName(row) === "pending" ? undefined : new Date(row.createdAt)));
  }

  /** When the run ended; undefined while it has not. */
  get completedAt(): Promise<Date | undefined> {
    return this.#row().then((row) => (row.endedAt === null ? undefined : new Date(row.endedAt)));
  }

  /** Why the run is set aside, and the difference where its code has changed; null while it is not. */
  get blocked(): Promise<Blocked | null> {
    return this.#blocked();
  }

  /** How it ended, and what it left behind: unread payloads, what never started, warnings. Null while it has not ended. */
  get ending(): Promise<RunEnding | null> {
    return this.#journal().then((journal) => endingOf(this.runId, journal));
  }

  /** All that is in the run's journal so far, in order: errors by their messages, without payloads and without any token. */
  get timeline(): Promise<readonly TimelineEntry[]> {
    return this.#timeline();
  }

  /**
   * What the workflow returned, as soon as it has. Rejects `RunFailedError` (its `cause` is what was thrown), `RunCancelledError` or
   * `RunNotFoundError`. In workflow code the wait is durable.
   */
  get returnValue(): Promise<R> {
    if (callingRun()) return durably("run.returnValue", (run) => callOutcome(run, this.runId)) as Promise<R>;
    return this.#outcome();
  }

  /** What its steps write to `getWritable()`, from the first chunk on: see `getReadable`. */
  get readable(): WorkflowReadableStream {
    return this.getReadable();
  }

  /**
   * One of its streams: what is there, then what comes, as it is committed; it ends when it is closed or the run has ended. Reads nothing
   * before it is read. A chunk's place is its number from 0: whoever has read `n` goes on with `startIndex: n`, here or elsewhere.
   */
  // oxlint-disable-next-line typescript/no-explicit-any -- as in Workflow DevKit: what is written for it type-checks
  getReadable<C = any>(options: WorkflowReadableStreamOptions = {}): WorkflowReadableStream<C> {
    checkOptions("getReadable()", options, readableOptions);
    const { namespace, startIndex = 0 } = options;
    if (!Number.isSafeInteger(startIndex))
      throw badArgument("startIndex", startIndex, `getReadable({ startIndex }) takes a whole number, got ${String(startIndex)}.`);
    const name = nameOfNamespace("getReadable()", namespace, (text) => text);
    const reference = { kind: "readable", run: this.runId, name, from: startIndex } as const;
    const engine = this.#engine;
    return readableOf(reference, async () => (await engine()).host.streams) as WorkflowReadableStream<C>;
  }

  /**
   * Asks the run to end: its pending waits reject with `RunCancelledError`, so that it can clean up, for `cancelGraceMs`. A second call ends it
   * at once. With `compensate` there is no such limit, and a run that was asked to end before is left as it is. Resolves when that is
   * committed; on a run that has ended it does nothing.
   */
  async cancel(options: CancelOptions = {}): Promise<void> {
    checkOptions("cancel()", options, cancelOptions);
    const { compensate = false } = options;
    if (typeof compensate !== "boolean")
      throw badArgument("compensate", compensate, `cancel({ compensate }) takes true or false, got ${kindOf(compensate)}.`);
    const row = await this.#row();
    await (await this.#engine()).runs.cancel(row, { compensate });
  }

  /** Ends the run's sleeps now, or those of them that `correlationIds` names, and says how many there were. */
  async wakeUp(options: StopSleepOptions = {}): Promise<StopSleepResult> {
    checkOptions("wakeUp()", options, wakeUpOptions);
    const { correlationIds: ids } = options;
    if (ids !== undefined && !(Array.isArray(ids) && ids.every((id) => typeof id === "string")))
      throw badArgument(
        "correlationIds",
        ids,
        `wakeUp({ correlationIds }) takes an array of texts such as "order-42:3", got ${kindOf(ids)}.`,
      );
    const row = await this.#row();
    return { stoppedCount: await (await this.#engine()).runs.wakeUp(row, ids) };
  }

  /**
   * Removes a run that has ended, with all its events; its id is free then. The keys of its deliveries stay for their time, so that a
   * repeat is still known as one. Rejects `run_open`.
   */
  async delete(): Promise<void> {
    const row = await this.#row();
    await (await this.#engine()).runs.delete(row);
  }

  async #outcome(): Promise<R> {
    const engine = await this.#engine();
    await this.#row();
    const outcome = await engine.alive.during(engine.waiters.wait(this.runId));
    if (outcome.type !== "completed") throw outcomeError(outcome, this.runId, engine.host);
    await engine.host.prepare(outcome.result);
    return engine.host.parse(outcome.result) as R;
  }

  async #attributes(): Promise<Attributes> {
    const { run } = await this.#row();
    return (await this.#engine()).parts.store.attributes(run);
  }

  async #blocked(): Promise<Blocked | null> {
    const row = await this.#row();
    if (!row.blocked) return null;
    const { events } = await (await this.#engine()).parts.store.chapter(row.run);
    const event = events.findLast((found) => found.kind === "run_blocked");
    if (event?.kind !== "run_blocked") return null;
    return { reason: event.reason, message: legible(event.message), difference: event.diff && differenceOf(event.diff) };
  }

  async #timeline(): Promise<TimelineEntry[]> {
    const { host } = await this.#engine();
    return timelineOf(await this.#journal(), (error) => wordsOf(error, host));
  }

  async #journal(): Promise<readonly Recorded[]> {
    const row = await this.#row();
    return (await this.#engine()).parts.store.journal(row.run, 0);
  }

  async #find(): Promise<RunRow | null> {
    return (await this.#engine()).parts.store.run({ id: this.runId });
  }

  async #row(): Promise<RunRow> {
    const row = await this.#find();
    if (!row) throw await this.#notFound();
    return row;
  }

  /** A token in the place of an id is a slip, and a secret all the same. */
  async #notFound(): Promise<RingbackError> {
    return runNotFound((await this.#engine()).host.sealText(this.runId));
  }
}

/** A thrown value may be of a class that is not registered here, and its message may hold a token. */
function wordsOf(error: string, host: Pick<RunHost, "parse" | "sealText">): string {
  try {
    return host.sealText(textOf(host.parse(error)));
  } catch (unreadable) {
    return `an error that cannot be read here (${textOf(unreadable)})`;
  }
}
