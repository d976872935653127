// What the engine says about runs that went wrong. One line each, without any minted token; a host may bring its own sink, or none.

import type { RunOutcome } from "../core/event.ts";
import type { Fault, RunHost, RunIdentity } from "../core/run.ts";
import { textOf } from "../core/thrown.ts";

/** Where lines go: pino, winston, console, or anything of that shape. */
export interface LogSink {
  warn(message: string): void;
  error(message: string): void;
}

export class Logger {
  readonly #sink: LogSink | null;

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

  /** Neither a value that cannot be read nor a sink that throws is the run's trouble. */
  #say(level: "warn" | "error", host: Pick<RunHost, "sealText">, line: () => string): void {
    if (!this.#sink) return;
    try {
      this.#sink[level](host.sealText(`ringback: ${line()}`));
    } catch {
      // There is no one left to tell.
    }
  }
}

function describe(host: Pick<RunHost, "parse">, error: string): string {
  return textOf(host.parse(error));
}
