// Steps by reference: methods with `@Step`, and steps that are known by name alone. A reference is never called by workflow code; the
// engine calls the method of the instance that was registered.

import { badArgument, checkOptions, kindOf, type OptionNames } from "../../core/argument.ts";
import { parseDuration } from "../../core/duration.ts";
import type { StandardSchema, StepDefinition, StepOptions } from "../../core/definition.ts";
import { StepNotRegisteredError, RingbackError } from "../../core/errors.ts";
import { FatalError } from "../../core/own-error.ts";
import { checkMaxRetries } from "../../core/step.ts";
import { checkName } from "../../engine/registry.ts";
import { checkSchema } from "../plain/hook.ts";

/** How a step's attempts are made and repeated. */
export interface CtxStepOptions extends StepOptions {
  /** Attempts after the first, as `maxRetries`. */
  readonly retries?: number;
  /** The delay before the first retry: a duration ("500ms") or milliseconds. Or how it grows: "exp", the default, doubles it, "fixed" does not. */
  readonly backoff?: string | number;
  /** The delay before the first retry, in milliseconds. */
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

/** What `remoteStep` takes. */
export interface RemoteStepDetails<Input = unknown, Output = unknown> extends CtxStepOptions {
  readonly name: string;
  /** A Standard Schema for what the step is given: the method gets what it returns. */
  readonly input?: StandardSchema<Input, unknown> | undefined;
  /** The same for what the method returns. */
  readonly output?: StandardSchema<unknown, Output> | undefined;
}

/** A step that is known by its name: its body is the method with `@Step({ name })` that is registered where the run goes on. */
export interface RemoteStep<in Input = never, Output = unknown> extends RemoteStepDetails<unknown, Output> {
  /** For the compiler alone: what takes more, takes this. */
  readonly takes?: ((input: Input) => void) | undefined;
  /** Likewise: a function, which has a name as well, is none. */
  readonly apply?: never;
}

/** What `ctx.step(ref, input)` takes: a method with `@Step`, or what `remoteStep` returned. */
export type StepRef<Input = never, Output = unknown> = ((input: Input) => Output | Promise<Output>) | RemoteStep<Input, Output>;

const details: unique symbol = Symbol.for("ringback/context-step") as never;

interface Stamped {
  /** Null until its class is known. */
  name: string | null;
  readonly details: StepDetails;
}

type Method = (...args: never[]) => unknown;

/**
 * Makes a method a step that `ctx.step(this.payments.charge, input)` runs: `@Step()`, `@Step("charge")`, `@Step({ retries: 5 })`. Of several
 * decorators it is the first, so that it sees what the others made of the method. Throws `bad_argument`, also on what is static or private.
 */
export function Step(options: string | StepDetails = {}): StepDecorator {
  const given: StepDetails = typeof options === "string" ? { name: options } : options;
  checkOptions("@Step()", given, detailNames);
  const name = given.name === undefined ? null : checkName("step", given.name);
  attempts("@Step()", given);
  for (const schema of [given.input, given.output]) checkSchema("@Step()", schema);
  return (target: unknown, key: unknown, descriptor?: { readonly value?: unknown }) => {
    const context = typeof key === "object" && key !== null ? (key as ClassMethodDecoratorContext) : null;
    const method = context === null ? descriptor?.value : target;
    const called = String(context === null ? key : context.name);
    checkMethod(called, method, { isStatic: context?.static ?? typeof target === "function", context });
    const stamp: Stamped = { name: name ?? (context === null ? nameIn(target as object, called) : null), details: given };
    Object.defineProperty(method, details, { value: stamp });
    // A decorator of the standard is not told whose method it is; the first instance tells.
    context?.addInitializer(function (this: unknown) {
      stamp.name ??= nameIn(ownerOf(this as object, context.name), called);
    });
  };
}

function checkMethod(
  called: string,
  method: unknown,
  { isStatic, context }: { readonly isStatic: boolean; readonly context: ClassMethodDecoratorContext | null },
): asserts method is Method {
  if (isStatic || context?.private === true) {
    const message = `@Step() belongs on a method that a reference to an instance leads to, and "${called}" is ${isStatic ? "static" : "private"}.`;
    throw badArgument("method", method, message);
  }
  if (typeof method !== "function" || (context !== null && context.kind !== "method"))
    throw badArgument("method", method, `@Step() belongs on a method, and "${called}" is none: write it as ${called}(input) { … }.`);
  if (Object.hasOwn(method, details)) throw badArgument("method", method, `Method "${called}" has @Step() twice. Leave one.`);
}

/** The nearest of an object's classes that has the method. */
function ownerOf(instance: object, key: string | symbol): object {
  let at: object | null = instance;
  while (at !== null && !Object.hasOwn(at, key)) at = Object.getPrototypeOf(at) as object | null;
  return at ?? instance;
}

function nameIn(prototype: object, called: string): string {
  return checkName("step", `${prototype.constructor.name}.${called}`);
}

/** For the compiler's message. */
type OneInput<T> = T extends (input: never) => unknown ? unknown : "A step takes one input: make the method's parameters one object.";

/** A decorator of TypeScript's older kind, which NestJS wants, and of the standard. */
export interface StepDecorator {
  <T extends (...args: never[]) => unknown>(method: T & OneInput<T>, context: ClassMethodDecoratorContext): void;
  <T extends (...args: never[]) => unknown>(
    target: object,
    key: string | symbol,
    descriptor: TypedPropertyDescriptor<T> & OneInput<T>,
  ): void;
}

/** A step by its name, typed by its schemas where they are given: `remoteStep({ name: "charge", input: z.object({ … }) })`. */
export function remoteStep<Input = unknown, Output = unknown>(ref: RemoteStepDetails<Input, Output>): RemoteStep<Input, Output> {
  checkOptions<StepDetails>("remoteStep()", ref as StepDetails, detailNames);
  checkName("step", ref.name);
  attempts("remoteStep()", ref);
  for (const schema of [ref.input, ref.output]) checkSchema("remoteStep()", schema);
  return ref;
}

interface Registered {
  readonly body: (input: never) => unknown;
  readonly key: string | symbol;
  readonly details: StepDetails;
  readonly of: object;
}

/** The steps that an engine can run by reference, by name. */
export class StepTable {
  readonly #steps = new Map<string, Registered>();

  /** All methods with `@Step` of an instance, or none where one of them cannot be; says how many there are. */
  add(instance: object): number {
    const found = new Map<string, Registered>();
    for (const [key, method] of methodsOf(instance)) {
      const stamp = (method as { readonly [details]?: Stamped })[details];
      if (stamp === undefined) continue;
      const name = (stamp.name ??= nameIn(ownerOf(instance, key), String(key)));
      const known = found.get(name) ?? this.#steps.get(name);
      if (known && (known.of !== instance || known.key !== key)) throw twice(name, known, { of: instance, key });
      found.set(name, { body: method.bind(instance) as Registered["body"], key, details: stamp.details, of: instance });
    }
    for (const [name, registered] of found) this.#steps.set(name, registered);
    return found.size;
  }

  /** What runs `ref`. Where it is not registered here the run is to wait for it: `step_not_registered`. */
  definition(ref: unknown, own: Attempts): StepDefinition {
    const name = checkName("step", stepName(ref));
    const known = this.#steps.get(name);
    if (!known) {
      const message = `Step "${name}" is not registered with this engine. Give an instance with a method @Step({ name: "${name}" }) to engine.registerSteps(), or, in a Nest app, make its class a provider.`;
      throw new StepNotRegisteredError(message, { details: { step: name } });
    }
    const remote: Partial<RemoteStep> = typeof ref === "object" ? (ref as RemoteStep) : {};
    // One schema on both sides judges once: what it makes of a value it may not take again.
    const ins = new Set([remote.input, known.details.input]);
    const outs = new Set([known.details.output, remote.output]);
    const body = async (given: unknown): Promise<unknown> => {
      const fitting = await through(ins, given, `The input of step "${name}"`);
      return through(outs, await known.body(fitting as never), `The output of step "${name}"`);
    };
    const said = { ...attempts("@Step()", known.details), ...attempts("remoteStep()", remote), ...own };
    return { name, body, options: stepOptions(said) };
  }
}

function twice(name: string, first: Pick<Registered, "of" | "key">, second: Pick<Registered, "of" | "key">): RingbackError {
  const [one, other] = [first.of.constructor.name, second.of.constructor.name];
  const { key } = second;
  const who =
    first.of === second.of
      ? `methods "${String(first.key)}" and "${String(key)}" of ${one}. Give each a name of its own, by @Step({ name }).`
      : first.key !== key || (first.of as never)[key] !== (second.of as never)[key]
        ? `one of ${one}, one of ${other}. Give each a name of its own, by @Step({ name }).`
        : one === other
          ? `two instances of ${one} have it, and a reference to the method does not say which. Register one.`
          : `${one} and ${other} inherit one method, and a reference to it does not say whose. Override it in each, with @Step({ name }).`;
  return new RingbackError("duplicate_name", `Two steps are called "${name}": ${who}`, { details: { kind: "step", name } });
}

/** A schema's refusal is no trouble that passes: the step fails at once. */
async function through(schemas: Iterable<StandardSchema<unknown, unknown> | undefined>, value: unknown, what: string): Promise<unknown> {
  let fitting = value;
  for (const schema of schemas) {
    if (schema === undefined) continue;
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
  const stamp = (ref as { readonly [details]?: Stamped } | null | undefined)?.[details];
  if (stamp?.name != null) return stamp.name;
  const { name } = (ref ?? {}) as { readonly name?: unknown };
  if (typeof ref === "object" && typeof name === "string") return name;
  const called = typeof ref === "function" ? ref.name || "an anonymous function" : kindOf(ref);
  const what =
    stamp !== undefined
      ? `${called}, of whose class there is no instance yet`
      : typeof ref === "function"
        ? `${called}, which has no @Step()`
        : called;
  throw badArgument("step", ref, `ctx.step() takes a name and a function, or a method with @Step() and its input; got ${what}.`);
}

/** Methods of an instance's classes, the nearest first. */
function methodsOf(instance: object): Map<string | symbol, Method> {
  const found = new Map<string | symbol, Method>();
  for (
    let at = Object.getPrototypeOf(instance) as object | null;
    at && at !== Object.prototype;
    at = Object.getPrototypeOf(at) as object | null
  )
    for (const key of Reflect.ownKeys(at)) {
      const { value } = Object.getOwnPropertyDescriptor(at, key) as PropertyDescriptor;
      if (typeof value === "function" && !found.has(key)) found.set(key, value as Method);
    }
  return found;
}

/** What was said of a step's attempts: in one word for each thing, and looked at, so that a slip is told where it was made. */
export interface Attempts extends StepOptions {
  readonly growth?: "exp" | "fixed";
}

export function attempts(call: string, given: CtxStepOptions): Attempts {
  const { backoff: word } = given;
  const growth = word === "exp" || word === "fixed" ? word : undefined;
  const maxRetries = one(call, given, "maxRetries", "retries");
  const backoff = growth === undefined ? one(call, given, "backoff", "backoffMs") : given.backoffMs;
  const maxBackoff = one(call, given, "maxBackoff", "backoffMaxMs");
  const timeout = one(call, given, "timeout", "timeoutMs");
  if (maxRetries !== undefined) checkMaxRetries(call, maxRetries);
  for (const [name, span] of Object.entries({ backoff, maxBackoff, timeout })) if (span !== undefined) parseDuration(span, name);
  return {
    ...(growth && { growth }),
    ...(maxRetries === undefined ? {} : { maxRetries }),
    ...(backoff === undefined ? {} : { backoff }),
    ...(maxBackoff === undefined ? {} : { maxBackoff }),
    ...(timeout === undefined ? {} : { timeout }),
  };
}

/** The engine's word, or the other one for the same. */
function one<K extends keyof CtxStepOptions, L extends keyof CtxStepOptions>(
  call: string,
  given: CtxStepOptions,
  word: K,
  other: L,
): CtxStepOptions[K] | CtxStepOptions[L] {
  if (given[word] === undefined || given[other] === undefined) return given[word] ?? given[other];
  throw badArgument(other, given[other], `${call} takes ${word} or ${other}, not both: they are two words for one thing.`);
}

/** In the engine's words: a delay that does not grow is its own longest. */
export function stepOptions({ growth, ...said }: Attempts): StepOptions {
  if (growth !== "fixed") return said;
  const { backoff = "1s" } = said;
  return { ...said, backoff, maxBackoff: backoff };
}
