// Turns, and the ticks that others queue during one.
//
// M1. A turn is the whole of one macrotask: it begins as the first thing in its own `setImmediate` and ends in a tick queued from a
//     microtask. Ticks queued by others meanwhile are held back, bound to their caller's context, and queued again behind its end.

import { AsyncResource } from "node:async_hooks";
import { RingbackError } from "../../core/errors.ts";
import type { Run } from "../../core/run.ts";
import { enter, leave } from "../../core/turn.ts";
import { inRun } from "./context.ts";
import { native } from "./globals.ts";
import { ignoreStrays, takeStrays } from "./stray.ts";
import { textOf } from "../../core/thrown.ts";

type Tick = Parameters<typeof process.nextTick>;

const queue = process.nextTick;
const later = setImmediate;
let held: Tick[] | null = null;
/** Macrotasks with turns that are queued and have not begun. */
let queued = 0;

/** Takes a run's turn as a macrotask of its own, then calls `done`, outside any turn. `done` must not begin another turn itself. */
export function takeTurn(run: Run, body: (run: Run) => void, done: () => void): void {
  queued++;
  later(() => {
    queued--;
    runTurn(run, body, () => {
      done();
      endMacrotask();
    });
  });
}

/**
 * Takes turns of one run back to back in one macrotask, while `next` says there is one, for at most `sliceMs`; then `done`. A turn in
 * which ticks were held back ends the slice: those ticks belong between the turns.
 */
export function takeTurns(run: Run, next: () => ((run: Run) => void) | null, sliceMs: number, done: (isDrained: boolean) => void): void {
  queued++;
  later(() => {
    queued--;
    const until = native.performanceNow() + sliceMs;
    const step = (): void => {
      const body = next();
      if (!body) return finish(true);
      runTurn(run, body, (hadTicks) => (hadTicks || native.performanceNow() > until ? finish(false) : queue(step)));
    };
    const finish = (isDrained: boolean): void => {
      done(isDrained);
      endMacrotask();
    };
    step();
  });
}

function runTurn(run: Run, body: (run: Run) => void, done: (hadTicks: boolean) => void): void {
  enter(run);
  held = [];
  takeStrays(run);
  try {
    inRun(run, body);
  } catch (error) {
    run.misuse(asMisuse(run, error));
  }
  queueMicrotask(() =>
    queue(() => {
      const ticks = held as Tick[];
      held = null;
      leave();
      for (const tick of ticks) queue(...tick);
      // Rejections are told when this macrotask is over, and those of the turn that ends a run are still the run's.
      if (run.isOver) later(() => done(ticks.length > 0));
      else done(ticks.length > 0);
    }),
  );
}

/** The next turn, if there is one, would end what this one began. */
function endMacrotask(): void {
  if (queued === 0) later(ignoreStrays);
}

/** What set a run aside, where its code had no part in it. */
export function asMisuse(run: Run, error: unknown): RingbackError {
  if (RingbackError.is(error)) return error;
  const { id, workflow } = run.identity;
  const message = `Run ${id} (${workflow}) could not be advanced, by no fault of its code: ${textOf(error)}. It is kept as it is. Please report this, with the journal where you can.`;
  return new RingbackError("internal_error", message, { details: { run: id, workflow }, cause: error });
}

/** Puts `process.nextTick` under M1. It stays under others' wrappers, and where vitest puts Node's own back, which it saw before. */
export function holdTicks(): void {
  const hold = function nextTick(callback: (...args: unknown[]) => void, ...args: unknown[]): void {
    if (held === null || typeof callback !== "function") queue(callback, ...args);
    else held.push([AsyncResource.bind(callback), ...args] as unknown as Tick);
  } as typeof process.nextTick;
  let shown = hold;
  const set = (value: typeof process.nextTick): void => {
    shown = value === queue ? hold : value;
  };
  Object.defineProperty(process, "nextTick", { configurable: true, enumerable: true, get: () => shown, set });
}
