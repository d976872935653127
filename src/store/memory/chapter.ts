// A run's last chapter, out of its journal.

import { isInput, type Recorded } from "../../core/event.ts";
import type { Chapter, RunNumber } from "../port.ts";
import type { MemoryState } from "./state.ts";

export function readChapter(state: MemoryState, run: RunNumber): Chapter {
  const journal = state.journals.get(run) ?? [];
  const start = Math.max(
    0,
    journal.findLastIndex((event) => event.kind === "run_continued"),
  );
  const events = journal.slice(start);
  const [first] = events;
  if (first?.kind !== "run_continued") return { events, inherited: [] };
  const inherited: Recorded[] = [];
  for (const delivery of first.carried.flatMap(({ unread }) => unread)) {
    const at = state.deliveries.get(delivery);
    if (at?.run === run) inherited.push(journal[at.seq - 1]!);
  }
  const carried = new Set(first.carried.map(({ created }) => created.position));
  const isUnseen = (event: Recorded): boolean =>
    event.seq > first.seen && isInput(event) && "position" in event && carried.has(event.position);
  inherited.push(...journal.slice(first.seen, start).filter(isUnseen));
  return { events, inherited: inherited.sort((a, b) => a.seq - b.seq) };
}
