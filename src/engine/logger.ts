// What the engine says about runs and stores that went wrong. One line each, without any payload or minted token; a host may bring its
// own sink, or none. What lasts is not repeated: a run that cannot be taken up is told once, a store that fails once a minute.

import type { Clock } from "../core/clock.ts";
import { RingbackError } from "../core/errors.ts";
import type { Recorded, RunContinued } from "../core/event.ts";
import type { Fault, RunHost, RunIdentity } from "../core/run.ts";
import { Recent } from "../core/recent.ts";
import { textOf } from "../core/thrown.ts";

/** Where lines go, each one a text without a line break, a payload or a token: pino, winston, console, or anything of that shape. */
export interface LogSink {
  /** What did no harm yet: a run's warnings, payloads nobody read, a run that cannot be taken up now. */
  warn(message: string): void;
  /** A run that failed or was set aside, a store that does not answer, a listener that threw. */
  error(message: string): void;
}

/** How long a store's failure of one kind is not told again. */
const quietMs = 60_000;
const runsRemembered = 10_000;
const failuresRemembered = 100;
/** A line of a log that goes on for pages is read by nobody. */
const lineLength = 2_000;

export interface LoggerOptions {
  readonly sink: LogSink | null;
  readonly clock: Clock;
  readonly host: Pick<RunHost, "parse" | "sealText">;
  /** Whether messages that may quote a value are left out: a log is not encrypted. */
  readonly isDiscreet: boolean;
}

const elsewhere = "the run's timeline has its message";

export class Logger {
  readonly #options: LoggerOptions;
  readonly #strandedRuns: Recent<string, true> = new Recent(runsRemembered);
  readonly #toldAt = new Map<string, number>();
  #isDeploymentTold = false;

  constructor(options: LoggerOptions) {
    this.#options = options;
  }

  /** A run that completed and left nothing behind is not worth a line. */
  ended(run: RunIdentity, ended: Recorded & { readonly kind: "run_ended" }): void {
    const { outcome, abandoned } = ended;
    if (outcome.type === "failed")
      this.#say("error", () => `${nameOf(run)} failed: ${this.#told(() => this.#options.host.parse(outcome.error))}`);
    this.#left(run, "ended", ended);
    if (abandoned.length > 0) this.#say("warn", () => `${nameOf(run)} ended, and ${neverStarted(abandoned.length)}`);
  }

  /** The same of a chapter of it. */
  continued(run: RunIdentity, continued: RunContinued): void {
    const { abandoned } = continued;
    this.#left(run, "continued as new", continued);
    const what = stepsAndTimers(abandoned.length);
    if (abandoned.length > 0) this.#say("warn", () => `${nameOf(run)} continued as new, and ${what} of the old chapter came to no end`);
  }

  #left(run: RunIdentity, what: string, { warnings, unread }: Pick<RunContinued, "warnings" | "unread">): void {
    const { isDiscreet } = this.#options;
    for (const warning of warnings) this.#say("warn", () => `${nameOf(run)}: ${isDiscreet ? "a warning, which run.ending has" : warning}`);
    if (unread.length > 0) this.#say("warn", () => `${nameOf(run)} ${what}, and ${neverRead(unread.length)}`);
  }

  blocked(run: RunIdentity, fault: Fault): void {
    const why = (): string => (this.#options.isDiscreet ? this.#told(() => fault.error) : fault.error.message);
    this.#say("error", () => `${nameOf(run)} is blocked (${fault.reason}): ${why()}`);
  }

  /** A run was to be taken up, and could not be. `run` is how people know it. */
  stranded(run: string, error: unknown): void {
    if (this.#strandedRuns.get(run)) return;
    this.#strandedRuns.set(run, true);
    this.#say("warn", () => `run ${run} could not be taken up, and is tried again each second: ${this.#told(() => error)}`);
  }

  /** Runs have something to do, and nobody who has their code. */
  orphaned(workflow: string): void {
    const advice = "they wait until it is, and what is delivered to them is kept";
    this.#say("warn", () => `runs of workflow "${workflow}" have something to do, and no workflow of that name is registered: ${advice}`);
  }

  storeFailed(store: string, error: unknown): void {
    if (this.#isQuiet(RingbackError.is(error) ? error.code : textOf(error))) return;
    const meanwhile = "callbacks get 503 and runs wait until it answers";
    this.#say("error", () => `store ${store} failed; ${meanwhile}: ${textOf(error)}`);
  }

  /** A run was started for a deployment: here there is one code for each workflow. Told once. */
  deployment(): void {
    if (this.#isDeploymentTold) return;
    this.#isDeploymentTold = true;
    const why = "a run goes on with the code that is registered where it goes on, and is set aside where that does not fit";
    this.#say("warn", () => `start({ deploymentId }) has no effect: ${why}`);
  }

  /** What an observer threw. */
  listenerFailed(event: string, error: unknown): void {
    if (this.#isQuiet(`listener ${event}`)) return;
    this.#say("error", () => `a listener of "${event}" threw, and nothing else is affected: ${this.#told(() => error)}`);
  }

  /** The provider of encryption keys threw, or gave another key than before. */
  keyFailed(kid: string, error: unknown): void {
    if (this.#isQuiet(`key ${kid}`)) return;
    this.#say("error", () => `encryption key "${kid}" cannot be had, and what needs it waits: ${textOf(error)}`);
  }

  /** Others encrypt what they write into this store. */
  plainBeside(store: string, kid: string): void {
    const advice = "set RINGBACK_ENCRYPTION_KEYS, or createEngine({ encryption })";
    this.#say("warn", () => `store ${store} has values that are encrypted with key "${kid}", and this engine writes plain ones: ${advice}`);
  }

  /** Something thrown, in words; where those may be a sender's, by what it is. */
  #told(thrown: () => unknown): string {
    const error = thrown();
    if (!this.#options.isDiscreet) return textOf(error);
    if (RingbackError.is(error) && (error.code === "missing_key" || error.code === "value_corrupt" || error.code.startsWith("store_")))
      return textOf(error);
    const code = (error as { readonly code?: unknown } | null | undefined)?.code;
    const name = error instanceof Error ? error.constructor.name : `a thrown ${typeof error}`;
    return `${name}${RingbackError.is(error) ? ` (${code as string})` : ""}; ${elsewhere}`;
  }

  /** The app uses the engine in a way that keeps it from its work, such as reading a callback's body first. Told once a minute. */
  slip(kind: string, line: string): void {
    if (!this.#isQuiet(kind)) this.#say("error", () => line);
  }

  /** Was the same told within the last minute? */
  #isQuiet(what: string): boolean {
    const now = this.#options.clock.now();
    if (now - (this.#toldAt.get(what) ?? Number.NEGATIVE_INFINITY) < quietMs) return true;
    if (this.#toldAt.size >= failuresRemembered) this.#toldAt.clear();
    this.#toldAt.set(what, now);
    return false;
  }

  /** Neither a value that cannot be read nor a sink that throws is the run's trouble. */
  #say(level: "warn" | "error", line: () => string): void {
    const { sink, host } = this.#options;
    if (!sink) return;
    try {
      const whole = host.sealText(`ringback: ${line()}`).replace(/\s*[\r\n\u2028\u2029]+\s*/g, " ");
      sink[level](whole.length > lineLength ? `${whole.slice(0, lineLength)}…` : whole);
    } catch {
      // There is no one left to tell.
    }
  }
}

function nameOf({ id, workflow }: RunIdentity): string {
  return `run ${id} (${workflow})`;
}

function neverRead(count: number): string {
  return count === 1 ? "one payload that its hooks took was never read" : `${count} payloads that its hooks took were never read`;
}

function neverStarted(count: number): string {
  return `${stepsAndTimers(count)} first asked for in its last turn never started: await what must happen before the end`;
}

function stepsAndTimers(count: number): string {
  return count === 1 ? "a step or timer" : `${count} steps and timers`;
}
