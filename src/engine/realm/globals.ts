// The globals as workflow code sees them. Outside a turn each is the native one behind one variable check.

import crypto from "node:crypto";
import { syncBuiltinESMExports } from "node:module";
import { performance } from "node:perf_hooks";
import { RingbackError } from "../../core/errors.ts";
import { callSite, type Run } from "../../core/run.ts";

/** The natives, as they were before: for the engine itself, which also works inside turns. */
export const native: {
  readonly Date: DateConstructor;
  readonly randomBytes: (size: number) => Buffer;
  readonly performanceNow: () => number;
} = {
  Date: globalThis.Date,
  randomBytes: crypto.randomBytes,
  performanceNow: performance.now.bind(performance),
};

type Inside = () => Run | null;

/** Patches once per process; `inside` answers with the run whose code is calling, within its own turn. */
export function patchGlobals(inside: Inside): void {
  patchTime(inside);
  patchChance(inside);
  patchWatched(inside);
  patchConsole(inside);
}

function patchTime(inside: Inside): void {
  const Native = native.Date;
  function RunDate(this: unknown, ...args: unknown[]): unknown {
    const run = args.length === 0 || new.target === undefined ? inside() : null;
    if (new.target === undefined) return run ? new Native(run.time).toString() : Native();
    const own = new.target === (RunDate as unknown) ? Native : new.target;
    return Reflect.construct(Native, run ? [run.time] : args, own);
  }
  for (const key of Reflect.ownKeys(Native)) {
    Object.defineProperty(RunDate, key, Object.getOwnPropertyDescriptor(Native, key) as PropertyDescriptor);
  }
  const now = Native.now;
  set(RunDate, "now", function runNow() {
    const run = inside();
    return run ? run.time : now();
  });
  set(Native.prototype, "constructor", RunDate);
  set(globalThis, "Date", RunDate);
  const measured = performance.now;
  set(performance, "now", function runNow() {
    const run = inside();
    return run ? run.time - run.identity.createdAt : measured.call(performance);
  });
}

function patchChance(inside: Inside): void {
  const random = Math.random;
  set(Math, "random", function runRandom() {
    const run = inside();
    return run?.random ? run.random.next() : random();
  });
  const web = Object.getPrototypeOf(globalThis.crypto) as typeof globalThis.crypto;
  const uuid = web.randomUUID;
  set(web, "randomUUID", function runUuid(this: typeof globalThis.crypto) {
    const run = inside();
    return run?.random ? run.random.uuid() : uuid.call(this);
  });
  forbid(web, "getRandomValues", "crypto.getRandomValues", inside);
  for (const name of ["randomBytes", "randomFill", "randomFillSync", "randomInt", "randomUUID"] as const)
    forbid(crypto, name, `node:crypto ${name}`, inside);
  syncBuiltinESMExports();
}

/** Secret-grade chance cannot be replayed, and a seeded stand-in would leak into pools that the whole process shares. */
function forbid(target: object, name: string, call: string, inside: Inside): void {
  const original = Reflect.get(target, name) as (...args: unknown[]) => unknown;
  set(target, name, function guarded(this: unknown, ...args: unknown[]) {
    if (inside()) {
      const message = `${call} does not work in workflow code: a replay could not repeat it. Use uuid() or random() from ringback for public ids, and a step for secrets.`;
      throw new RingbackError("forbidden_in_workflow", message, { details: { call } });
    }
    return original.apply(this, args);
  });
}

/** Timers and `fetch` work as ever, but what comes after them is outside the run: the first is remembered, to be named in the error. */
function patchWatched(inside: Inside): void {
  for (const name of ["setTimeout", "setInterval", "setImmediate", "fetch"] as const) {
    const original = globalThis[name] as (...args: unknown[]) => unknown;
    const watched = function (this: unknown, ...args: unknown[]): unknown {
      const run = inside();
      if (run && run.suspect === null) run.suspect = `${name} at ${callSite() ?? "an unknown place"}`;
      return original.apply(this, args);
    };
    for (const key of Reflect.ownKeys(original)) {
      const descriptor = Object.getOwnPropertyDescriptor(original, key) as PropertyDescriptor;
      if (key !== "prototype") Object.defineProperty(watched, key, descriptor);
    }
    set(globalThis, name, watched);
  }
}

function patchConsole(inside: Inside): void {
  for (const name of ["log", "info", "warn", "error", "debug", "trace", "dir", "table", "group", "groupEnd"] as const) {
    const original = console[name] as (...args: unknown[]) => unknown;
    set(console, name, function print(this: Console, ...args: unknown[]) {
      if (inside()?.isReplaying) return;
      original.apply(this, args);
    });
  }
}

function set(target: object, name: PropertyKey, value: unknown): void {
  const before = Object.getOwnPropertyDescriptor(target, name);
  Object.defineProperty(target, name, { configurable: true, writable: true, enumerable: before?.enumerable ?? true, value });
  const original = before?.value as { name?: string; length?: number } | undefined;
  if (typeof value === "function" && typeof original === "function") {
    Object.defineProperty(value, "name", { value: (original as { name: string }).name, configurable: true });
  }
}
