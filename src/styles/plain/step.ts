// Steps in the plain style.

import { checkOptions, type OptionNames, badArgument, kindOf } from "../../core/argument.ts";
import { callStep } from "../../core/call.ts";
import { RingbackError } from "../../core/errors.ts";
import { checkStepOptions } from "../../core/step.ts";
import type { StepDefinition, StepOptions } from "../../core/definition.ts";
import { callingRun, callingStep, durably } from "../../engine/realm.ts";
import { checkName, declareReference } from "../../engine/registry.ts";

/** A function whose outcome is recorded once. */
export interface Step<A extends unknown[] = unknown[], R = unknown> {
  /** In workflow code: the recorded outcome of one durable call. Elsewhere: a plain call. */
  (...args: A): Promise<R>;
}

/**
 * Names an async function as a step: called in workflow code it runs once, durably, with retries; its arguments and its result are
 * serialised. Called in another step's body, or where no run is around, it is a plain call. Defaults: 3 retries, backoff from 1 s,
 * doubling, at most 5 min, with jitter; no timeout. Throw `FatalError` to end it at once, `RetryableError` to say when to try again.
 */
function define<A extends unknown[], R>(name: string, body: (...args: A) => Promise<R> | R, options: StepOptions = {}): Step<A, R> {
  const isWithinRun = callingRun() !== null || callingStep() !== null;
  return declareReference(make(name, body, options), { kind: "step", name, source: body.toString(), isWithinRun });
}

function make<A extends unknown[], R>(name: string, body: (...args: A) => Promise<R> | R, options: StepOptions): Step<A, R> {
  const definition = declare(name, body, options);
  const call = async (...args: A): Promise<R> => body(...args);
  const step = (...args: A): Promise<R> => {
    if (callingStep() || !callingRun()) return call(...args);
    return durably(`step "${name}"`, (run) => callStep(run, definition, args)) as Promise<R>;
  };
  Object.defineProperty(step, "name", { value: name });
  return step;
}

/** Runs `body` as a step, inline: what it needs it takes from around it, and its result is recorded under `name`. */
function run<R>(name: string, body: () => Promise<R> | R, options: StepOptions = {}): Promise<R> {
  const result = make<[], R>(name, body, options)();
  const run = callingStep() ? null : callingRun();
  if (run) run.inlineSteps++;
  return result;
}

/** `step(name, fn, options?)` names a function as a step; `step.run(name, fn, options?)` runs one inline. What finished, stands (G3). */
export const step: typeof define & { readonly run: typeof run } = Object.assign(define, { run });

const stepOptions: OptionNames<StepOptions> = { maxRetries: true, backoff: true, maxBackoff: true, timeout: true };

function declare(name: string, body: unknown, options: StepOptions): StepDefinition {
  checkName("step", name);
  if (typeof body !== "function") throw badArgument("body", body, `Step "${name}" needs a function, got ${kindOf(body)}.`);
  checkOptions(`step("${name}")`, options, stepOptions);
  setAside(() => checkStepOptions(name, options));
  return { name, body: body as StepDefinition["body"], options };
}

/** A slip in how often a step is tried is no outcome of the run whose code has it: it is set aside, and goes on with code that is mended. */
export function setAside<T>(check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (RingbackError.is(error, "bad_argument") && !callingStep()) callingRun()?.misuse(error);
    throw error;
  }
}
