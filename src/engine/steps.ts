// Runs step bodies: attempts, retries, timeouts, a bounded number at a time.
//
// ST1. A body starts only after its step is in the journal, and never again once its outcome is (G3).
// ST2. Every attempt of a step has the same idempotency key; an attempt's outcome counts only while it is the current one.
// ST3. A step goes on while its run is cold; its outcome is an event like any other and brings the run back.

import { type AttributeChanges, type Attributes, changedBy, checkCount } from "../core/attribute.ts";
import type { Recorded, Serialised } from "../core/event.ts";
import type { Clock } from "../core/clock.ts";
import type { StepDefinition } from "../core/definition.ts";
import { parseDuration } from "../core/duration.ts";
import { RingbackError, StepTimeoutError } from "../core/errors.ts";
import { limits } from "../core/limits.ts";
import type { OpenStep } from "../core/open-step.ts";
import type { RunHost, RunIdentity } from "../core/run.ts";
import { type AfterFailure, afterFailure, idempotencyKey } from "../core/step.ts";
import type { Append, RunNumber, Store, Write } from "../store/port.ts";
import type { Committer } from "./commit.ts";
import { crashPoint } from "./crash-point.ts";
import type { KeepAlive } from "./keep-alive.ts";
import type { Live } from "./live.ts";
import { inStep, type StepContext } from "./realm.ts";
import type { Report } from "./report.ts";
import { StepSignals } from "./step-signal.ts";
import { AttemptStreams } from "./stream-write.ts";

interface Execution {
  readonly run: RunNumber;
  readonly fence: number;
  readonly identity: RunIdentity;
  readonly position: number;
  readonly step: StepDefinition;
  readonly input: Serialised;
  attempt: number;
  failures: number;
  /** When the current attempt began. */
  startedAt: number;
  abort: AbortController;
  /** Where its input has any. */
  signals: StepSignals | null;
  takeBackAlarm: (() => void) | null;
}

export interface StepsOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** Bodies at a time; others wait in line. */
  readonly concurrency: number;
  /** In [0, 1): jitter. */
  readonly chance: () => number;
  readonly arrived: (run: RunNumber, event: Recorded) => void;
  /** Reads what a step's input refers to, before it is parsed. */
  readonly prepare: (input: Serialised) => Promise<void> | null;
  /** A step's input cannot be read here: no attempt of it has failed, and its run is to be set aside. */
  readonly unreadable: (run: RunNumber, error: unknown) => void;
  /** An outcome could not be stored: the run is to be loaded again. */
  readonly stranded: (run: RunNumber, error: unknown) => void;
  readonly report: Report;
  readonly attributes: (run: RunNumber) => Promise<Attributes>;
  /** A running body keeps the process alive. */
  readonly alive: KeepAlive;
}

export class Steps {
  readonly #committer: Committer;
  readonly #host: RunHost;
  readonly #options: StepsOptions;
  readonly #known = new Map<string, Execution>();
  readonly #line: Execution[] = [];
  #running = 0;
  #isDraining = false;
  #waiters: (() => void)[] = [];

  constructor(committer: Committer, host: RunHost, options: StepsOptions) {
    this.#committer = committer;
    this.#host = host;
    this.#options = options;
  }

  /** Bodies that run or wait in line; retries that are not due are not counted. */
  get activeCount(): number {
    return this.#running + this.#line.length;
  }

  /** A step that has just been scheduled. */
  start(live: Live, position: number, input: Serialised): void {
    const execution = this.#take(live, position, { input, attempt: 1, failures: 0, restarts: 0, dueAt: null });
    if (execution) this.#enqueue(execution);
  }

  #take(live: Live, position: number, { input, attempt, failures, aborted }: OpenStep): Execution | null {
    const step = live.run.pending.get(position)?.step;
    const key = `${live.number}:${position}`;
    if (!step || this.#known.has(key)) return null;
    const { number: run, fence } = live;
    const abort = new AbortController();
    const execution: Execution = {
      run,
      fence,
      identity: live.run.identity,
      position,
      step,
      input,
      attempt,
      failures,
      startedAt: 0,
      abort,
      signals: aborted ? this.#signals(aborted) : null,
      takeBackAlarm: null,
    };
    this.#known.set(key, execution);
    return execution;
  }

  /** Takes up the steps that a run's journal leaves open: those of an earlier process begin another attempt, with the same key. */
  recover(live: Live): void {
    for (const [position, step] of live.openSteps ?? []) {
      const known = this.#known.get(`${live.number}:${position}`);
      for (const [place, reason] of step.aborted ?? []) if (known) (known.signals ??= this.#signals()).abort(place, reason);
      if (!live.run.pending.has(position) || known) continue;
      // An attempt that has been due may have begun.
      if (step.dueAt !== null && step.dueAt > this.#options.clock.now()) {
        const execution = this.#take(live, position, step);
        if (execution) this.#startAt(execution, step.dueAt);
      } else if (step.restarts >= limits.stepRestarts) this.#poisoned(live, position, step.restarts);
      else this.#restart(live, position, step);
    }
  }

  /** Process after process ended while this body ran: it is set aside before it ends the next one. */
  #poisoned({ run }: Live, position: number, restarts: number): void {
    const name = this.#host.sealText(run.pending.get(position)?.step?.name ?? "");
    const message = `Step ${name} of run ${run.identity.id} (${run.identity.workflow}) was begun again ${restarts} times, and each time the process ended before it did. The run is set aside.`;
    run.fault ??= {
      reason: "crash_loop",
      error: new RingbackError("crash_loop", message, { details: { run: run.identity.id, loads: restarts } }),
      diff: null,
    };
  }

  #restart(live: Live, position: number, step: OpenStep): void {
    const attempt = step.attempt + 1;
    const execution = this.#take(live, position, { ...step, attempt });
    if (!execution) return;
    void this.#append(execution, { kind: "step_restarted", position, attempt }).then(() => {
      if (this.#isCurrent(execution, attempt)) this.#enqueue(execution);
    });
  }

  /** Code has aborted a signal that bodies of the run were given. */
  signal(run: RunNumber, { steps, reason }: Recorded & { readonly kind: "signal_aborted" }): void {
    for (const [position, place] of steps) {
      const execution = this.#known.get(`${run}:${position}`);
      if (execution) (execution.signals ??= this.#signals()).abort(place, reason);
    }
  }

  #signals(aborted?: ReadonlyMap<number, Serialised>): StepSignals {
    return new StepSignals(aborted, (text) => this.#host.parse(text));
  }

  /** Aborts a run's bodies; what they still bring is dropped. */
  abort(run: RunNumber, reason: string): void {
    for (const execution of [...this.#known.values()]) {
      if (execution.run === run) this.#forget(execution, reason);
    }
  }

  /** Forgets the retries that are not due, of runs of this workflow: its code was replaced. Returns the runs, to be loaded again. */
  putBack(workflow: string): RunNumber[] {
    const waiting = [...this.#known.values()].filter((each) => each.takeBackAlarm !== null && each.identity.workflow === workflow);
    for (const execution of waiting) this.#forget(execution, "The code was replaced.");
    return waiting.map((execution) => execution.run);
  }

  /** Resolves when no body runs; new ones are not started. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    for (const execution of this.#line.splice(0)) this.#forget(execution, "The engine is closing.");
    if (this.#running > 0) await new Promise<void>((resolve) => this.#waiters.push(resolve));
  }

  stop(): void {
    for (const execution of [...this.#known.values()]) this.#forget(execution, "The engine is closing.");
  }

  #forget(execution: Execution, reason: string): void {
    this.#known.delete(`${execution.run}:${execution.position}`);
    const place = this.#line.indexOf(execution);
    if (place >= 0) this.#line.splice(place, 1);
    execution.takeBackAlarm?.();
    this.#stop(execution, new Error(reason));
  }

  /** Whatever signal the body listens to tells it. */
  #stop({ abort, signals }: Execution, reason: Error): void {
    abort.abort(reason);
    signals?.end(reason);
  }

  #isCurrent(execution: Execution, attempt: number): boolean {
    return this.#known.get(`${execution.run}:${execution.position}`) === execution && execution.attempt === attempt;
  }

  #startAt(execution: Execution, dueAt: number): void {
    execution.takeBackAlarm = this.#options.clock.alarm(dueAt, () => {
      execution.takeBackAlarm = null;
      this.#enqueue(execution);
    });
  }

  #enqueue(execution: Execution): void {
    if (this.#isDraining) return this.#forget(execution, "The engine is closing.");
    this.#line.push(execution);
    this.#next();
  }

  #next(): void {
    while (this.#running < this.#options.concurrency) {
      const execution = this.#line.shift();
      if (!execution) break;
      this.#running++;
      this.#options.alive.hold();
      void this.#attempt(execution, execution.attempt).finally(() => {
        this.#running--;
        this.#options.alive.release();
        this.#next();
        if (this.#running === 0) for (const resolve of this.#waiters.splice(0)) resolve();
      });
    }
  }

  async #attempt(execution: Execution, attempt: number): Promise<void> {
    const streams = this.#streams(execution, attempt);
    const context = this.#context(execution, attempt, streams);
    const args = await this.#input(execution, attempt, context);
    if (!args) return;
    execution.startedAt = this.#options.clock.now();
    try {
      const result = await this.#body(execution, context, streams, args);
      const { position } = execution;
      await this.#outcome(execution, attempt, { kind: "step_completed", position, attempt, result }, streams.end());
    } catch (error) {
      if (!context.signal.aborted) await streams.settled();
      streams.end();
      if (this.#isCurrent(execution, attempt)) await this.#failed(execution, attempt, error);
    }
  }

  #streams(execution: Execution, attempt: number): AttemptStreams {
    const { run, fence, position, identity, abort } = execution;
    return new AttemptStreams({
      store: this.#options.store,
      committer: this.#committer,
      host: this.#host,
      run,
      runId: identity.id,
      fence,
      position,
      attempt,
      signal: abort.signal,
      isCurrent: () => this.#isCurrent(execution, attempt),
    });
  }

  #context(execution: Execution, attempt: number, streams: AttemptStreams): StepContext {
    const { step, identity, position, abort } = execution;
    return {
      name: step.name,
      position,
      attempt,
      startedAt: this.#options.clock.now(),
      now: () => this.#options.clock.now(),
      idempotencyKey: idempotencyKey(identity.id, position),
      signal: abort.signal,
      run: identity,
      host: this.#host,
      setAttributes: (changes) => this.#setAttributes(execution, attempt, changes),
      streams,
    };
  }

  /** The step's arguments; null where nothing is to be begun with them. */
  async #input(execution: Execution, attempt: number, context: StepContext): Promise<never[] | null> {
    const { run, position, input } = execution;
    let isLoaded = false;
    try {
      await this.#options.prepare(input);
      isLoaded = true;
      execution.signals?.begin();
      return inStep(context, () => this.#host.parse(input, (data) => (execution.signals ??= this.#signals()).take(data))) as never[];
    } catch (error) {
      if (!this.#isCurrent(execution, attempt)) return null;
      this.#known.delete(`${run}:${position}`);
      if (isLoaded) this.#options.unreadable(run, error);
      else this.#options.stranded(run, error);
      return null;
    }
  }

  /** Runs the body, and takes its result and all it has written into the store. */
  async #body(execution: Execution, context: StepContext, streams: AttemptStreams, args: never[]): Promise<Serialised> {
    const { step } = execution;
    const { attempt } = context;
    const startedAt = this.#options.clock.now();
    crashPoint("step.before_body");
    const running = inStep(context, async () => this.#result(context.name, await step.body(...args), streams));
    if (step.options.timeout === undefined) return running;
    const timeoutMs = parseDuration(step.options.timeout, "timeout");
    return new Promise((resolve, reject) => {
      const takeBack = this.#options.clock.alarm(startedAt + timeoutMs, () => {
        const name = this.#host.sealText(step.name);
        const message = `Attempt ${attempt} of step ${name} took longer than its timeout of ${timeoutMs} ms.`;
        const error = new StepTimeoutError(message, { details: { step: name, timeoutMs, attempt } });
        this.#stop(execution, error);
        reject(error);
      });
      running.then(resolve, reject).finally(takeBack);
    });
  }

  async #result(name: string, value: unknown, streams: AttemptStreams): Promise<Serialised> {
    const text = this.#host.serialiseWithBodies(
      value,
      `the result of step ${this.#host.sealText(name)}`,
      undefined,
      undefined,
      streams.take,
    );
    const result = typeof text === "string" ? text : await text.text;
    await streams.flush();
    return result;
  }

  async #failed(execution: Execution, attempt: number, thrown: unknown): Promise<void> {
    const { step, position, signals } = execution;
    const isAborted = signals?.explains(thrown) === true;
    if (isAborted) markFatal(thrown);
    const error = this.#host.serialiseThrown(thrown, `the error of step ${step.name}`);
    const now = this.#options.clock.now();
    const giveUp = (why: Serialised): Promise<void> =>
      this.#outcome(execution, attempt, { kind: "step_failed", position, attempt, error: why });
    if (isAborted) return giveUp(error);
    let after: AfterFailure;
    try {
      after = afterFailure(thrown, execution.failures + 1, step.options, now, this.#options.chance());
    } catch (unusable) {
      return giveUp(this.#host.serialiseThrown(unusable, `the error of step ${step.name}`)); // its options or its retryAfter
    }
    if (after.type === "give_up") return giveUp(error);
    execution.attempt = attempt + 1;
    execution.failures++;
    execution.abort = new AbortController();
    await this.#append(execution, { kind: "step_retrying", position, attempt: attempt + 1, error, dueAt: after.dueAt });
    if (this.#isCurrent(execution, attempt + 1)) this.#startAt(execution, after.dueAt);
  }

  async #outcome(execution: Execution, attempt: number, event: Append["events"][number], closing: readonly Write[] = []): Promise<void> {
    if (!this.#isCurrent(execution, attempt)) return;
    for (const write of closing) this.#committer.put(write, () => {}); // into the same group (SW3)
    await this.#append(execution, event);
  }

  /** Appends under the fence the step was started with. An outcome that finds no store leaves the step open, to be taken up again. */
  #append(execution: Execution, event: Append["events"][number]): Promise<void> {
    const { run, fence } = execution;
    const isOutcome = event.kind === "step_completed" || event.kind === "step_failed";
    return new Promise((resolve) => {
      this.#committer.put({ op: "append", run, fence, events: [event], seen: 0 }, (outcome) => {
        if (isOutcome || outcome.type !== "appended") this.#known.delete(`${run}:${execution.position}`);
        if (outcome.type === "appended") {
          for (const recorded of outcome.events) this.#options.arrived(run, recorded);
          if (this.#options.report.isWatched) this.#tell(execution, outcome.events);
        } else if (outcome.type === "broken") this.#options.stranded(run, outcome.error);
        resolve();
      });
    });
  }
  /** What an attempt that is over still says of its run does not count. */
  async #setAttributes(execution: Execution, attempt: number, changes: AttributeChanges): Promise<void> {
    const { run, fence, position } = execution;
    if (Object.keys(changes).length === 0) return;
    checkCount(Object.keys(changedBy(await this.#options.attributes(run), changes)));
    if (!this.#isCurrent(execution, attempt)) return;
    const event = { kind: "step_attributes_set", position, attempt, changes } as const;
    const outcome = await this.#committer.commit({ op: "append", run, fence, events: [event], seen: 0 });
    if (outcome.type === "appended") for (const recorded of outcome.events) this.#options.arrived(run, recorded);
  }

  #tell({ identity, step, startedAt }: Execution, events: readonly Recorded[]): void {
    const { clock, report } = this.#options;
    for (const event of events) {
      if (event.kind !== "step_completed" && event.kind !== "step_failed" && event.kind !== "step_retrying") continue;
      report.stepped(identity, step.name, event, clock.now() - startedAt);
    }
  }
}

/** An abort of the author's is final, and `FatalError.is` says so; what was thrown stays what it is. */
function markFatal(thrown: unknown): void {
  const mark = { value: true, enumerable: true, configurable: true, writable: true };
  if (thrown instanceof Error) Reflect.defineProperty(thrown, "fatal", mark);
}
