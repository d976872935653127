// What a run's code asked for in earlier turns, and how its calls are recognised when the code runs again.
//
// R1. A call takes the first untaken output of its own turn with equal kind, name and digest; so two calls of one turn may change places.
// R2. A call without a match is new. New is legal only past the last turn the journal records outputs for.
// R3. At the end of a recorded turn every output is taken, but for patches: code that no longer asks has only the new way left. R2 and R3
//     broken is a divergence: the turn commits nothing.

import type { Divergence, OutputEvent, RunEvent } from "./event.ts";
import { isOutput } from "./event.ts";

/** How an operation reads to people: `step charge`, `hook order:42`. */
export function describe(kind: OutputEvent["kind"], name: string): string {
  return `${kind.replace(/_(created|scheduled|set|awaited|taken|published)$/, "").replace("_", " ")}${name === "" ? "" : ` ${name}`}`;
}

export class Recording {
  #turns: Map<number, (OutputEvent | null)[]> | null = null;
  /** The last turn that recorded an output. */
  lastTurn = 0;
  /** The highest recorded position: new positions start above it. */
  lastPosition = 0;

  add(event: RunEvent): void {
    if (!isOutput(event)) return;
    const turns = (this.#turns ??= new Map());
    const turn = turns.get(event.turn);
    if (turn) turn.push(event);
    else turns.set(event.turn, [event]);
    if (event.turn > this.lastTurn) this.lastTurn = event.turn;
    if (event.position > this.lastPosition) this.lastPosition = event.position;
  }

  has(turn: number, kind: OutputEvent["kind"], name: string, digest: string): boolean {
    return (
      this.#turns
        ?.get(turn)
        ?.some((output) => output !== null && output.kind === kind && output.name === name && output.digest === digest) ?? false
    );
  }

  /** R1: the recorded output that this call repeats, if there is one. */
  take<K extends OutputEvent["kind"]>(turn: number, kind: K, name: string, digest: string): Extract<OutputEvent, { kind: K }> | null {
    const outputs = this.#turns?.get(turn);
    const index =
      outputs?.findIndex((output) => output !== null && output.kind === kind && output.name === name && output.digest === digest) ?? -1;
    if (index < 0) return null;
    const output = outputs?.[index] as Extract<OutputEvent, { kind: K }>;
    (outputs as (OutputEvent | null)[])[index] = null;
    return output;
  }

  /** R2: the difference, where a call has no match. */
  unexpected(turn: number, kind: OutputEvent["kind"], name: string, site: string | null): Divergence {
    const expected = this.#left(turn);
    const same = this.#turns?.get(turn)?.some((output) => output?.kind === kind && output.name === name) ?? false;
    return {
      turn,
      position: expected?.position ?? null,
      expected: expected ? describe(expected.kind, expected.name) : "nothing more in this turn",
      found: `${describe(kind, name)}${same ? " with other input" : ""}`,
      site,
    };
  }

  /** R3: called when a turn is over; the difference, where an output was not asked for again. Forgets the turn. */
  finish(turn: number): Divergence | null {
    if (turn > this.lastTurn) return null;
    const left = this.#left(turn);
    this.#turns?.delete(turn);
    if (!left) return null;
    return { turn, position: left.position, expected: describe(left.kind, left.name), found: "nothing more in this turn", site: null };
  }

  #left(turn: number): OutputEvent | null {
    return this.#turns?.get(turn)?.find((output) => output !== null && output.kind !== "patch_taken") ?? null;
  }
}
