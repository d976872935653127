// What undoes the steps of a run whose code ends with an error: the last begun first, each once, as a step of its own.

import type { StepHost, StepSettled } from "../../core/portable.ts";
import { suspended } from "./execution.ts";
import { outcomeOf, StepExit, valueOf } from "./outcome.ts";
import { type ErrorClass, TaggedError, type TaggedErrorBase } from "./tagged-error.ts";

/** Steps could not be undone. `cause` is the error that the workflow ended with. */
export interface CompensationFailed extends TaggedErrorBase {
  readonly _tag: "CompensationFailed";
  readonly failures: readonly { readonly step: string; readonly error: unknown }[];
}
export const CompensationFailed: ErrorClass<CompensationFailed> = TaggedError("CompensationFailed") as never;

interface Undo {
  readonly key: string;
  readonly compensate: (value: unknown) => unknown;
}

export class Undos {
  readonly #host: StepHost;
  /** That of the run which this one is a child in. */
  readonly #outer: Undos | null;
  readonly #undos: Undo[] = [];
  #isClosed = false;

  constructor(host: StepHost, outer: Undos | null) {
    this.#host = host;
    this.#outer = outer;
  }

  add(key: string, compensate: (value: unknown) => unknown): void {
    this.#undos.push({ key, compensate });
  }

  /** Nothing more is begun while, and after, what was done is undone. Throws `RunSuspended`. */
  checkOpen(id: string): void {
    this.#outer?.checkOpen(id);
    if (this.#isClosed) throw suspended(id);
  }

  /** The child has ended well: where its parent fails later, its steps are undone, too. */
  handOver(): void {
    if (this.#outer) this.#outer.#undos.push(...this.#undos.splice(0));
  }

  /** Undoes all that was done. Steps whose bodies still run are waited for; those that wait for the outside are not. */
  async unwind(cause: unknown): Promise<CompensationFailed | null> {
    this.#isClosed = true;
    const failures: { readonly step: string; readonly error: unknown }[] = [];
    for (const { key, compensate } of this.#undos.reverse()) {
      const done = await this.#host.ended(key);
      if (done?.kind !== "step_completed" && done?.kind !== "hook_received") continue;
      const id = `undo:${key}`;
      const undone = await this.#host.step(id, id, () => outcomeOf(id, () => compensate(valueOf(done, () => null))));
      if (undone.kind === "step_failed") failures.push({ step: key, error: errorOf(undone) });
    }
    if (failures.length === 0) return null;
    const message = `Not undone: ${failures.map(({ step }) => step).join(", ")}.`;
    return new CompensationFailed({ failures }, { message, cause });
  }
}

function errorOf(settled: StepSettled): unknown {
  try {
    return valueOf(settled, () => null);
  } catch (thrown) {
    return thrown instanceof StepExit ? thrown.error : thrown;
  }
}
