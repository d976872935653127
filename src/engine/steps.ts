// Runs step bodies: attempts, retries, timeouts, a bounded number at a time.
//
// S1. A body starts only after its step is in the journal, and never again once its outcome is (G3).
// S2. Every attempt of a step has the same idempotency key; an attempt's outcome counts only while it is the current one.
// S3. A step goes on while its run is cold; its outcome is an event like any other and brings the run back.

import type { Recorded, Serialised } from "../core/event.ts";
import type { Clock } from "../core/clock.ts";
import type { StepDefinition } from "../core/definition.ts";
import { parseDuration } from "../core/duration.ts";
import { StepTimeoutError } from "../core/errors.ts";
import type { RunHost, RunIdentity } from "../core/run.ts";
import { afterFailure, idempotencyKey } from "../core/step.ts";
import type { Append, RunNumber } from "../store/port.ts";
import type { Committer } from "./commit.ts";
import { crashPoint } from "./crash-point.ts";
import type { KeepAlive } from "./keep-alive.ts";
import type { Live } from "./live.ts";
import { inStep } from "./realm.ts";

interface Execution {
  readonly run: RunNumber;
  readonly fence: number;
  readonly identity: RunIdentity;
  readonly position: number;
  readonly step: StepDefinition;
  readonly input: Serialised;
  attempt: number;
  abort: AbortController;
  takeBackAlarm: (() => void) | null;
}

export interface StepsOptions {
  readonly clock: Clock;
  /** Bodies at a time; others wait in line. */
  readonly concurrency: number;
  /** In [0, 1): jitter. */
  readonly chance: () => number;
  readonly arrived: (run: RunNumber, event: Recorded) => void;
  /** Reads what a step's input refers to, before it is parsed. */
  readonly prepare: (input: Serialised) => Promise<void> | null;
  /** An outcome could not be stored: the run is to be loaded again. */
  readonly stranded: (run: RunNumber) => void;
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

  start(live: Live, position: number, input: Serialised, attempt: number, dueAt: number | null = null): void {
    const step = live.run.pending.get(position)?.step;
    const key = `${live.number}:${position}`;
    if (!step || this.#known.has(key)) return;
    const execution: Execution = {
      run: live.number,
      fence: live.fence,
      identity: live.run.identity,
      position,
      step,
      input,
      attempt,
      abort: new AbortController(),
      takeBackAlarm: null,
    };
    this.#known.set(key, execution);
    if (dueAt !== null && dueAt > this.#options.clock.now()) this.#startAt(execution, dueAt);
    else this.#enqueue(execution);
  }

  /** Takes up the steps that a run's journal leaves open: those of an earlier process begin another attempt, with the same key. */
  recover(live: Live, journal: readonly Recorded[]): void {
    const open = new Map<number, { input: Serialised; attempt: number; dueAt: number | null }>();
    for (const event of journal) {
      if (event.kind === "step_scheduled") open.set(event.position, { input: event.input, attempt: 1, dueAt: null });
      else if (event.kind === "step_completed" || event.kind === "step_failed") open.delete(event.position);
      else if (event.kind === "step_retrying" || event.kind === "step_restarted") {
        const step = open.get(event.position);
        if (step) Object.assign(step, { attempt: event.attempt, dueAt: event.kind === "step_retrying" ? event.dueAt : null });
      }
    }
    for (const [position, { input, attempt, dueAt }] of open) {
      if (this.#known.has(`${live.number}:${position}`)) continue;
      // An attempt that has been due may have begun.
      if (dueAt !== null && dueAt > this.#options.clock.now()) this.start(live, position, input, attempt, dueAt);
      else this.#restart(live, position, input, attempt + 1);
    }
  }

  #restart(live: Live, position: number, input: Serialised, attempt: number): void {
    const append: Append = {
      op: "append",
      run: live.number,
      fence: live.fence,
      events: [{ kind: "step_restarted", position, attempt }],
      seen: 0,
    };
    this.#committer.put(append, (outcome) => {
      if (outcome.type === "broken") this.#options.stranded(live.number);
      if (outcome.type !== "appended") return;
      for (const event of outcome.events) this.#options.arrived(live.number, event);
      this.start(live, position, input, attempt);
    });
  }

  /** Aborts a run's bodies; what they still bring is dropped. */
  abort(run: RunNumber, reason: string): void {
    for (const execution of [...this.#known.values()]) {
      if (execution.run === run) this.#forget(execution, reason);
    }
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
    execution.abort.abort(new Error(reason));
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
    try {
      const result = await this.#body(execution, attempt);
      const text = this.#host.serialiseWithBodies(result, `the result of step ${this.#host.sealText(execution.step.name)}`);
      const serialised = typeof text === "string" ? text : await text.text;
      await this.#outcome(execution, attempt, { kind: "step_completed", position: execution.position, attempt, result: serialised });
    } catch (error) {
      if (this.#isCurrent(execution, attempt)) await this.#failed(execution, attempt, error);
    }
  }

  async #body(execution: Execution, attempt: number): Promise<unknown> {
    const { step, identity, position, abort } = execution;
    await this.#options.prepare(execution.input);
    const args = this.#host.parse(execution.input) as never[];
    const startedAt = this.#options.clock.now();
    const context = {
      name: step.name,
      position,
      attempt,
      startedAt,
      idempotencyKey: idempotencyKey(identity.id, position),
      signal: abort.signal,
      run: identity,
    };
    crashPoint("step.before_body");
    const running = inStep(context, async () => step.body(...args));
    if (step.options.timeout === undefined) return running;
    const timeoutMs = parseDuration(step.options.timeout, "timeout");
    return new Promise((resolve, reject) => {
      const takeBack = this.#options.clock.alarm(startedAt + timeoutMs, () => {
        const name = this.#host.sealText(step.name);
        const message = `Attempt ${attempt} of step ${name} took longer than its timeout of ${timeoutMs} ms.`;
        const error = new StepTimeoutError(message, { details: { step: name, timeoutMs, attempt } });
        abort.abort(error);
        reject(error);
      });
      running.then(resolve, reject).finally(takeBack);
    });
  }

  async #failed(execution: Execution, attempt: number, thrown: unknown): Promise<void> {
    const { step, position } = execution;
    const error = this.#host.serialiseThrown(thrown, `the error of step ${step.name}`);
    const now = this.#options.clock.now();
    const after = afterFailure(thrown, attempt, step.options, now, this.#options.chance());
    if (after.type === "give_up") return this.#outcome(execution, attempt, { kind: "step_failed", position, attempt, error });
    execution.attempt = attempt + 1;
    execution.abort = new AbortController();
    await this.#append(execution, { kind: "step_retrying", position, attempt: attempt + 1, error, dueAt: after.dueAt });
    if (this.#isCurrent(execution, attempt + 1)) this.#startAt(execution, after.dueAt);
  }

  async #outcome(execution: Execution, attempt: number, event: Append["events"][number]): Promise<void> {
    if (!this.#isCurrent(execution, attempt)) return;
    await this.#append(execution, event);
  }

  /** Appends under the fence the step was started with. An outcome that finds no store leaves the step open, to be taken up again. */
  #append(execution: Execution, event: Append["events"][number]): Promise<void> {
    const { run, fence } = execution;
    const isOutcome = event.kind !== "step_retrying";
    return new Promise((resolve) => {
      this.#committer.put({ op: "append", run, fence, events: [event], seen: 0 }, (outcome) => {
        if (isOutcome || outcome.type !== "appended") this.#known.delete(`${run}:${execution.position}`);
        if (outcome.type === "appended") for (const recorded of outcome.events) this.#options.arrived(run, recorded);
        else if (outcome.type === "broken") this.#options.stranded(run);
        resolve();
      });
    });
  }
}
