// What a step's body has come to, as a fact, and how code goes on from it.

import type { StepEnded, StepOutcome, StepSettled, StepWaits } from "../../core/portable.ts";
import { isPendingApproval, isPendingHook, type PendingApproval, type PendingHook } from "./hook.ts";
import { isResult, ok } from "./result.ts";
import { read, write } from "./value.ts";

/** Thrown by a step whose operation returned an error: it ends the workflow with it, unless the code catches it. */
export class StepExit {
  declare readonly error: unknown;
  declare readonly cause: unknown;
  constructor(error: unknown, cause?: unknown) {
    this.error = error;
    this.cause = cause;
  }
}

export type Operation = () => unknown;

/** Runs a step's body. A value that cannot be kept fails the step. */
export async function outcomeOf(id: string, operation: Operation): Promise<StepOutcome> {
  try {
    const given = await operation();
    const result = isResult(given) ? given : ok(given);
    if (result.ok) return { kind: "step_completed", result: write(result.value, `The value of step "${id}"`) };
    const { error, cause } = result;
    if (isPendingHook(error) || isPendingApproval(error)) return waitOf(id, error);
    const from = cause === undefined ? cause : failed(cause).error;
    return { kind: "step_failed", error: write(error, `The error of step "${id}"`), cause: from };
  } catch (thrown) {
    return failed(thrown);
  }
}

/** What was thrown may be anything; what cannot be kept leaves its message. */
function failed(thrown: unknown): StepEnded & { readonly kind: "step_failed" } {
  const kind = "step_failed";
  try {
    if (thrown instanceof StepExit) return { kind, error: write(thrown.error, "") };
    return { kind, error: write(thrown, ""), isThrown: true };
  } catch {
    let kept = new Error("What was thrown cannot be kept.");
    try {
      if (thrown instanceof Error) kept = new Error(thrown.message);
    } catch {
      // it throws when it is looked at
    }
    return { kind, error: write(kept, ""), isThrown: true };
  }
}

function waitOf(id: string, error: PendingHook | PendingApproval): StepWaits {
  const { metadata, stepKey } = error;
  const { hookId = null, definition, timeoutMs } = error as Partial<PendingHook>;
  const { reason } = error as PendingApproval;
  return {
    kind: "hook_created",
    token: hookId,
    approval: hookId === null ? { key: stepKey, reason } : undefined,
    metadata: metadata && write(metadata, `The metadata of step "${id}"`),
    definition,
    timeoutMs,
  };
}

/** The value of a settled step; throws what it failed with, `late` where its time was up. */
export function valueOf(settled: StepSettled, late: () => unknown): unknown {
  switch (settled.kind) {
    case "step_completed":
      return read(settled.result);
    case "hook_received":
      return "value" in settled ? settled.value : read(settled.payload);
    case "step_failed": {
      const error = read(settled.error);
      throw settled.isThrown ? error : new StepExit(error, settled.cause && read(settled.cause));
    }
    case "hook_failed":
      throw new StepExit(late());
  }
}
