// What compiled code calls: each directive function becomes the plain form, under the id that the transform gave it. These functions are for
// the output of the transform alone, and change with it.

import { callStep } from "../../core/call.ts";
import * as core from "../../core/branch.ts";
import { StepNotRegisteredError } from "../../core/errors.ts";
import { checkMaxRetries } from "../../core/step.ts";
import type { StandardSchema, StepDefinition } from "../../core/definition.ts";
import { callingRun, callingStep, durably } from "../../engine/realm.ts";
import { allowReloading as allow, checkName, declareReference, nameSchema, processHooks } from "../../engine/registry.ts";
import { directiveLeftIn, notCompiled } from "../../engine/uncompiled.ts";
import { declareWorkflow } from "../../engine/workflow.ts";

export { registerClass } from "../../engine/registry.ts";

type AnyFunction = (...args: never[]) => unknown;

/** What the transform knows of a workflow. */
export interface CompiledWorkflow {
  /** Where it stands: the module's path and the line. */
  readonly at: string;
  /** A hash of its text. */
  readonly code: string;
  /** Its module, as `callsOf` names it. */
  readonly module: string;
}

/** A function with "use workflow". */
export function workflow<F extends AnyFunction>(id: string, body: F, { at, code, module }: CompiledWorkflow): F {
  checkName("workflow", id);
  const checked = (...args: never[]): Promise<unknown> => {
    checkCalls(module);
    return body(...args) as Promise<unknown>;
  };
  return named(declareWorkflow(id, checked, { codeId: code, site: at }) as unknown as F, body.name);
}

/** A function with "use step" that reads no names of functions around it. */
export function step<F extends AnyFunction>(id: string, body: F): F {
  const call = durable(id, body, (self, args) => ({ body: (...copies: never[]) => body.apply(self as never, copies), input: args }));
  return declareReference(call, { kind: "step", name: id, source: body.toString(), isNested: isInRun() });
}

function isInRun(): boolean {
  return callingRun() !== null || callingStep() !== null;
}

/** A function with "use step" that reads names of functions around it: each durable call gets copies of their values. */
export function stepOf<F extends AnyFunction>(id: string, make: (...values: never[]) => F, values: () => readonly unknown[]): F {
  return closing(id, make, values, isInRun());
}

function closing<F extends AnyFunction>(
  id: string,
  make: (...values: never[]) => F,
  values: () => readonly unknown[],
  isNested: boolean,
): F {
  const plain = function (this: unknown, ...args: never[]): unknown {
    return make(...(values() as never[])).apply(this as never, args);
  };
  const call = durable(id, plain as F, (self, args) => ({
    body: (copies: readonly never[], ...rest: never[]) => make(...copies).apply(self as never, rest),
    input: [values(), ...args],
  }));
  return declareReference(call, {
    kind: "step",
    name: id,
    source: make.toString(),
    isNested,
    closure: values,
    make: (copies) => {
      const closed = copies as readonly unknown[] | undefined;
      if (closed?.length !== make.length) throw changedClosure(id, closed?.length ?? 0, make.length);
      return closing(id, make, () => closed, isNested);
    },
  });
}

/** Code that has changed since: made of the values of before, it would read others, or none. */
function changedClosure(step: string, stored: number, wanted: number): StepNotRegisteredError {
  const message = `A stored value refers to step "${step}", which closed over ${stored} values when it was stored, and closes over ${wanted} in this process: its code was changed. Load the code that stored it, or give the new one a name of its own.`;
  return new StepNotRegisteredError(message, { details: { step } });
}

/** A static method with "use step". */
export function stepMethod(target: object, key: string, id: string): void {
  replace(target, key, (body) => step(id, body));
}

/** A method of instances with "use step": the instance is an argument, so its class must say how it is written. */
export function instanceStep(target: object, key: string, id: string): void {
  replace(target, key, (body) =>
    durable(id, body, (self, args) => ({
      body: (copy: never, ...rest: never[]) => body.apply(copy, rest),
      input: [self, ...args],
    })),
  );
}

/** A static method with "use workflow". */
export function workflowMethod(target: object, key: string, id: string, options: CompiledWorkflow): void {
  replace(target, key, (body) => workflow(id, (body as (...args: never[]) => unknown).bind(target as never), options));
}

/** For a dev server, which loads changed modules again: other code may come under the same id. */
export function allowReloading(): void {
  allow(true);
}

/** A schema that stands where a webhook is made: under its id, every process that has loaded the module can judge by it. */
export function schema<S extends StandardSchema>(id: string, given: S): void {
  processHooks.add({ name: checkName("hook", id), schema: given, site: null });
}

/** The same where the webhook is made. */
export function schemaOf<S extends StandardSchema>(id: string, given: S): S {
  nameSchema(given, id);
  return given;
}

/** A side of a race: a branch in workflow code, elsewhere a plain call. What throws at once is thrown here, before the next side begins. */
export function branch<T>(side: () => PromiseLike<T> | T): PromiseLike<T> | T {
  if (!callingRun() || callingStep()) return side();
  let thrown: { readonly value: unknown } | null = null;
  const begin = (): PromiseLike<T> | T | undefined => {
    try {
      return side();
    } catch (value) {
      thrown = { value };
      return undefined;
    }
  };
  const begun = durably("Promise.race([…])", () => core.branch(begin)) as PromiseLike<T>;
  if (thrown !== null) throw (thrown as { readonly value: unknown }).value;
  return begun;
}

const calls = new Map<string, () => readonly unknown[]>();

/** What the workflows of a module call of what it imports, looked at when one of them runs: all modules are loaded by then. */
export function callsOf(module: string, called: () => readonly unknown[]): void {
  calls.set(module, called);
}

function checkCalls(module: string): void {
  const called = calls.get(module);
  if (!called) return;
  for (const value of called()) {
    const directive = directiveLeftIn(value);
    if (!directive) continue;
    const error = notCompiled(value as { name: string }, directive);
    callingRun()?.misuse(error);
    throw error;
  }
  calls.delete(module);
}

interface StepCall {
  readonly body: StepDefinition["body"];
  readonly input: readonly unknown[];
}

/** What a step's author may set on the function itself. */
interface StepProperties {
  maxRetries?: number;
}

function durable<F extends AnyFunction>(id: string, body: F, callOf: (self: unknown, args: readonly unknown[]) => StepCall): F {
  checkName("step", id);
  const plain = async (self: unknown, args: never[]): Promise<unknown> => body.apply(self as never, args);
  const call = function (this: unknown, ...args: never[]): Promise<unknown> {
    if (callingStep() || !callingRun()) return plain(this, args);
    const { body: recorded, input } = callOf(this, args);
    const { maxRetries } = call as StepProperties;
    const options = maxRetries === undefined ? {} : { maxRetries: checkMaxRetries(id, maxRetries) };
    return durably(`step "${id}"`, (run) => callStep(run, { name: id, body: recorded, options }, input));
  };
  return named(call as unknown as F, body.name);
}

function replace(target: object, key: string, make: (body: AnyFunction) => AnyFunction): void {
  const found = Object.getOwnPropertyDescriptor(target, key) as PropertyDescriptor;
  Object.defineProperty(target, key, { ...found, value: make(found.value as AnyFunction) });
}

function named<F extends AnyFunction>(call: F, name: string): F {
  if (name !== "") Object.defineProperty(call, "name", { value: name, configurable: true });
  return call;
}
