// What code can ask about where it runs, and values that replay the same.

import { callUrl } from "../../core/call.ts";
import { RingbackError } from "../../core/errors.ts";
import { callingRun, callingStep, here } from "../../engine/realm.ts";

/** What code knows of the run it belongs to. */
export interface WorkflowMetadata {
  /** What it is a run of. */
  readonly workflowName: string;
  /** The id given at `start`, or made there. */
  readonly workflowRunId: string;
  /** When the run was started, by the store's clock. */
  readonly workflowStartedAt: Date;
  /**
   * Where the outside reaches this engine: its `baseUrl`. In workflow code it is that of where it was first read, on every replay. Read when it
   * is asked for, and not enumerated: throws `base_url_required`.
   */
  readonly url: string;
}

/** The run this code belongs to: in workflow code, and in a step's body. Elsewhere it throws `outside_turn`. */
export function getWorkflowMetadata(): WorkflowMetadata {
  const step = callingStep();
  const run = step?.run ?? callingRun()?.identity;
  if (!run) throw nowhere("getWorkflowMetadata()");
  const metadata = { workflowName: run.workflow, workflowRunId: run.id, workflowStartedAt: new Date(run.createdAt) };
  const get = (): string => (step ? step.host.baseUrl() : callUrl(here("getWorkflowMetadata().url")));
  return Object.defineProperty(metadata, "url", { get }) as WorkflowMetadata;
}

/** What a step's body knows of this attempt. */
export interface StepMetadata {
  /** As given to `step()`. */
  readonly stepName: string;
  /** The same for every attempt of this step, and for no other step. */
  readonly stepId: string;
  /** When the attempt began, by the engine's clock. */
  readonly stepStartedAt: Date;
  /** From 1. */
  readonly attempt: number;
  /** Give it to the service the step calls: every attempt has the same. */
  readonly idempotencyKey: string;
  /** Aborts when the attempt times out, or its run ends. */
  readonly signal: AbortSignal;
}

/** The attempt whose body this is. Outside a step it throws `outside_turn`. */
export function getStepMetadata(): StepMetadata {
  const step = callingStep();
  if (!step) throw nowhere("getStepMetadata()");
  const { name, idempotencyKey, startedAt, attempt, signal } = step;
  return { stepName: name, stepId: idempotencyKey, stepStartedAt: new Date(startedAt), attempt, idempotencyKey, signal };
}

/** A version 4 UUID that replays the same; outside a run an ordinary one. Public: not a secret. */
export function uuid(): string {
  return callingRun() ? (here("uuid()").random?.uuid() as string) : crypto.randomUUID();
}

/** A number in [0, 1) that replays the same; outside a run an ordinary one. */
export function random(): number {
  return callingRun() ? (here("random()").random?.next() as number) : Math.random();
}

function nowhere(call: string): RingbackError {
  return new RingbackError(
    "outside_turn",
    `${call} is for the body of ${call.includes("Step") ? "a step" : "a workflow or a step"}; there is none around here.`,
    { details: { call } },
  );
}
