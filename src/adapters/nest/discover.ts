// Which of an app's providers have code of runs: classes with `@Workflow`, and methods with `@Step`. A run outlives requests, and calls one
// instance for as long as the app lives.

import type { DiscoveryService } from "@nestjs/core";
import { badArgument } from "../../core/argument.ts";

type Wrapper = ReturnType<DiscoveryService["getProviders"]>[number];
export type Class = abstract new (...args: never[]) => object;

/** What the decorators leave, whichever copy of the package they are of. */
const workflowMark: unique symbol = Symbol.for("ringback/context-workflow") as never;
const stepMark: unique symbol = Symbol.for("ringback/context-step") as never;

export interface Discovered {
  readonly workflows: readonly object[];
  readonly steps: readonly object[];
}

/**
 * The instances that runs are to call, and of the classes that are `listed` those that no provider has: the engine makes these. Throws
 * `bad_argument` where there is none for all of them, or more than one.
 */
export function discover(discovery: DiscoveryService, listed: readonly Class[]): Discovered {
  const [workflows, steps] = [new Map<Class, Wrapper>(), new Map<Class, Wrapper>()];
  for (const wrapper of wrappersOf(discovery)) {
    const found = classOf(wrapper);
    if (found === null || !hasCode(found)) continue;
    if (wrapper.isTransient || !wrapper.isDependencyTreeStatic()) throw shortLived(found, wrapper);
    const into = isWorkflow(found) ? workflows : steps;
    const first = into.get(found);
    if (first && first.instance !== wrapper.instance) throw providedTwice(found, first, wrapper);
    into.set(found, wrapper);
  }
  const unprovided = listed.filter((each) => !workflows.has(each));
  for (const each of unprovided) if (needsContainer(each)) throw unmade(each);
  return { workflows: [...unprovided, ...instancesOf(workflows)], steps: instancesOf(steps) };
}

/** Before anything is made: where the types of what a constructor takes are missing, Nest would pass nothing. */
export function checkConstructors(discovery: DiscoveryService): void {
  for (const { metatype, inject } of wrappersOf(discovery)) {
    if (typeof metatype !== "function" || inject || !hasCode(metatype as Class)) continue;
    const known = [...parametersOf("design:paramtypes", metatype), ...parametersOf("self:paramtypes", metatype)];
    if (metatype.length > known.length) throw untyped(metatype as Class);
  }
}

function wrappersOf(discovery: DiscoveryService): Wrapper[] {
  return [...discovery.getProviders(), ...discovery.getControllers()].filter(({ isAlias }) => !isAlias);
}

/** Of what a factory made, or was given as a value, the instance says it. No getter is called on the way. */
function classOf({ metatype, inject, instance }: Wrapper): Class | null {
  if (typeof metatype === "function" && !inject) return metatype as Class;
  if (typeof instance !== "object" || instance === null) return null;
  const prototype = Object.getPrototypeOf(instance) as object | null;
  const { value } = (prototype && Object.getOwnPropertyDescriptor(prototype, "constructor")) ?? {};
  return typeof value === "function" ? (value as Class) : null;
}

/** A class that runs call, and no function workflow. */
export function isWorkflow(found: unknown): boolean {
  return typeof found === "function" && Object.hasOwn(found, workflowMark);
}

/** Whether a class takes what Nest alone can give to it, in its constructor or in properties. */
function needsContainer(found: Class): boolean {
  const keys = ["design:paramtypes", "self:paramtypes", "self:properties_metadata"];
  return found.length > 0 || keys.some((key) => parametersOf(key, found).length > 0);
}

function hasCode(found: Class): boolean {
  if (isWorkflow(found)) return true;
  for (let at = found.prototype as object | null; at && at !== Object.prototype; at = Object.getPrototypeOf(at) as object | null)
    for (const { value } of Object.values(Object.getOwnPropertyDescriptors(at)))
      if (typeof value === "function" && Object.hasOwn(value, stepMark)) return true;
  return false;
}

function parametersOf(key: string, metatype: object): readonly unknown[] {
  const { getMetadata } = Reflect as unknown as { getMetadata(key: string, of: object): readonly unknown[] | undefined };
  return getMetadata(key, metatype) ?? [];
}

function instancesOf(found: ReadonlyMap<Class, Wrapper>): object[] {
  return [...found.values()].map(({ instance }) => instance as object);
}

function nameOf(found: Class): string {
  return `Class ${found.name}, which has ${isWorkflow(found) ? "@Workflow()" : "@Step() methods"},`;
}

function shortLived(found: Class, { isTransient }: Wrapper): Error {
  const scope = isTransient ? "transient" : "request-scoped, by itself or by what it injects";
  const message = `${nameOf(found)} is ${scope}. A run outlives requests and calls one instance: give the class the default scope, and take what belongs to a request as the run's input.`;
  return badArgument("provider", found, message);
}

function providedTwice(found: Class, first: Wrapper, second: Wrapper): Error {
  const message = `${nameOf(found)} is provided twice, by ${first.host?.name} and ${second.host?.name}: runs could call either. Provide it in one module, and export it from there.`;
  return badArgument("provider", found, message);
}

function unmade(found: Class): Error {
  const message = `${nameOf(found)} is listed in DurableModule's workflows, and takes what only Nest's container can give to it: make it a provider of a module. It need not be listed then.`;
  return badArgument("workflows", found, message);
}

function untyped(found: Class): Error {
  const message = `${nameOf(found)} takes ${found.length} in its constructor, and what they are is not known: Nest would pass undefined. Compile it by tsc or SWC with "emitDecoratorMetadata" (esbuild and tsx leave that out) and give it @Injectable() or @Workflow(), or write @Inject() at each parameter.`;
  return badArgument("provider", found, message);
}
