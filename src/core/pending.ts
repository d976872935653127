// One call that code waits for and an event will settle: a step, a timer, a child.

import type { StepDefinition } from "./definition.ts";
import { type RingbackError, RunCancelledError, RunFailedError } from "./errors.ts";
import type { RunOutcome, Serialised } from "./event.ts";
import type { RunHost } from "./run.ts";
import { textOf } from "./thrown.ts";

const nothing = (): void => {};
const then = Promise.prototype.then;

export class Pending {
  readonly promise: Promise<unknown>;
  #resolve!: (value: unknown) => void;
  #reject!: (error: unknown) => void;
  /** What is waited for, for messages. */
  readonly label: string;

  /** The body to run, where a step is waited for. */
  readonly step: StepDefinition | null;
  /** Whether it is another run's end that is waited for, and `label` that run's id. */
  readonly isOutcome: boolean;

  constructor(label: string, step: StepDefinition | null, isOutcome: boolean) {
    this.label = label;
    this.step = step;
    this.isOutcome = isOutcome;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    void then.call(this.promise, nothing, nothing); // nobody may be awaiting it yet when it rejects
  }

  resolve(value: unknown): void {
    this.#resolve(value);
  }

  reject(error: unknown): void {
    this.#reject(error);
  }

  /** With a value as the journal holds it. Throws where it cannot be read here: that is not what was recorded, so code must not see it. */
  settle(host: RunHost, isOk: boolean, value: Serialised | undefined): void {
    const parsed = value === undefined ? undefined : host.parse(value);
    if (isOk) this.#resolve(parsed);
    else this.#reject(parsed);
  }

  /** With the outcome of another run. */
  end(host: RunHost, outcome: RunOutcome): void {
    if (outcome.type === "completed") this.settle(host, true, outcome.result);
    else this.#reject(outcomeError(outcome, this.label, host));
  }
}

/** What waiting for a run that did not complete rejects with. */
export function outcomeError(
  outcome: Exclude<RunOutcome, { type: "completed" }>,
  run: string,
  host: Pick<RunHost, "parse" | "sealText">,
): RingbackError {
  if (outcome.type === "cancelled") return new RunCancelledError(`Run ${run} was cancelled.`, { details: { run } });
  const cause = host.parse(outcome.error);
  const text = cause instanceof Error ? cause.message : textOf(cause);
  // What was thrown is the author's own, and whole, in `cause`; a message is ours, and people log it.
  return new RunFailedError(`Run ${run} failed: ${host.sealText(text)}`, { details: { run }, cause });
}
