// Signals that workflow code gives to steps: how an abort reaches the bodies that run.
//
// AB1. Where an abort reaches steps that are not over it is one output event, with the steps and the places in their input; else nothing is
//      recorded, for then it concerns the code alone, which does the same again on replay.
// AB2. A signal is not part of a journal; only an aborted one is a value like others. One that may still be aborted goes into the input of
//      a step and nowhere else, since nothing else is told of the abort.

import { whenSettled } from "./reader.ts";
import type { Run } from "./run.ts";
import { isAllowed } from "./turn.ts";

/** A signal as it is stored: its place among those of its value that may be aborted later, or why it is. */
export type SignalData = { readonly place: number } | { readonly reason: unknown };

/** Where a signal went. */
export type Given = readonly [position: number, place: number];

/** Remembers, while the step at `position` is not over, that it was given these. */
export function giveSignals(run: Run, position: number, signals: readonly AbortSignal[], outcome: Promise<unknown>): void {
  for (const [place, signal] of signals.entries()) {
    const given: Given = [position, place];
    if (signal.aborted)
      reach(run, signal, [given]); // while the bodies of other values in the input were read
    else give(run, signal, given, outcome);
  }
}

function give(run: Run, signal: AbortSignal, given: Given, outcome: Promise<unknown>): void {
  const all = (run.signals ??= new WeakMap());
  const mine = all.get(signal) ?? new Set<Given>();
  const told = (): void => reach(run, signal, [...mine]);
  if (mine.size === 0) {
    all.set(signal, mine);
    signal.addEventListener("abort", told, { once: true });
  }
  mine.add(given);
  // A signal that many steps share holds those that are not over, and no others.
  const leave = (): void => void mine.delete(given);
  whenSettled(outcome, leave, leave);
}

/** In a listener: what throws here would end the process. */
function reach(run: Run, signal: AbortSignal, steps: readonly Given[]): void {
  if (steps.length === 0 || !isAllowed("controller.abort()")) return;
  const reason = run.host.serialiseThrown(signal.reason, "the reason of abort()");
  try {
    const { position, turn, name, digest, recorded } = run.ask("signal_aborted", "", reason);
    if (!recorded) run.asked.push({ kind: "signal_aborted", turn, position, name, digest, steps, reason });
  } catch {
    // A fault says it of the run; a journal that is full, the next call.
  }
}
