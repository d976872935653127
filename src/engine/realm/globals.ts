// The globals as workflow code sees them. Outside a turn each is the native one behind one variable check.

import crypto from "node:crypto";
import { syncBuiltinESMExports } from "node:module";
import { performance } from "node:perf_hooks";
import { patchedPromise } from "../../core/combinator.ts";
import { RingbackError } from "../../core/errors.ts";
import { patchListeners } from "./listener.ts";
import { type Inside, patch } from "./patch.ts";
import { patchConsole, patchWatched } from "./watch.ts";

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

/** Patches once per process; `inside` answers with the run whose code is calling, within its own turn. */
export function patchGlobals(inside: Inside): void {
  patchTime(inside);
  patchChance(inside);
  patchWatched(inside);
  patchConsole(inside);
  patchListeners(inside);
  patchSignals(inside);
  Object.assign(Promise, patchedPromise(Promise));
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
  patch(RunDate, "now", function runNow() {
    const run = inside();
    return run ? run.time : now();
  });
  patch(Native.prototype, "constructor", RunDate);
  patch(globalThis, "Date", RunDate);
  const measured = performance.now;
  patch(performance, "now", function runNow() {
    const run = inside();
    return run ? run.time - run.identity.createdAt : measured.call(performance);
  });
}

function patchChance(inside: Inside): void {
  const random = Math.random;
  patch(Math, "random", function runRandom() {
    const run = inside();
    return run?.random ? run.random.next() : random();
  });
  const web = Object.getPrototypeOf(globalThis.crypto) as typeof globalThis.crypto;
  const uuid = web.randomUUID;
  patch(web, "randomUUID", function runUuid(this: typeof globalThis.crypto) {
    const run = inside();
    return run?.random ? run.random.uuid() : uuid.call(this);
  });
  forbid(web, "getRandomValues", "crypto.getRandomValues", inside);
  for (const name of ["randomBytes", "pseudoRandomBytes", "randomFill", "randomFillSync", "randomInt", "randomUUID"])
    forbid(crypto, name, `node:crypto ${name}`, inside);
  syncBuiltinESMExports();
}

/** Its timer runs outside every turn. */
function patchSignals(inside: Inside): void {
  const timeout = AbortSignal.timeout;
  patch(AbortSignal, "timeout", function guarded(ms: number) {
    if (!inside()) return timeout.call(AbortSignal, ms);
    const call = "AbortSignal.timeout";
    const message = `${call} does not work in workflow code: no replay could abort at the same place. Make an AbortController, and abort it when a sleep() is over: sleep("10s").then(() => controller.abort()).`;
    throw new RingbackError("forbidden_in_workflow", message, { details: { call } });
  });
}

const filling = new Set(["getRandomValues", "randomFillSync"]);

/**
 * Secret-grade chance cannot be replayed, and a seeded stand-in would leak into pools that the whole process shares. A buffer is filled
 * before the call throws: some libraries keep the one they have just made for a pool, filled or not.
 */
function forbid(target: object, name: string, call: string, inside: Inside): void {
  const original = Reflect.get(target, name) as (...args: unknown[]) => unknown;
  patch(target, name, function guarded(this: unknown, ...args: unknown[]) {
    if (inside()) {
      if (filling.has(name)) original.apply(this, args);
      const message = `${call} does not work in workflow code: a replay could not repeat it. Use uuid() or random() from ringback for public ids, and a step for secrets.`;
      throw new RingbackError("forbidden_in_workflow", message, { details: { call } });
    }
    return original.apply(this, args);
  });
}
