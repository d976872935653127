// Whose a custom token is: an open hook's, that of one which has reserved it, or a run's that was started with it (P4, P12, P13).

import { hasEnded, hookState, isReserved } from "../../core/run-row.ts";
import type { RunNumber } from "../port.ts";
import type { Tables } from "./table.ts";

/** In place of a hook's position: the run has the token, and has not opened it yet. */
export const unopened = 0;

const placeOf = "select run, position from tokens where token = ?";

/** The run whose token it is, so that `run` cannot have it: by an open hook, which may be its own, or as another's. */
export function holderOf(tables: Tables, token: string, run: RunNumber | null, now: number): RunNumber | null {
  const place = tables.row(placeOf, token) as [number, number] | undefined;
  if (place === undefined) return null;
  const [owner, position] = place;
  if (position === unopened) return owner !== run && isGoingOn(tables, owner) ? owner : null;
  const [mark, progress] = [tables.mark(owner, position), tables.held(owner)];
  if (mark === null || progress === null) return null;
  if (hookState(mark, progress, now).type === "open") return owner;
  return owner !== run && isKept(tables, place, now) ? owner : null;
}

/** The run that was started with the token, while it may still open it. */
export function claimant(tables: Tables, token: string): RunNumber | null {
  const [run, position] = (tables.row(placeOf, token) ?? []) as [number?, number?];
  return position === unopened && isGoingOn(tables, run!) ? run! : null;
}

/** The token that the run was started with, while it has not opened it. */
export function claimOf(tables: Tables, run: RunNumber): string | null {
  const [first] = tables.row("select first from origins where run = ?", run) as [number];
  const started = tables.event(first);
  const token = started?.kind === "run_started" ? started.token : undefined;
  const [owner, position] = token === undefined ? [] : (tables.row(placeOf, token) ?? []);
  return owner === run && position === unopened ? token! : null;
}

/** Whether the hook there keeps its token for its run (P12). */
export function isKept(tables: Tables, [run, position]: readonly [RunNumber, number], now: number): boolean {
  const facts = tables.facts({ run, position });
  return facts !== null && isReserved(facts.created, tables.mark(run, position)!, now);
}

function isGoingOn(tables: Tables, run: RunNumber): boolean {
  const progress = tables.held(run);
  return progress !== null && !hasEnded(progress) && progress.cancelRequestedAt === null;
}
