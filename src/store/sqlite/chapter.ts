// A run's last chapter: the end of its chain of events, and by their numbers the deliveries that it names.

import { isInput, type Recorded } from "../../core/event.ts";
import type { Chapter, RunNumber } from "../port.ts";
import type { SqlRow, SqlValue } from "./driver.ts";
import { eventColumns, readEvent, type Tables } from "./table.ts";

const nextEvent = `select ${eventColumns}, j.prev from journal j where j.id = ?`;

export function readChapter(tables: Tables, run: RunNumber): Chapter {
  const events: Recorded[] = [];
  let next: SqlValue = tables.progress(run)?.head ?? null;
  const back = (): Recorded => {
    const row: SqlRow = tables.row(nextEvent, next)!;
    next = row[9]!;
    return readEvent(row, 0);
  };
  while (next !== null) {
    const event = back();
    events.push(event);
    if (event.kind === "run_continued") break;
  }
  events.reverse();
  const [first] = events;
  if (first?.kind !== "run_continued") return { events, inherited: [] };
  const inherited: Recorded[] = [];
  for (const delivery of first.carried.flatMap(({ unread }) => unread)) {
    const row = tables.row(`select ${eventColumns} from journal j where j.id = ? and j.run = ?`, delivery, run);
    if (row !== undefined) inherited.push(readEvent(row, 0));
  }
  const carried = new Set(first.carried.map(({ created }) => created.position));
  for (let left = first.seq - 1 - first.seen; left > 0; left--) {
    const event = back();
    if (isInput(event) && "position" in event && carried.has(event.position)) inherited.push(event);
  }
  return { events, inherited: inherited.sort((a, b) => a.seq - b.seq) };
}
