// What carries code out of its turn is remembered, to be named in the error; what it prints on a replay is not printed again.

import { syncBuiltinESMExports } from "node:module";
import filesApart from "node:fs/promises";
import timers from "node:timers";
import timersApart from "node:timers/promises";
import { type Inside, patch } from "./patch.ts";

/** Timers, `fetch` and files work as ever, but what comes after them is outside the run. */
export function patchWatched(inside: Inside): void {
  const clocks = ["setTimeout", "setInterval", "setImmediate"];
  watch(globalThis, [...clocks, "fetch"], inside);
  watch(timers, clocks, inside);
  watch(timersApart, clocks, inside);
  watch(filesApart, Object.keys(filesApart), inside, "fs.");
  syncBuiltinESMExports();
}

function watch(target: object, names: readonly string[], inside: Inside, prefix = ""): void {
  for (const name of names) {
    const original: unknown = Reflect.get(target, name);
    if (typeof original !== "function") continue;
    const watched = function (this: unknown, ...args: unknown[]): unknown {
      inside()?.suspected(prefix + name);
      return original.apply(this, args);
    };
    for (const key of Reflect.ownKeys(original)) {
      if (key !== "prototype") Object.defineProperty(watched, key, Object.getOwnPropertyDescriptor(original, key) as PropertyDescriptor);
    }
    patch(target, name, watched);
  }
}

/** All that `console` prints with; counters and timers of its own go on. */
export function patchConsole(inside: Inside): void {
  for (const [name, original] of Object.entries(console)) {
    if (typeof original !== "function" || name === "Console" || name === "context" || name === "createTask") continue;
    patch(console, name, function print(this: Console, ...args: unknown[]) {
      return inside()?.isRepeating ? undefined : original.apply(this, args);
    });
  }
}
