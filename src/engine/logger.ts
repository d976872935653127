// What the engine says about runs and stores that went wrong. One line each, without any payload or minted token; a host may bring its
// own sink, or none. What lasts is not repeated: a run that cannot be taken up is told once, a store that fails once a minute.

import { RingbackError } from "../core/errors.ts";
import type { RunOutcome } from "../core/event.ts";
import type { Fault, RunHost, RunIdentity } from "../core/run.ts";
import { Recent } from "../core/recent.ts";
import { textOf } from "../core/thrown.ts";

/** Where lines go: pino, winston, console, or anything of that shape. */
export interface LogSink {
  warn(message: string): void;
  error(message: string): void;
}

/** How long a store's failure of one kind is not told again. */
const quietMs = 60_000;
const runsRemembered = 10_000;
const failuresRemembered = 100;
/** A line of a log that goes on for pages is read by nobody. */
const lineLength = 2_000;

export class Logger {
  readonly #sink: LogSink | null;
  readonly #strandedRuns: Recent<string, true> = new Recent(runsRemembered);
  readonly #toldAt = new Map<string, number>();

  constructor(sink: LogSink | null) {
    this.#sink = sink;
  }

  ended(run: RunIdentity, outcome: RunOutcome, warnings: readonly string[], host: Pick<RunHost, "parse" | "sealText">): void {
    if (outcome.type === "failed")
      this.#say("error", host, () => `run ${run.id} (${run.workflow}) failed: ${describe(host, outcome.error)}`);
    for (const warning of warnings) this.#say("warn", host, () => `run ${run.id} (${run.workflow}): ${warning}`);
  }

  blocked(run: RunIdentity, fault: Fault | null, host: Pick<RunHost, "sealText">): void {
    this.#say("error", host, () => `run ${run.id} (${run.workflow}) is blocked (${fault?.reason}): ${fault?.error.message}`);
  }

  /** A run was to be taken up, and could not be. `run` is how people know it. */
  stranded(run: string, error: unknown, host: Pick<RunHost, "sealText">): void {
    if (this.#strandedRuns.get(run)) return;
    this.#strandedRuns.set(run, true);
    this.#say("warn", host, () => `run ${run} could not be taken up, and is tried again each second: ${textOf(error)}`);
  }

  storeFailed(store: string, error: unknown, now: number, host: Pick<RunHost, "sealText">): void {
    const kind = RingbackError.is(error) ? error.code : textOf(error);
    if (now - (this.#toldAt.get(kind) ?? Number.NEGATIVE_INFINITY) < quietMs) return;
    if (this.#toldAt.size >= failuresRemembered) this.#toldAt.clear();
    this.#toldAt.set(kind, now);
    const meanwhile = "callbacks get 503 and runs wait until it answers";
    this.#say("error", host, () => `store ${store} failed; ${meanwhile}: ${textOf(error)}`);
  }

  /** Neither a value that cannot be read nor a sink that throws is the run's trouble. */
  #say(level: "warn" | "error", host: Pick<RunHost, "sealText">, line: () => string): void {
    if (!this.#sink) return;
    try {
      const whole = host.sealText(`ringback: ${line()}`).replace(/\s*[\r\n\u2028\u2029]+\s*/g, " ");
      this.#sink[level](whole.length > lineLength ? `${whole.slice(0, lineLength)}…` : whole);
    } catch {
      // There is no one left to tell.
    }
  }
}

function describe(host: Pick<RunHost, "parse">, error: string): string {
  return textOf(host.parse(error));
}
