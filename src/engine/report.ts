// What happened in this engine, for those who want to know: as lines for the logger, and as events for who observes it.

import { RingbackError } from "../core/errors.ts";
import type { HookCreated, Recorded, RunContinued } from "../core/event.ts";
import type { Receipt } from "../core/receipt.ts";
import type { Fault, RunHost, RunIdentity } from "../core/run.ts";
import { hookIdOf } from "../core/run-id.ts";
import { textOf } from "../core/thrown.ts";
import type { Clock } from "../core/clock.ts";
import type { HookRow, RunNumber, RunRow, Store } from "../store/port.ts";
import type { Logger } from "./logger.ts";
import { type DoorName, Observers, type RunFact } from "./observer.ts";

type Ended = Recorded & { readonly kind: "run_ended" };
type StepOutcome = Recorded & { readonly kind: "step_completed" | "step_failed" | "step_retrying" };

export interface ReportOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly host: Pick<RunHost, "parse" | "sealText">;
}

/** The run, as far as an event about it says. */
type Told = Pick<RunIdentity, "id" | "workflow" | "createdAt">;

export class Report {
  readonly observers: Observers;
  readonly #options: ReportOptions;
  #failedAt: number | null = null;

  constructor(options: ReportOptions) {
    this.#options = options;
    this.observers = new Observers((event, error) => options.logger.listenerFailed(event, error));
  }

  /** Asked before anything is made that only observers would see. */
  get isWatched(): boolean {
    return this.observers.isWatched;
  }

  started({ id, workflow, createdAt }: Told): void {
    this.observers.tell("run_started", { runId: id, workflow, at: new Date(createdAt) });
  }

  /** What the code of a run decided is in its journal. */
  appended(run: Told, events: readonly Recorded[]): void {
    for (const event of events) {
      switch (event.kind) {
        case "hook_created":
          if (!events.some((other) => other.kind === "hook_conflicted" && other.position === event.position)) this.#hookCreated(run, event);
          break;
        case "child_started":
          this.#childStarted(event.runId, event.at);
          break;
        case "run_unblocked":
          this.observers.tell("run_unblocked", fact(run, event.at));
          break;
        case "run_blocked":
          this.#blocked(run, event);
          break;
        case "run_continued":
          for (const message of event.warnings) this.observers.tell("run_warning", { ...fact(run, event.at), message });
          break;
        case "run_ended":
          this.#ended(run, event);
          break;
        default:
      }
    }
  }

  /** A run has ended, and this engine ended it. */
  ended(run: RunIdentity, event: Ended): void {
    this.#options.logger.ended(run, event);
  }

  /** A chapter of a run is over. */
  continued(run: RunIdentity, event: Recorded & RunContinued): void {
    this.#options.logger.continued(run, event);
  }

  blocked(run: RunIdentity, fault: Fault): void {
    this.#options.logger.blocked(run, fault);
  }

  /** An attempt of a step is over, and its outcome in the journal. */
  stepped(run: Told, name: string, event: StepOutcome, durationMs: number): void {
    const { position } = event;
    const common = { ...fact(run, event.at), position, name: this.#options.host.sealText(name), durationMs };
    if (event.kind === "step_completed") return this.observers.tell("step_completed", { ...common, attempt: event.attempt });
    const error = this.#errorText(event.error);
    if (event.kind === "step_failed") this.observers.tell("step_failed", { ...common, attempt: event.attempt, error });
    else this.observers.tell("step_retrying", { ...common, attempt: event.attempt - 1, error, dueAt: new Date(event.dueAt) });
  }

  delivered(door: DoorName, receipt: Receipt, hook: HookRow | null): void {
    const { issues: _, ...told } = receipt;
    this.observers.tell("delivery", { ...this.#delivery(door, hook), receipt: told });
  }

  refused(door: DoorName, code: string, hook: HookRow | null = null): void {
    this.observers.tell("delivery_refused", { ...this.#delivery(door, hook), code });
  }

  /** The store did not do as it was asked. */
  storeFailed(error: unknown): void {
    const { logger, store, clock, host } = this.#options;
    logger.storeFailed(store.name, error);
    if (this.#failedAt !== null) return;
    const now = clock.now();
    this.#failedAt = now;
    const code = RingbackError.is(error) ? error.code : null;
    this.observers.tell("store_failed", { store: store.name, code, message: host.sealText(textOf(error)), at: new Date(now) });
  }

  /** Since when the store fails; null while it does not. */
  get failedAt(): Date | null {
    return this.#failedAt === null ? null : new Date(this.#failedAt);
  }

  /** The store has answered. */
  storeAnswered(): void {
    if (this.#failedAt === null) return;
    const { store, clock } = this.#options;
    const failedAt = new Date(this.#failedAt);
    this.#failedAt = null;
    this.observers.tell("store_recovered", { store: store.name, failedAt, at: new Date(clock.now()) });
  }

  /** A run could not be taken up. */
  stranded(run: RunNumber, error: unknown): void {
    const { logger, store } = this.#options;
    const tell = (name: string): void => logger.stranded(name, error);
    store.run({ run }).then(
      (row) => tell(row ? `${row.id} (${row.workflow})` : `number ${run}`),
      () => tell(`number ${run}`),
    );
  }

  #hookCreated(run: Told, created: Recorded<HookCreated>): void {
    if (!this.observers.has("hook_created")) return;
    const { position, definition: name, purpose, expiresAt, at } = created;
    const isWebhook = purpose === "webhook";
    const until = expiresAt == null ? null : new Date(expiresAt);
    this.observers.tell("hook_created", { ...fact(run, at), hookId: hookIdOf(run.id, position), name, isWebhook, expiresAt: until });
  }

  /** A child that was there before was not started now. */
  #childStarted(id: string, at: number): void {
    if (!this.observers.has("run_started")) return;
    const tell = (row: RunRow | null): void => {
      if (row?.createdAt === at) this.started(row);
    };
    this.#options.store.run({ id }).then(tell, () => {});
  }

  #blocked(run: Told, { at, reason, codeId, message, diff }: Recorded & { readonly kind: "run_blocked" }): void {
    this.observers.tell("run_blocked", { ...fact(run, at), reason, codeId, message, diff });
  }

  #ended(run: Told, { outcome, at, unread, abandoned, warnings }: Ended): void {
    const common = fact(run, at);
    for (const message of warnings) this.observers.tell("run_warning", { ...common, message });
    const end = { ...common, startedAt: new Date(run.createdAt), unread: unread.length, abandoned: abandoned.length };
    if (outcome.type === "failed") this.observers.tell("run_failed", { ...end, error: this.#errorText(outcome.error) });
    else this.observers.tell(outcome.type === "completed" ? "run_completed" : "run_cancelled", end);
  }

  #delivery(door: DoorName, hook: HookRow | null) {
    const at = new Date(this.#options.clock.now());
    if (!hook) return { door, runId: null, hookId: null, workflow: null, at };
    return { door, runId: hook.runId, hookId: hookIdOf(hook.runId, hook.created.position), workflow: hook.workflow, at };
  }

  /** A value that cannot be read is not the observer's trouble. */
  #errorText(error: string): string {
    try {
      return this.#options.host.sealText(textOf(this.#options.host.parse(error)));
    } catch (unreadable) {
      return textOf(unreadable);
    }
  }
}

function fact({ id, workflow }: Told, at: number): RunFact {
  return { runId: id, workflow, at: new Date(at) };
}
