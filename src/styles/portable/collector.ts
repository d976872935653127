// Keeps the state of a workflow's runs at hand, for code that saves it where a run has come to rest.

import { emptyState, type ResumeState, type StateEvent } from "./state.ts";
import { type Fact, lastStateOf } from "./workflow.ts";

/** Collects what a run does. */
export interface ResumeStateCollector {
  /** Give it as the workflow's `onEvent`, where the collector was made without the workflow. */
  readonly handleEvent: (event: Fact) => void;
  /** All that the last run has done, and what it was given. Throws a `TypeError` where the collector was never given to a workflow. */
  getResumeState(): ResumeState;
  /** Forgets it. */
  clear(): void;
}

/**
 * Keeps the state of a workflow's last run: `createResumeStateCollector(workflow)`, also after it has run, or `createResumeStateCollector()`
 * with `{ onEvent: collector.handleEvent }`. Runs of one workflow at the same time want a collector each, or `runWithState`.
 */
export function createResumeStateCollector(workflow?: object): ResumeStateCollector {
  let events: StateEvent[] = [];
  let isWired = false;
  let isCleared = false;
  const handleEvent = (event: Fact): void => {
    if (event.kind === "run_resumed") events = [...event.state.events];
    else if (event.kind === "run_started") events = [event];
    else if ("name" in event) events.push(event);
  };
  return {
    get handleEvent() {
      isWired = true;
      return handleEvent;
    },
    getResumeState() {
      if (workflow !== undefined) return isCleared ? emptyState : lastStateOf(workflow);
      if (isWired) return { ...emptyState, events: [...events] };
      throw new TypeError("This collector belongs to no workflow: give it one.");
    },
    clear() {
      events = [];
      isCleared = true;
    },
  };
}
