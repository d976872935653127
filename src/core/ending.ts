// How a run ends: what its last turn appends, and, read from its journal, what it left behind.

import { legible } from "./envelope.ts";
import type { NoteEvent, OutputEvent, Recorded, RunOutcome } from "./event.ts";
import { deliveryId } from "./receipt.ts";
import type { Run } from "./run.ts";
import { hookIdOf } from "./run-id.ts";

/** A payload that a hook took and no code read. */
export interface UnreadPayload {
  readonly hookId: string;
  /** The delivery's id, as its sender was told. */
  readonly delivery: string;
  /** When it came, by the store's clock. */
  readonly at: Date;
}

/** How a run ended, and what it left behind. */
export interface RunEnding {
  readonly outcome: RunOutcome["type"];
  /** By the store's clock. */
  readonly at: Date;
  /** In the order they came. A run that was ended from outside while it was not in memory has all its payloads here: what it read is not known. */
  readonly unread: readonly UnreadPayload[];
  /** Positions of the steps and timers that were first asked for in its last turn, and never started. */
  readonly abandoned: readonly number[];
  /** What in its code did no harm, but is no good sign, such as a rejection that nobody handled. */
  readonly warnings: readonly string[];
}

type Received = Recorded & { readonly kind: "hook_received" };

/** What the turn that ended a run appends: what it asked for and may begin, and how it ended. */
export function endRun(run: Run, outcome: RunOutcome): (OutputEvent | NoteEvent)[] {
  const isIdle = ({ kind, turn }: OutputEvent): boolean => (kind === "step_scheduled" || kind === "timer_set") && turn === run.turn;
  const abandoned = run.asked.filter(isIdle).map(({ position }) => position);
  const asked = abandoned.length === 0 ? run.asked : run.asked.filter((event) => !isIdle(event));
  return [...asked, { ...endFromOutside(run, outcome, false), turn: run.turn, abandoned }];
}

/** The same without a turn of the run, which may not be in memory: then nothing is known of what it read. */
export function endFromOutside(run: Run | null, outcome: RunOutcome, isCompensating: boolean): NoteEvent & { readonly kind: "run_ended" } {
  const halfUndone = "The run was ended while it was to undo what it had done: what it had not come to stands.";
  const [unread, warnings] = [run?.unread() ?? [], [...(run?.warnings ?? []), ...(isCompensating ? [halfUndone] : [])]];
  return { kind: "run_ended", turn: 0, outcome, seen: run?.seq ?? 0, unread, abandoned: [], warnings };
}

/** Null for the journal of a run that has not ended. */
export function endingOf(runId: string, journal: readonly Recorded[]): RunEnding | null {
  const ended = journal.at(-1);
  if (ended?.kind !== "run_ended") return null;
  const { outcome, at, abandoned, warnings } = ended;
  const unread = unreadIn(journal, ended).map((event) => ({
    hookId: hookIdOf(runId, event.position),
    delivery: deliveryId(event.delivery ?? 0),
    at: new Date(event.at),
  }));
  return { outcome: outcome.type, at: new Date(at), unread, abandoned, warnings: warnings.map(legible) };
}

/** What was there and not taken, and what came too late to be seen; chapters that are over have told of theirs. */
export function unreadIn(journal: readonly Recorded[], { unread, seen }: Recorded & { readonly kind: "run_ended" }): Received[] {
  const left = new Set(unread);
  const chapters = journal.filter((event) => event.kind === "run_continued");
  for (const chapter of chapters) for (const seq of chapter.unread) left.add(seq);
  const last = chapters.at(-1);
  const since = Math.max(seen, last?.seq ?? 0);
  // A run that was ended from outside may never have come to its last chapter: then nobody took over what was carried.
  const inherited = last && seen < last.seq ? new Set(last.carried.flatMap((carried) => carried.unread)) : null;
  const isLeft = (event: Received): boolean => {
    if (event.seq > since || left.has(event.seq) || inherited?.has(event.delivery ?? 0)) return true;
    const next = chapters.find((chapter) => chapter.seq > event.seq);
    if (!next || event.seq <= next.seen) return false;
    return (inherited !== null && next === last) || !next.carried.some(({ created }) => created.position === event.position);
  };
  return journal.filter((event): event is Received => event.kind === "hook_received" && isLeft(event));
}
