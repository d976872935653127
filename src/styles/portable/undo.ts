// What undoes the steps of a run whose code ends with an error: the last begun first, each once, as a step of its own.

import type { StepHost, StepSettled } from "../../core/portable.ts";
import { suspended } from "./execution.ts";
import { outcomeOf, valueOf } from "./outcome.ts";
import { type ErrorClass, TaggedError, type TaggedErrorBase } from "./tagged-error.ts";
import { read } from "./value.ts";

/** Steps could not be undone. `cause` is the error that the workflow ended with. */
export interface CompensationFailed extends TaggedErrorBase {
  readonly _tag: "CompensationFailed";
  readonly failures: readonly { readonly step: string; readonly error: unknown }[];
}
export const CompensationFailed: ErrorClass<CompensationFailed> = TaggedError("CompensationFailed") as never;

type Undo = (value: unknown) => unknown;

export class Undos {
  readonly #host: StepHost;
  /** That of the run which this one is a child in. */
  readonly #outer: Undos | null;
  /** By key: a step that is asked for twice is undone once. A child's are its parent's, too, at once. */
  readonly #undos = new Map<string, Undo>();
  /** What is being undone, by whichever of a run and its children has failed first. */
  readonly #undone: Map<string, Promise<StepSettled | null>>;
  #isClosed = false;

  constructor(host: StepHost, outer: Undos | null) {
    this.#host = host;
    this.#outer = outer;
    this.#undone = outer ? outer.#undone : new Map();
  }

  add(key: string, compensate: Undo): void {
    if (!this.#undos.has(key)) this.#undos.set(key, compensate);
    this.#outer?.add(key, compensate);
  }

  /** Nothing more is begun while, and after, what was done is undone. Throws `RunSuspended`. */
  checkOpen(id: string): void {
    this.#outer?.checkOpen(id);
    if (this.#isClosed) throw suspended(id);
  }

  /** Undoes all that was done. Steps whose bodies still run are waited for; those that wait for the outside are not. */
  async unwind(cause: unknown): Promise<CompensationFailed | null> {
    this.#isClosed = true;
    const failures: { readonly step: string; readonly error: unknown }[] = [];
    for (const [key, compensate] of [...this.#undos].reverse()) {
      const undone = this.#undone.get(key) ?? this.#undo(key, compensate);
      this.#undone.set(key, undone);
      const settled = await undone;
      if (settled?.kind === "step_failed") failures.push({ step: key, error: read(settled.error) });
    }
    if (failures.length === 0) return null;
    const message = `Not undone: ${failures.map(({ step }) => step).join(", ")}.`;
    return new CompensationFailed({ failures }, { message, cause });
  }

  async #undo(key: string, compensate: Undo): Promise<StepSettled | null> {
    const done = await this.#host.ended(key);
    if (done?.kind !== "step_completed" && done?.kind !== "hook_received") return null;
    const id = `undo:${key}`;
    return this.#host.step(id, this.#host.keyFor(id), () => outcomeOf(id, () => compensate(valueOf(done, () => null))));
  }
}
