// What a workflow that needs no engine shows to whoever runs it, and what its steps ask of them: alone, a state in memory; on an engine, a
// journal. The facts are the engine's, known by a step's key in place of a position.
//
// PO1. A step's outcome is settled once, and the next one not before the code has come to rest: the order is the host's, and the same again.
// PO2. A step that waits settles when what it waits for has come, or its time is up; nothing in between takes the wait for an outcome.

import type { Clock } from "./clock.ts";
import type { StandardSchema } from "./definition.ts";
import type { HookCreated, InputEvent, Serialised } from "./event.ts";

type Input<K extends InputEvent["kind"]> = Extract<InputEvent, { readonly kind: K }>;

/** A step has ended. `isThrown`: it threw, where it should have returned; `cause`: what its error came from. */
export type StepEnded =
  | Pick<Input<"step_completed">, "kind" | "result">
  | (Pick<Input<"step_failed">, "kind" | "error"> & { readonly isThrown?: true; readonly cause?: Serialised | undefined });

/** A step waits: for a callback with this token, or, without one, for somebody's word. */
export interface StepWaits extends Pick<HookCreated, "kind"> {
  readonly token: string | null;
  /** What is to be approved, and why. */
  readonly approval?: { readonly key: string; readonly reason?: string | undefined } | undefined;
  readonly metadata?: Serialised | undefined;
  /** The name of its `defineHook`. */
  readonly definition?: string | undefined;
  /** How long it waits at most, in milliseconds from now. */
  readonly timeoutMs?: number | undefined;
}

/** What a step's body has come to. */
export type StepOutcome = StepEnded | StepWaits;

/** How code goes on from a step. A host that has parsed a payload already gives its value. */
export type StepSettled =
  | StepEnded
  | { readonly kind: "hook_received"; readonly payload: Serialised }
  | { readonly kind: "hook_received"; readonly value: unknown }
  | Pick<Input<"hook_failed">, "kind" | "reason">;

/** Who does the steps of a run. */
export interface StepHost {
  readonly clock: Clock;
  /** What the next step with this id is known by: `key` where its author gave one, else the id and how often that came before, counted on where another step has that key. */
  keyFor(id: string, key?: string): string;
  /** Does a step, or finds it done; the same key again is the same step. `operation` rejects never. */
  step(id: string, key: string, operation: () => Promise<StepOutcome>): Promise<StepSettled>;
  /** Resolves `ms` after it was first asked for. */
  sleep(id: string, key: string, ms: number): Promise<unknown>;
  /** How a step has ended that was begun before, for who is to undo it; null where it waits for the outside, or nothing is to be undone. */
  ended(key: string): Promise<StepSettled | null>;
}

/** What a run is about. */
export interface PortableRun {
  readonly workflowId: string;
  readonly input: unknown;
}

/** A portable workflow as others run it. */
export interface PortableWorkflow {
  readonly name: string | null;
  /** Runs a body by the steps of `host`. Resolves with its result; rejects never. */
  drive(body: (context: never) => unknown, host: StepHost, run: PortableRun): Promise<PortableResult>;
  /** Of the hooks that wait for one: by the names of their definitions. */
  readonly schemas: ReadonlyMap<string, StandardSchema | null>;
}

export type PortableResult =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: unknown; readonly cause?: unknown };

/** Where a portable workflow keeps it. */
export const portable: unique symbol = Symbol.for("ringback/portable") as never;
