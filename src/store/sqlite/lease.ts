// Who may advance a run, and what else is decided by one row: parking, manual answers, key fingerprints.

import { claimed, hasEnded, isRunnable, looked, mayClaim, mayLook, mayWrite, rowOf, settle } from "../../core/run-row.ts";
import type {
  Beat,
  Claim,
  ClaimOutcome,
  Decide,
  DecideOutcome,
  DoneOutcome,
  Look,
  LookOutcome,
  Park,
  ParkOutcome,
  Release,
  RememberKey,
  RememberKeyOutcome,
} from "../port.ts";
import type { Work } from "./work.ts";

/** Fenced like an append, or a worker that was taken over could put a woken run to sleep. */
export function park(work: Work, command: Park): ParkOutcome {
  const progress = work.tables.held(command.run);
  if (progress === null || !mayWrite(progress, command.fence)) return { type: "fenced" };
  work.tables.writeProgress(command.run, settle(progress, command.seen));
  return { type: "parked" };
}

export function claim(work: Work, command: Claim): ClaimOutcome {
  const { tables } = work;
  const { run, worker } = command;
  const progress = tables.held(run);
  const origin = tables.origin("run", run);
  if (progress === null || origin === null) return { type: "refused", row: null };
  // SQ2: every other worker is a dead one.
  if (!mayClaim(progress, worker, () => true)) return { type: "refused", row: rowOf(origin, progress) };
  const after = claimed(progress, worker);
  tables.writeProgress(run, after);
  return { type: "claimed", row: rowOf(origin, after) };
}

export function look({ tables }: Work, { run, isOver }: Look): LookOutcome {
  const progress = tables.held(run);
  if (progress === null || hasEnded(progress) || (!isOver && !mayLook(progress))) return { type: "refused" };
  tables.writeProgress(run, looked(progress, isOver));
  return { type: "looked" };
}

/** Runs that another worker holds meanwhile, or that have ended, are not the caller's to give back. */
export function release(work: Work, command: Release): DoneOutcome {
  const { tables } = work;
  const worker = tables.workerNumber(command.worker);
  if (worker === null) return { type: "done" };
  const held = command.runs ?? tables.rows("select run from runs where worker = ?", worker).map(([run]) => run as number);
  for (const run of held) {
    const progress = tables.held(run);
    if (progress === null || progress.worker !== command.worker) continue;
    tables.writeProgress(run, { ...progress, worker: null });
    if (isRunnable(progress)) work.notices.push({ type: "woken", run, worker: null, seq: progress.input });
  }
  return { type: "done" };
}

/** The owner lock stands in for leases. */
export function beat(_work: Work, _command: Beat): DoneOutcome {
  return { type: "done" };
}

/** The first decision stands; a later one learns of it. */
export function decide(work: Work, command: Decide): DecideOutcome {
  const { tables } = work;
  const { delivery, answer, by } = command;
  const row = tables.answer(delivery);
  if (row === null) return { type: "unknown" };
  if (row.answer !== null) return { type: "already", row };
  tables.write(
    "update answers set decided_by = ?, status = ?, headers = ?, body = ? where delivery = ?",
    by,
    answer.status,
    JSON.stringify(answer.headers),
    answer.body,
    delivery,
  );
  work.notices.push({ type: "decided", delivery });
  return { type: "decided" };
}

export function rememberKey(work: Work, command: RememberKey): RememberKeyOutcome {
  const { kid, fingerprint } = command;
  const known = work.tables.row("select fingerprint from fingerprints where kid = ?", kid);
  if (known !== undefined) return { type: known[0] === fingerprint ? "done" : "differs" };
  work.tables.write("insert into fingerprints values (?, ?)", kid, fingerprint);
  return { type: "done" };
}
