// A run out of its journal: made, given what was recorded, and its code run against that. The worker goes on from there; a look does not.

import { Heritage } from "../core/chapter.ts";
import type { WorkflowDefinition } from "../core/definition.ts";
import { type Recorded, type Serialised, valueIn } from "../core/event.ts";
import { Run, type RunHost } from "../core/run.ts";
import type { RunRow, Store } from "../store/port.ts";
import { Live } from "./live.ts";
import { nextTurn } from "./next-turn.ts";
import { takeTurns } from "./realm.ts";

/** Replay yields to the rest of the process after this long. */
const sliceMs = 5;

/** What brings runs back needs more of the host than they do: the requests that values in their journals refer to. */
export interface RevivingHost extends RunHost {
  /** Does a value refer to requests that are not in memory? `prepare` brings them. */
  mustLoad(text: Serialised): boolean;
  prepare(text: Serialised): Promise<void>;
}

/** The run as it was before its first turn. */
export function revive(row: RunRow, definition: WorkflowDefinition, host: RunHost): Live {
  const { id, key, workflow, createdAt } = row;
  return new Live(row, new Run({ id, key, workflow, codeId: definition.codeId, createdAt }, definition, host));
}

/** Gives the run the journal of its last chapter, and what that has inherited (CH1). Rejects where the store does. */
export async function readInto(live: Live, store: Store, host: RevivingHost): Promise<void> {
  live.isUnread = true;
  const { events, inherited } = await store.chapter(live.number);
  await requestsOf([...inherited, ...events], host);
  const [first] = events;
  if (first?.kind === "run_continued") live.run.heritage = new Heritage(live.run, first, inherited);
  live.startAt(first?.seq ?? 1);
  for (const event of events) live.run.record(event);
  for (const event of events) live.receive(event);
  live.isLoading = true;
}

/** Loads the requests that values in these events refer to, so that code can be given them in its turn; null where there are none. */
export function requestsOf(events: readonly Recorded[], host: RevivingHost): Promise<void> | null {
  let texts: string[] | null = null;
  for (const event of events) {
    const text = valueIn(event);
    if (text !== null && host.mustLoad(text)) (texts ??= []).push(text);
  }
  return texts && Promise.all(texts.map((text) => host.prepare(text))).then(() => {});
}

/** Turns back to back in slices, until what was read is drained or the run is gone. A look says nothing of what code prints meanwhile. */
export function replay(live: Live, isLook: boolean, done: () => void): void {
  const { run } = live;
  takeTurns(
    run,
    () => {
      if (live.isGone) return null;
      if (run.isTurnOpen) run.endTurn();
      const body = nextTurn(live);
      if (isLook) run.isReplaying = true;
      return body;
    },
    sliceMs,
    (isDrained) => {
      if (!isDrained && !live.isGone) return replay(live, isLook, done);
      live.isLoading = run.isReplaying = false;
      done();
    },
  );
}
