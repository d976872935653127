// The memory store's transaction member: `apply(state, now, command)`. Deterministic; reads no clock; touches only the state it is given,
// and that only when the command is not refused. It is the oracle for the other stores.

import { claimed, hasEnded, isRunnable, looked, mayClaim, mayLook, mayWrite, settle } from "../../core/run-row.ts";
import type {
  Beat,
  Claim,
  ClaimOutcome,
  Command,
  Decide,
  DecideOutcome,
  DoneOutcome,
  Look,
  LookOutcome,
  Notice,
  OutcomeOf,
  Park,
  ParkOutcome,
  Release,
  RememberKey,
  RememberKeyOutcome,
} from "../port.ts";
import { append, startRun } from "./append.ts";
import { cancel, deliver, fire } from "./deliver.ts";
import { hold } from "./held.ts";
import { deleteRun, purge } from "./purge.ts";
import { write } from "./stream.ts";
import { Change, isDead, type MemoryState, runRow } from "./state.ts";

export function apply<C extends Command>(
  state: MemoryState,
  now: number,
  command: C,
): { readonly outcome: OutcomeOf<C>; readonly notices: readonly Notice[] } {
  const change = new Change(state, now);
  try {
    return { outcome: run(change, command) as OutcomeOf<C>, notices: change.notices };
  } catch (error) {
    change.undo();
    throw error;
  }
}

function run(change: Change, command: Command): OutcomeOf<Command> {
  switch (command.op) {
    case "start":
      return startRun(change, command, change.state.runById.get(command.parent ?? ""));
    case "deliver":
      return deliver(change, command);
    case "append":
      return append(change, command);
    case "write":
      return write(change, command);
    case "park":
      return park(change, command);
    case "fire":
      return fire(change, command);
    case "cancel":
      return cancel(change, command);
    case "claim":
      return claim(change, command);
    case "look":
      return look(change, command);
    case "release":
      return release(change, command);
    case "beat":
      return beat(change, command);
    case "decide":
      return decide(change, command);
    case "hold":
      return hold(change, command);
    case "delete":
      return deleteRun(change, command);
    case "purge":
      return purge(change, command);
    case "remember_key":
      return rememberKey(change, command);
    default:
      return unknownOp(command);
  }
}

function unknownOp(command: never): never {
  throw new TypeError(`There is no store command "${String((command as { op?: unknown }).op)}".`);
}

function park(change: Change, command: Park): ParkOutcome {
  const stored = change.state.runs.get(command.run);
  if (stored === undefined || !mayWrite(stored.progress, command.fence)) return { type: "fenced" };
  change.setProgress(command.run, settle(stored.progress, command.seen));
  return { type: "parked" };
}

/** The claimer must live, or it could take a run and be dead to everyone at once. */
function claim(change: Change, command: Claim): ClaimOutcome {
  const { state, now } = change;
  const stored = state.runs.get(command.run);
  if (stored === undefined) return { type: "refused", row: null };
  const dead = (worker: string): boolean => isDead(state, worker, command.worker, now);
  if (dead(command.worker) || !mayClaim(stored.progress, command.worker, dead)) return { type: "refused", row: runRow(stored) };
  change.setProgress(command.run, claimed(stored.progress, command.worker));
  return { type: "claimed", row: runRow(state.runs.get(command.run)!) };
}

function look(change: Change, { run, isOver }: Look): LookOutcome {
  const stored = change.state.runs.get(run);
  if (stored === undefined || hasEnded(stored.progress) || (!isOver && !mayLook(stored.progress))) return { type: "refused" };
  change.setProgress(run, looked(stored.progress, isOver));
  return { type: "looked" };
}

/** Runs that another worker holds meanwhile, or that have ended, are not the caller's to give back. */
function release(change: Change, command: Release): DoneOutcome {
  const runs = command.runs ?? [...change.state.runs.keys()];
  for (const run of runs) {
    const stored = change.state.runs.get(run);
    if (stored === undefined || hasEnded(stored.progress) || stored.progress.worker !== command.worker) continue;
    const progress = { ...stored.progress, worker: null };
    change.setProgress(run, progress);
    if (isRunnable(progress)) change.notices.push({ type: "woken", run, worker: null, seq: progress.input });
  }
  return { type: "done" };
}

function beat(change: Change, command: Beat): DoneOutcome {
  change.set(change.state.leases, command.worker, change.now + command.leaseMs);
  return { type: "done" };
}

/** The first decision stands; a later one learns of it. */
function decide(change: Change, command: Decide): DecideOutcome {
  const row = change.state.answers.get(command.delivery);
  if (row === undefined) return { type: "unknown" };
  if (row.answer !== null) return { type: "already", row };
  change.set(change.state.answers, row.delivery, { ...row, answer: command.answer, by: command.by });
  change.notices.push({ type: "decided", delivery: row.delivery });
  return { type: "decided" };
}

function rememberKey(change: Change, command: RememberKey): RememberKeyOutcome {
  const known = change.state.fingerprints.get(command.kid);
  if (known !== undefined) return { type: known === command.fingerprint ? "done" : "differs" };
  change.set(change.state.fingerprints, command.kid, command.fingerprint);
  return { type: "done" };
}
