// Which hook took a delivery: the hook of a name opens again where it was, with other options, and what it took before was another's.

import { kindNumber } from "../../core/event-codec.ts";
import type { HookCreated, Recorded } from "../../core/event.ts";
import { mayReopen } from "../../core/run-row.ts";
import type { RunNumber } from "../port.ts";
import type { SqlRow, SqlValue } from "./driver.ts";
import type { HookFacts, Tables } from "./table.ts";

const link = "select prev, kind, position, seq from journal where id = ?";

/** The hook as it was opened when it took the delivery; `facts` are of the last one there. */
export function openedFor(tables: Tables, facts: HookFacts, delivery: number): HookFacts {
  if (!mayReopen(facts.created)) return facts;
  const [, , , seq] = tables.row(link, delivery) as [number, number, number, number];
  if (seq > facts.created.seq) return facts;
  return { ...facts, created: openingBefore(tables, delivery, facts.created.position)! };
}

/** The last opening of a place that is behind this event in the run's chain; null where there is none. */
export function openingBefore(tables: Tables, event: number, position: number): Recorded<HookCreated> | null {
  const number = openedAt(tables, event, position);
  return number === null ? null : (tables.event(number) as Recorded<HookCreated>);
}

function openedAt(tables: Tables, event: number, position: number): number | null {
  const opened = kindNumber("hook_created");
  for (let next: SqlValue = event; next !== null; ) {
    const row: SqlRow = tables.row(link, next)!;
    if (row[1] === opened && row[2] === position) return next as number;
    next = row[0]!;
  }
  return null;
}

/** An opening is about to be removed, the last ones first: its place leads to the one before it, which took what came before. */
export function leadBack(tables: Tables, run: RunNumber, { position }: HookCreated, prev: SqlValue): void {
  const before = prev === null ? null : openedAt(tables, prev as number, position);
  if (before !== null) tables.write("update hooks set event = ? where run = ? and position = ?", before, run, position);
}

/** Of a run that is being removed, the opening that its place leads to. */
export function openingAt(tables: Tables, run: RunNumber, position: number): Recorded<HookCreated> | null {
  const [event] = tables.row("select event from hooks where run = ? and position = ?", run, position) ?? [];
  return event === undefined ? null : (tables.event(event as number) as Recorded<HookCreated> | null);
}
