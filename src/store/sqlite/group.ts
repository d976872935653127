// One group of commands as one transaction, an outcome per member (P1).
//
// An error is either the store's (full, locked, broken disk: the group is refused as a whole, nothing is committed) or a member's own.
// Only then is the group played again with a savepoint around each member; what broke once more is that member's outcome.

import type { Command, Notice, Outcome, OutcomeOf, RunNumber } from "../port.ts";
import { append, startRun } from "./append.ts";
import { cancel, deliver, fire } from "./deliver.ts";
import { storeError } from "./error.ts";
import { hold } from "./held.ts";
import { beat, claim, decide, look, park, release, rememberKey } from "./lease.ts";
import { deleteRun, purge } from "./purge.ts";
import { write } from "./stream.ts";
import type { Tables } from "./table.ts";
import { Work } from "./work.ts";

export interface Committed {
  readonly outcomes: readonly Outcome[];
  readonly notices: readonly Notice[];
}

/** Throws only when nothing of the group was committed. */
export function commitGroup(tables: Tables, now: number, group: readonly Command[], store: string): Committed {
  try {
    return transaction(tables, now, (work) => group.map((command) => apply(work, command)));
  } catch (error) {
    if (storeError(error, store) !== null) throw error;
  }
  // Savepoints are not taken at once: two more statements for each member cost as much as the member.
  return transaction(tables, now, (work) => group.map((command) => applyAlone(work, command, store)));
}

/** `immediate`: a transaction that began as a reader cannot always become a writer, and would fail with what it has read. */
function transaction(tables: Tables, now: number, members: (work: Work) => Outcome[]): Committed {
  tables.write("begin immediate");
  try {
    const work = new Work(tables, now);
    const outcomes = members(work);
    tables.write("commit");
    return { outcomes, notices: work.notices };
  } catch (error) {
    rollBack(tables);
    throw error;
  }
}

function rollBack(tables: Tables): void {
  tables.forget();
  try {
    tables.write("rollback");
  } catch {
    // SQLite has rolled back by itself: it does on a full disk and on I/O errors.
  }
}

function applyAlone(work: Work, command: Command, store: string): Outcome {
  try {
    return work.alone(() => apply(work, command));
  } catch (error) {
    if (storeError(error, store) !== null) throw error;
    return { type: "broken", error };
  }
}

function apply(work: Work, command: Command): OutcomeOf<Command> {
  switch (command.op) {
    case "start":
      return startRun(work, command, runOf(work, command.parent));
    case "deliver":
      return deliver(work, command);
    case "append":
      return append(work, command);
    case "write":
      return write(work, command);
    case "park":
      return park(work, command);
    case "fire":
      return fire(work, command);
    case "cancel":
      return cancel(work, command);
    case "claim":
      return claim(work, command);
    case "look":
      return look(work, command);
    case "release":
      return release(work, command);
    case "beat":
      return beat(work, command);
    case "decide":
      return decide(work, command);
    case "hold":
      return hold(work, command);
    case "delete":
      return deleteRun(work, command);
    case "purge":
      return purge(work, command);
    case "remember_key":
      return rememberKey(work, command);
    default:
      return unknownOp(command);
  }
}

function unknownOp(command: never): never {
  throw new TypeError(`There is no store command "${String((command as { op?: unknown }).op)}".`);
}

/** Nothing is looked up where nothing is asked. */
function runOf({ tables }: Work, id: string | undefined): RunNumber | undefined {
  return id === undefined ? undefined : tables.origin("id", id)?.run;
}
