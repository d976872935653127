// Which turn comes next.

import type { Run } from "../core/run.ts";
import type { Live } from "./live.ts";

/** What the next turn does, or null: hand-overs first (H2), then inputs. Payloads that are only put by need no turn of their own. */
export function nextTurn(live: Live): ((run: Run) => void) | null {
  const { run } = live;
  if (run.fault || run.isOver) return null;
  if (run.ready.size > 0) return handOver;
  for (let event = live.take(); event; event = live.take()) {
    if (live.isLoading) run.isReplaying = live.hasInput;
    if (event.kind === "run_started" || event.kind === "run_continued") {
      const started = event;
      return () => run.begin(started);
    }
    if (event.kind !== "hook_received" && event.kind !== "hook_failed") {
      const input = event;
      return () => run.apply(input);
    }
    run.apply(event);
    run.skipTurn();
    if (run.fault) return null;
    if (run.ready.size > 0) return handOver;
  }
  return null;
}

function handOver(run: Run): void {
  run.handOver();
}
