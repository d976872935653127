// The steps a journal leaves open: scheduled, and without an outcome.

import type { Recorded, Serialised } from "./event.ts";

export interface OpenStep {
  readonly input: Serialised;
  /** The current attempt, from 1. */
  readonly attempt: number;
  /** Attempts that threw; those that a process took with it are not among them. */
  readonly failures: number;
  /** How often it was taken up by another process since an attempt last ended. */
  readonly restarts: number;
  /** When the current attempt starts; null for at once. */
  readonly dueAt: number | null;
  /** Signals in its input that code has aborted since: their places, and why. */
  readonly aborted?: ReadonlyMap<number, Serialised>;
}

export type OpenSteps = Map<number, OpenStep>;

/** A fold over the journal; null while there is none. */
export function trackSteps(open: OpenSteps | null, event: Recorded): OpenSteps | null {
  switch (event.kind) {
    case "step_scheduled":
      return (open ?? new Map<number, OpenStep>()).set(event.position, {
        input: event.input,
        attempt: 1,
        failures: 0,
        restarts: 0,
        dueAt: null,
      });
    case "step_completed":
    case "step_failed":
      open?.delete(event.position);
      return open?.size === 0 ? null : open;
    case "step_retrying":
    case "step_restarted": {
      const step = open?.get(event.position);
      if (!step) return open;
      const { attempt } = event;
      const next =
        event.kind === "step_retrying"
          ? { ...step, attempt, failures: step.failures + 1, restarts: 0, dueAt: event.dueAt }
          : { ...step, attempt, restarts: step.restarts + 1, dueAt: null };
      return (open as OpenSteps).set(event.position, next);
    }
    case "signal_aborted": {
      for (const [position, place] of event.steps) {
        const step = open?.get(position);
        if (step) open?.set(position, { ...step, aborted: new Map(step.aborted).set(place, event.reason) });
      }
      return open;
    }
    default:
      return open;
  }
}
