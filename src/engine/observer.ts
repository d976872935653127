// What an engine tells whoever looks on: typed events for metrics, alerts and dashboards, and who listens to them.
//
// O1. An event is told after the commit it speaks of, by the engine that made that commit, and once. It carries no payload and no token.
// O2. A listener is nobody's trouble: what it throws or rejects with goes to the logger, and where nobody listens nothing is made.

import { badArgument, kindOf } from "../core/argument.ts";
import type { BlockedReason, Divergence } from "../core/event.ts";
import type { Receipt } from "../core/receipt.ts";
import { afresh } from "./realm.ts";

/** What every event about a run says. */
export interface RunFact {
  readonly runId: string;
  /** The workflow's name. */
  readonly workflow: string;
  /** By the store's clock, at the commit. */
  readonly at: Date;
}

/** How a run ended, beside its outcome. */
export interface RunEndFact extends RunFact {
  readonly startedAt: Date;
  /** Payloads that its hooks took and its code never read. One that was committed in the same instant as the end is not counted. */
  readonly unread: number;
  /** Steps and timers that were first asked for in its last turn, and never started. */
  readonly abandoned: number;
}

/** What every event about an attempt of a step says. */
export interface StepFact extends RunFact {
  /** The step's place in its run. */
  readonly position: number;
  readonly name: string;
  /** From 1. */
  readonly attempt: number;
  /** How long the attempt took, by the engine's clock. */
  readonly durationMs: number;
}

/** The way a delivery came in; `ingress` is the public route. */
export type DoorName = "ingress" | "resumeWebhook" | "resumeHook" | "signal" | "redeliver";

/** What every event about a delivery says; null where no hook was found. */
export interface DeliveryFact {
  readonly door: DoorName;
  readonly runId: string | null;
  readonly hookId: string | null;
  readonly workflow: string | null;
  /** By the engine's clock. */
  readonly at: Date;
}

/** The events of `engine.on`, by name: what this engine did or saw. Other engines on the same store tell what they do. */
export interface EngineEvents {
  /** A run was started here, or by the code of a run that is worked on here. */
  run_started: RunFact;
  run_completed: RunEndFact;
  /** `error` is one line: the error's name and message. */
  run_failed: RunEndFact & { readonly error: string };
  run_cancelled: RunEndFact;
  /** A run was set aside. `diff` says where code and journal part, if they do. */
  run_blocked: RunFact & {
    readonly reason: BlockedReason;
    readonly codeId: string;
    readonly message: string;
    readonly diff: Divergence | null;
  };
  /** Fitting code was found: it goes on. */
  run_unblocked: RunFact;
  /** Something in a run's code that did no harm, but is no good sign; told when the run ends. */
  run_warning: RunFact & { readonly message: string };
  /** A hook is open; `name` is its definition's. */
  hook_created: RunFact & {
    readonly hookId: string;
    readonly name: string | null;
    readonly isWebhook: boolean;
    readonly expiresAt: Date | null;
  };
  /** What became of a delivery. A schema's issues are left out of the receipt: they may quote the payload. */
  delivery: DeliveryFact & { readonly receipt: Receipt };
  /** A request was answered with no receipt: `method_not_allowed`, or the `code` of its answer (`too_many_requests`, `store_unavailable` …). */
  delivery_refused: DeliveryFact & { readonly code: string };
  step_completed: StepFact;
  /** The attempt failed, and there will be another. */
  step_retrying: StepFact & { readonly error: string; readonly dueAt: Date };
  /** The step failed for good. */
  step_failed: StepFact & { readonly error: string };
  /** The store did not answer. Told once, until it does again. */
  store_failed: { readonly store: string; readonly code: string | null; readonly message: string; readonly at: Date };
  store_recovered: { readonly store: string; readonly failedAt: Date; readonly at: Date };
}

/** The name of an event. */
export type EngineEventName = keyof EngineEvents;

const names: { readonly [name in EngineEventName]: true } = {
  run_started: true,
  run_completed: true,
  run_failed: true,
  run_cancelled: true,
  run_blocked: true,
  run_unblocked: true,
  run_warning: true,
  hook_created: true,
  delivery: true,
  delivery_refused: true,
  step_completed: true,
  step_retrying: true,
  step_failed: true,
  store_failed: true,
  store_recovered: true,
};

/** Called with the event; what it returns is not waited for. */
export type EngineListener<E extends EngineEventName> = (event: EngineEvents[E]) => unknown;

export class Observers {
  /** Whether anybody listens to anything: all that a busy engine asks. */
  isWatched = false;
  readonly #listeners = new Map<EngineEventName, readonly EngineListener<never>[]>();
  readonly #failed: (event: EngineEventName, error: unknown) => void;

  /** `failed` is told what a listener threw. */
  constructor(failed: (event: EngineEventName, error: unknown) => void) {
    this.#failed = failed;
  }

  /** Returns what ends it; a function that is given twice listens twice. */
  on<E extends EngineEventName>(event: E, listener: EngineListener<E>): () => void {
    if (!Object.hasOwn(names, event))
      throw badArgument("event", event, `engine.on() takes one of ${Object.keys(names).join(", ")}; got ${JSON.stringify(event)}.`);
    if (typeof listener !== "function")
      throw badArgument("listener", listener, `engine.on("${event}", …) takes a function, got ${kindOf(listener)}.`);
    const own: EngineListener<E> = (fact) => listener(fact);
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), own]);
    this.isWatched = true;
    return () => {
      const rest = this.#listeners.get(event)?.filter((other) => other !== own) ?? [];
      if (rest.length > 0) this.#listeners.set(event, rest);
      else this.#listeners.delete(event);
      this.isWatched = this.#listeners.size > 0;
    };
  }

  has(event: EngineEventName): boolean {
    return this.#listeners.has(event);
  }

  /** O2. In an async context of its own: none of the request, the run or the step that brought it about. */
  tell<E extends EngineEventName>(event: E, fact: EngineEvents[E]): void {
    for (const listener of (this.#listeners.get(event) ?? []) as readonly EngineListener<E>[]) {
      try {
        Promise.resolve(afresh(() => listener(fact))).catch((error: unknown) => this.#failed(event, error));
      } catch (error) {
        this.#failed(event, error);
      }
    }
  }
}
