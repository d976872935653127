// What a run has done and can undo: one compensation for each step that was given one, run in reverse when the run's code throws.
//
// SG1. Compensations are steps: recorded, retried, and never repeated once they are done, wherever the process ends.
// SG2. They run when the workflow's own code has thrown, or the run was cancelled with `compensate`. A wait throws nothing, and a run that is
//      set aside goes no further, so neither brings one about.
// SG3. One that fails for good stops no other, and hides nothing: the run fails with what was thrown first, and a warning names it.
// SG4. A step that is still under way when the code throws, or the cancel comes, is waited for: what it does is undone as well.
// SG5. What was done before `continueAsNew` is done: the next chapter undoes its own steps alone.
// SG6. Once undoing has begun, nothing new does: a part of the code that goes on beside what has thrown stands still at the next thing it would
//      do. Else that would be done with nobody left to undo it.

import { textOf } from "../../core/thrown.ts";
import type { Run } from "../../core/run.ts";

interface Undo {
  readonly name: string;
  readonly run: () => Promise<unknown>;
}

export class Saga {
  readonly #run: Run;
  readonly #undos: Undo[] = [];
  readonly #open = new Set<Promise<unknown>>();
  #isUnwinding = false;

  constructor(run: Run) {
    this.#run = run;
  }

  /** Follows a step: once it is done, `undo` makes a step that undoes it. Returns a promise of its result that comes behind that. */
  follow<T>(name: string, step: Promise<T>, undo: (output: T) => Promise<unknown>): Promise<T> {
    const note = (output: T): T => {
      this.#undos.push({ name, run: () => undo(output) });
      return output;
    };
    this.#run.undoable.set(step, null);
    const noted = step.then(note, (error: unknown) => {
      const late = this.#run.undoable.get(step) as Promise<T> | null | undefined;
      if (late) this.#open.add(late.then(note, () => {}));
      throw error;
    });
    this.#open.add(noted);
    return noted;
  }

  /** What the code does next; where it is being undone, that is not begun (SG6). */
  next<T>(begin: () => Promise<T>): Promise<T> {
    return this.#isUnwinding ? new Promise(() => {}) : begin();
  }

  /** Undoes all there is, the last step first. What throws because the run is set aside is thrown on: it will be tried again. */
  async unwind(): Promise<void> {
    this.#isUnwinding = true;
    await Promise.allSettled(this.#open);
    for (let undo = this.#undos.pop(); undo; undo = this.#undos.pop()) {
      try {
        await this.#done(undo.run());
      } catch (error) {
        if (this.#run.fault) throw error;
        this.#run.warn(`The compensation of step "${undo.name}" failed, and what the step did stands: ${textOf(error)}`);
      }
    }
  }

  /** A cancel with `compensate` that comes meanwhile ends no compensation. */
  async #done(undoing: Promise<unknown>): Promise<void> {
    this.#run.undoable.set(undoing, null);
    try {
      await undoing;
    } catch (error) {
      const late = this.#run.undoable.get(undoing);
      if (!late) throw error;
      await late;
    }
  }
}
