// The signals that a step's body was given, over all its attempts.

import type { Serialised } from "../core/event.ts";
import type { SignalData } from "../core/signal.ts";

/** What `fetch` and most libraries throw where they were aborted. */
const abortError = "AbortError";

export class StepSignals {
  /** What workflow code has aborted, by place. */
  readonly #aborted: Map<number, Serialised>;
  readonly #parse: (text: Serialised) => unknown;
  /** Those of the attempt that runs. */
  #open = new Map<number, AbortController>();
  /** Aborted by code, in the attempt that runs. */
  #over: AbortSignal[] = [];

  constructor(aborted: ReadonlyMap<number, Serialised> | undefined, parse: (text: Serialised) => unknown) {
    this.#aborted = new Map(aborted);
    this.#parse = parse;
  }

  /** Another attempt: its signals are its own. */
  begin(): void {
    this.#open = new Map();
    this.#over = [];
  }

  /** A signal of the attempt's input, as it stands by now. */
  take(data: SignalData): AbortSignal {
    if ("reason" in data) return this.#keep(AbortSignal.abort(data.reason));
    const reason = this.#aborted.get(data.place);
    if (reason !== undefined) return this.#keep(AbortSignal.abort(this.#parse(reason)));
    const controller = new AbortController();
    this.#open.set(data.place, controller);
    return controller.signal;
  }

  /** Workflow code has aborted it. Once: what a journal tells again changes nothing. */
  abort(place: number, reason: Serialised): void {
    if (this.#aborted.has(place)) return;
    this.#aborted.set(place, reason);
    const controller = this.#open.get(place);
    if (controller === undefined || controller.signal.aborted) return;
    this.#keep(controller.signal);
    controller.abort(this.#reasonOf(reason));
  }

  /** The attempt is over for another reason: its body is told by whatever signal it listens to. */
  end(reason: unknown): void {
    for (const controller of this.#open.values()) controller.abort(reason);
  }

  /** Whether the body threw since code had aborted it: then another attempt would do the same. */
  explains(thrown: unknown): boolean {
    if (this.#over.length === 0) return false;
    return (
      this.#over.some((signal) => Object.is(signal.reason, thrown)) || (thrown as { readonly name?: unknown } | null)?.name === abortError
    );
  }

  /** A class that is not known here is no reason to go on. */
  #reasonOf(reason: Serialised): unknown {
    try {
      return this.#parse(reason);
    } catch (error) {
      return error;
    }
  }

  #keep(signal: AbortSignal): AbortSignal {
    this.#over.push(signal);
    return signal;
  }
}
