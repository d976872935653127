// Steps by reference: methods with `@Step`, and steps that are known by name alone. A reference is never called by workflow code; the
// engine calls the method of the instance that was registered.

import { badArgument, checkOptions, kindOf, type OptionNames } from "../../core/argument.ts";
import type { StandardSchema, StepDefinition, StepOptions } from "../../core/definition.ts";
import { StepNotRegisteredError, RingbackError } from "../../core/errors.ts";
import { FatalError } from "../../core/own-error.ts";
import { checkMaxRetries } from "../../core/step.ts";
import { checkName } from "../../engine/registry.ts";

/** How a step's attempts are made and repeated. */
export interface CtxStepOptions extends StepOptions {
  /** Attempts after the first, as `maxRetries`. */
  readonly retries?: number;
  /** The delay before the first retry, as `backoff` in milliseconds. */
  readonly backoffMs?: number;
  /** The longest delay, as `maxBackoff` in milliseconds. */
  readonly backoffMaxMs?: number;
  /** As `timeout` in milliseconds. */
  readonly timeoutMs?: number;
}

export const stepOptionNames: OptionNames<CtxStepOptions> = {
  maxRetries: true,
  backoff: true,
  maxBackoff: true,
  timeout: true,
  retries: true,
  backoffMs: true,
  backoffMaxMs: true,
  timeoutMs: true,
};

/** What `@Step` takes. */
export interface StepDetails extends CtxStepOptions {
  /** What the step is called in journals. Default: `Class.method`, which a renaming, or a minifier, would change. */
  readonly name?: string;
  /** A Standard Schema for what the step is given: what it refuses fails the step at once. */
  readonly input?: StandardSchema;
  /** The same for what it returns. */
  readonly output?: StandardSchema;
}

const detailNames: OptionNames<StepDetails> = { ...stepOptionNames, name: true, input: true, output: true };

/** A step that is known by its name: its body is the method with `@Step({ name })` that is registered where the run goes on. */
export interface RemoteStep<Input = unknown, Output = unknown> {
  readonly name: string;
  readonly input?: StandardSchema<unknown, Input> | undefined;
  readonly output?: StandardSchema<unknown, Output> | undefined;
}

/** What `ctx.step(ref, input)` takes: a method with `@Step`, or what `remoteStep` returned. */
export type StepRef<Input = never, Output = unknown> = ((input: Input) => Output | Promise<Output>) | RemoteStep<Input, Output>;

const details: unique symbol = Symbol.for("ringback/context-step") as never;

interface Stamped {
  /** Null until its class is known. */
  name: string | null;
  readonly details: StepDetails;
}

/** Makes a method a step that `ctx.step(this.payments.charge, input)` runs: `@Step()`, `@Step("charge")`, `@Step({ retries: 5 })`. */
export function Step(options: string | StepDetails = {}): StepDecorator {
  const given: StepDetails = typeof options === "string" ? { name: options } : options;
  checkOptions("@Step()", given, detailNames);
  const name = given.name === undefined ? null : checkName("step", given.name);
  if (given.retries !== undefined) checkMaxRetries(name ?? "@Step()", given.retries);
  return (target: unknown, key: unknown, descriptor?: { readonly value?: unknown }) => {
    const method = typeof target === "function" && descriptor === undefined ? target : descriptor?.value;
    if (typeof method !== "function") throw badArgument("method", method, `@Step() belongs on a method, got ${kindOf(method)}.`);
    const owner = typeof target === "object" && target !== null ? target.constructor.name : null;
    const stamp: Stamped = { name: name ?? (owner === null ? null : `${owner}.${String(key)}`), details: given };
    Object.defineProperty(method, details, { value: stamp });
  };
}

/** A decorator of TypeScript's older kind, which NestJS wants, and of the standard. */
export interface StepDecorator {
  <T extends (...args: never[]) => unknown>(target: object, key: string | symbol, descriptor: TypedPropertyDescriptor<T>): void;
  (method: (...args: never[]) => unknown, context: ClassMethodDecoratorContext): void;
}

/** A step by its name, typed by its schemas where they are given: `remoteStep({ name: "charge", input: z.object({ … }) })`. */
export function remoteStep<Input = unknown, Output = unknown>(ref: RemoteStep<Input, Output>): RemoteStep<Input, Output> {
  checkOptions<RemoteStep>("remoteStep()", ref as RemoteStep, { name: true, input: true, output: true });
  checkName("step", ref.name);
  return ref;
}

/** The steps that an engine can run by reference, by name. */
export class StepTable {
  readonly #bodies = new Map<string, { readonly body: (input: never) => unknown; readonly details: StepDetails; readonly of: object }>();

  /** All methods with `@Step` of an instance. */
  add(instance: object): void {
    for (const [key, method] of methodsOf(instance)) {
      const stamp = (method as { readonly [details]?: Stamped })[details];
      if (stamp === undefined) continue;
      const name = (stamp.name ??= `${instance.constructor.name}.${key}`);
      const known = this.#bodies.get(name);
      if (known && known.of !== instance) throw twice(name, known.of, instance);
      this.#bodies.set(name, { body: method.bind(instance) as (input: never) => unknown, details: stamp.details, of: instance });
    }
  }

  /** What runs `ref`. Where it is not registered here the run is to wait for it: `step_not_registered`. */
  definition(ref: unknown, options: StepOptions): StepDefinition {
    const name = stepName(ref);
    const known = this.#bodies.get(name);
    if (!known) {
      const message = `Step "${name}" is not registered with this engine. Give an instance with a method @Step({ name: "${name}" }) to engine.registerSteps(), or, in a Nest app, make its class a provider.`;
      throw new StepNotRegisteredError(message, { details: { step: name } });
    }
    const { input = null, output = null } = typeof ref === "object" ? (ref as RemoteStep) : {};
    const ins = [input, known.details.input ?? null];
    const outs = [known.details.output ?? null, output];
    const body = async (given: unknown): Promise<unknown> => {
      const fitting = await through(ins, given, `The input of step "${name}"`);
      return through(outs, await known.body(fitting as never), `The output of step "${name}"`);
    };
    return { name, body, options: { ...stepOptions(known.details), ...options } };
  }
}

function twice(name: string, first: object, second: object): RingbackError {
  const message = `Two steps are called "${name}": one of ${first.constructor.name}, one of ${second.constructor.name}. Give each a name of its own, by @Step({ name }).`;
  return new RingbackError("duplicate_name", message, { details: { kind: "step", name } });
}

/** A schema's refusal is no trouble that passes: the step fails at once. */
async function through(schemas: readonly (StandardSchema | null)[], value: unknown, what: string): Promise<unknown> {
  let fitting = value;
  for (const schema of schemas) {
    if (schema === null) continue;
    const result = await schema["~standard"].validate(fitting);
    if (result.issues !== undefined)
      throw new FatalError(
        `${what} is refused by its schema: ${result.issues.map(({ message }) => message).join("; ")}`,
        "invalid_payload",
      );
    fitting = result.value;
  }
  return fitting;
}

/** Whether a value names a step; a plain function does not. */
export function isStepRef(ref: unknown): ref is StepRef | string {
  return typeof ref === "string" || (typeof ref === "function" ? Object.hasOwn(ref, details) : typeof ref === "object" && ref !== null);
}

/** What the step of a reference is called in journals. Throws `bad_argument` where it is none. */
export function stepName(ref: unknown): string {
  if (typeof ref === "string") return ref;
  const stamp = (ref as { readonly [details]?: Stamped } | null)?.[details];
  if (stamp?.name != null) return stamp.name;
  const { name } = (ref ?? {}) as { readonly name?: unknown };
  if (typeof ref === "object" && typeof name === "string") return name;
  const what = typeof ref === "function" ? `${ref.name || "an anonymous function"}, which has no @Step()` : kindOf(ref);
  throw badArgument("step", ref, `ctx.step() takes a name and a function, or a method with @Step() and its input; got ${what}.`);
}

/** Methods of an instance's classes, the nearest first. */
function methodsOf(instance: object): Map<string, (...args: never[]) => unknown> {
  const found = new Map<string, (...args: never[]) => unknown>();
  for (
    let at = Object.getPrototypeOf(instance) as object | null;
    at && at !== Object.prototype;
    at = Object.getPrototypeOf(at) as object | null
  )
    for (const [key, { value }] of Object.entries(Object.getOwnPropertyDescriptors(at)))
      if (typeof value === "function" && !found.has(key)) found.set(key, value as (...args: never[]) => unknown);
  return found;
}

/** In the engine's words. */
export function stepOptions({ retries, backoffMs, backoffMaxMs, timeoutMs, ...rest }: CtxStepOptions & Partial<StepDetails>): StepOptions {
  const { maxRetries = retries, backoff = backoffMs, maxBackoff = backoffMaxMs, timeout = timeoutMs } = rest;
  return {
    ...(maxRetries === undefined ? {} : { maxRetries }),
    ...(backoff === undefined ? {} : { backoff }),
    ...(maxBackoff === undefined ? {} : { maxBackoff }),
    ...(timeout === undefined ? {} : { timeout }),
  };
}
