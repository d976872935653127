// Rejections, and some errors, that nobody handles.
//
// M4. From the begin of a turn to the next macrotask they are a run's when their context is the run: they are taken before anybody hears
//     of them, and become warnings of the run unless they are handled later. All others keep Node's default.
//
// `process.emit` is where Node asks, once for each. To add and remove listeners at every turn costs a third of all turns, and makes the
// rejections of others pass through them. Bun asks listeners alone, and shows them no context: there, what surfaces is the turn's.

import type { Run } from "../../core/run.ts";
import { textOf } from "../../core/thrown.ts";
import { callingRun } from "./context.ts";
import { patch } from "./patch.ts";

const later = setImmediate;
const isBun = "bun" in process.versions;
const taken = new WeakMap<object, { readonly run: Run; readonly text: string }>();
const forgiven = new WeakSet<object>();
let isTaking = false;
let turnOf: Run | null = null;

export function takeStrays(run: Run): void {
  if (isBun && !isTaking) process.on("unhandledRejection", take).on("rejectionHandled", giveBack);
  isTaking = true;
  turnOf = run;
}

export function ignoreStrays(): void {
  if (isBun) process.off("unhandledRejection", take).off("rejectionHandled", giveBack);
  isTaking = false;
  turnOf = null;
}

/** For an error that the engine throws into a run's code outside its turn: what comes of it, there and then, ends no process. */
export function forgive(error: object, run: Run): void {
  forgiven.add(error);
  if (isTaking) return;
  takeStrays(run);
  later(ignoreStrays);
}

/** Puts `process.emit` under M4. */
export function watchErrors(): void {
  const emit = process.emit as (...event: unknown[]) => boolean;
  patch(process, "emit", function emitOrTake(this: NodeJS.Process, ...event: unknown[]): boolean {
    const [name, what] = event;
    if (name === "unhandledRejection" && isTaking && take(what, event[2] as object)) return true;
    if (name === "rejectionHandled" && giveBack(what as object)) return true;
    if (name === "uncaughtException" && forgiven.has(what as object)) return true;
    return emit.apply(this, event);
  });
}

function take(reason: unknown, promise: object): boolean {
  const run = isBun ? turnOf : callingRun();
  if (!run) return false;
  taken.set(promise, { run, text: run.warn(`Nobody handled a rejection: ${textOf(reason)}`) });
  return true;
}

function giveBack(promise: object): boolean {
  const stray = taken.get(promise);
  if (!stray) return false;
  const { warnings } = stray.run;
  const index = warnings?.indexOf(stray.text) ?? -1;
  if (index >= 0) warnings?.splice(index, 1);
  return true;
}
