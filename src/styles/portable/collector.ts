// Keeps the state of a workflow's runs at hand, for code that saves it where a run has come to rest.

import type { ResumeState, StateEvent } from "./state.ts";

/** Collects what a run does. */
export interface ResumeStateCollector {
  /** Give it as the workflow's `onEvent`. */
  readonly handleEvent: (event: StateEvent) => void;
  /** What was done so far. */
  getResumeState(): ResumeState;
  clear(): void;
}

/** Collects the facts of one run after another: `{ onEvent: collector.handleEvent }`. `from`: what the run was given. */
export function createResumeStateCollector(from?: ResumeState): ResumeStateCollector {
  let events: StateEvent[] = [...(from?.events ?? [])];
  return {
    handleEvent: (event) => void events.push(event),
    getResumeState: () => ({ kind: "ResumeState", version: 1, events: [...events] }),
    clear: () => void (events = []),
  };
}
