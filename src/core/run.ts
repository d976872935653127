// One run in memory: its code, what the code waits for, and what the code has asked for. Pure: events and hand-overs in, commands out.
//
// U1. Code advances only through `begin`, `apply` and `handOver`, each one turn (T1); the engine calls them, in `seq` order (E1).
// U2. What code asks for collects in `asked` until the engine takes it; nothing here acts.
// U3. The same events give the same turns: all else that code can see (time, chance, values) comes from events.
// U4. A fault stops the run where it stands: from then on nothing it asks for counts.

import { ByPosition } from "./by-position.ts";
import { callSite } from "./call-site.ts";
import type { StepDefinition, WorkflowDefinition } from "./definition.ts";
import { tokenTaken } from "./custom-token.ts";
import { unreadable } from "./envelope.ts";
import { HookDisposedError, HookTimeoutError, RingbackError, RunCancelledError, RunNotFoundError } from "./errors.ts";
import type {
  BlockedReason,
  Divergence,
  InputEvent,
  NamedAddress,
  OutputEvent,
  Recorded,
  RunContinued,
  RunOutcome,
  Serialised,
} from "./event.ts";
import { isOutput } from "./event.ts";
import type { Continuation, Heritage } from "./chapter.ts";
import { FewSet } from "./few.ts";
import type { HookPart } from "./hook.ts";
import { limits } from "./limits.ts";
import type { Mailbox } from "./mailbox.ts";
import { Pending } from "./pending.ts";
import { createRandom, type Random } from "./random.ts";
import { type Reading, whenSettled } from "./reader.ts";
import { Recording } from "./replay.ts";
import type { RunHost } from "./run-host.ts";
import { comparable } from "./serialise.ts";
import type { Given } from "./signal.ts";
import { textOf } from "./thrown.ts";

export type { NewAddress, RunHost, UrlMaker } from "./run-host.ts";

/** An input that a hook gets. */
export type HookInput = Extract<InputEvent, { kind: "hook_received" | "hook_failed" | "hook_registered" | "hook_conflicted" }>;

export interface RunIdentity {
  readonly id: string;
  readonly key: string;
  readonly workflow: string;
  readonly codeId: string;
  readonly createdAt: number;
}

/** Why a run was set aside. */
export interface Fault {
  readonly reason: BlockedReason;
  readonly error: RingbackError;
  readonly diff: Divergence | null;
}

export class Run implements Reading {
  readonly identity: RunIdentity;
  readonly host: RunHost;
  readonly recording: Recording = new Recording();
  /** The number of the current or last turn. */
  turn = 0;
  isTurnOpen = false;
  /** The run's time: never goes back. */
  time = 0;
  /** `seq` of the last input applied. */
  seq = 0;
  epoch = 0;
  readonly ready: FewSet<Mailbox<unknown>> = new FewSet();
  readonly hooks: ByPosition<HookPart> = new ByPosition();
  readonly pending: ByPosition<Pending> = new ByPosition();
  /** Outputs asked for and not yet taken by the engine. */
  asked: OutputEvent[] = [];
  /** True while later inputs are already in the journal: what is printed now was printed before. */
  isReplaying = false;
  isCancelled = false;
  /** It was asked to undo what it did, and has the time that takes. */
  isCompensating = false;
  /** What an earlier chapter has left, from the second on. */
  heritage: Heritage | null = null;
  /** The address of each hook that has a name. */
  names: Map<string, NamedAddress> | null = null;
  /** How the next chapter begins; the code of this one is over. */
  continued: Continuation | null = null;
  /** Hooks that gave their place to another of the same name, with payloads that nobody has read. */
  replaced: HookPart[] | null = null;
  /** How the code ended; the value is serialised in the tick it was returned. */
  ended: RunOutcome | null = null;
  fault: Fault | null = null;
  warnings: string[] | null = null;
  /** Attributes that code has set, or was started with. */
  attributeNames: readonly string[] | null = null;
  /** What `patched` has answered. */
  patches: Map<string, boolean> | null = null;
  /** Hooks that were read when nobody could have their address. */
  hidden: Set<HookPart> | null = null;
  /** How many steps have been asked for that were written in place. */
  inlineSteps = 0;
  /** The base URL, once code has asked for it. */
  url: string | null = null;
  /** Signals that steps were given, and where each went. */
  signals: WeakMap<AbortSignal, Set<Given>> | null = null;
  /** Steps that are to be undone. Where the run is cancelled to compensate, each goes on under another promise: what it does is undone. */
  readonly undoable: WeakMap<Promise<unknown>, Promise<unknown> | null> = new WeakMap();
  readonly #definition: WorkflowDefinition;
  #seed: string | null = null;
  #random: Random | null = null;
  #capturing: Set<{ readonly what: string }> | null = null;
  #position = 0;
  /** `seq` of the event that began this chapter. */
  #first = 1;
  #spent = 0;
  #refused = 0;
  #suspect: { readonly turn: number; readonly name: string; readonly call: Error } | null = null;

  constructor(identity: RunIdentity, definition: WorkflowDefinition, host: RunHost) {
    this.identity = identity;
    this.#definition = definition;
    this.host = host;
  }

  /** Remembers what an earlier life of the run asked for. Before `begin`, for all events of the journal. */
  record(event: Recorded): void {
    this.recording.add(event);
    // A call that cannot be recognised is no call of other code: the run waits for the key.
    const refused = isOutput(event) ? unreadable(event.digest) : null;
    if (refused !== null) this.misuse(refused);
    const position = event.kind === "run_continued" ? event.lastPosition : this.recording.lastPosition;
    if (position > this.#position) this.#position = position;
  }

  /** The first turn of the run, or of a chapter. */
  begin(event: Recorded & ({ readonly kind: "run_started" } | RunContinued)): void {
    this.#open(event);
    this.#seed = event.seed;
    this.#first = event.seq;
    this.attributeNames = (event.kind === "run_started" ? event.attributes && Object.keys(event.attributes) : event.attributes) ?? null;
    const args = this.host.parse(event.args) as never[];
    whenSettled(
      called(this.#definition.body, args),
      (value) => this.#end(true, value),
      (error) => this.#end(false, error),
    );
  }

  /** The run's chance, from its first turn on. */
  get random(): Random | null {
    if (this.#seed !== null) this.#random ??= createRandom(this.#seed);
    return this.#random;
  }

  /** A turn over one input event. Returns true when code may have run; a payload that is only put by runs none. */
  apply(event: Recorded & InputEvent): boolean {
    this.#open(event);
    switch (event.kind) {
      case "run_started":
      case "run_continued":
        throw new Error("A run, and a chapter of it, begins once.");
      case "hook_received":
      case "hook_failed":
      case "hook_registered":
      case "hook_conflicted":
        return this.tell(event);
      case "timer_fired":
        this.newEpoch();
        return this.#settle(event.position, true, undefined);
      case "step_completed":
        return this.#settle(event.position, true, event.result);
      case "step_failed":
        return this.#settle(event.position, false, event.error);
      case "child_started": {
        this.pending.get(event.position)?.resolve({ runId: event.runId });
        return this.pending.delete(event.position);
      }
      case "child_refused":
        return this.#refuseChild(event);
      case "child_ended":
        return this.#endChild(event);
      case "cancel_requested":
        this.#cancel(event.seq, event.compensate === true);
        return true;
    }
  }

  /** What has come for a hook. */
  tell(event: Recorded & HookInput): boolean {
    const hook = this.hooks.get(event.position);
    switch (event.kind) {
      case "hook_received":
        hook?.mailbox.receive(event.seq, () => this.host.payload(this, hook, event), event.delivery);
        return false;
      case "hook_failed":
        // Its deadline, or that of an earlier hook of the same name.
        if (hook && event.seq > ((hook.created as Partial<Recorded>).seq ?? 0))
          hook.close(event.seq, new HookTimeoutError(`Hook ${hook.label} has timed out.`, { details: { position: event.position } }));
        return false;
      case "hook_registered":
        hook?.told(null);
        return true;
      case "hook_conflicted": {
        hook?.told(event.holder);
        hook?.close(event.seq, tokenTaken(hook.token, event.holder));
        return true;
      }
    }
  }

  /** A turn that gives the oldest wanted payload to its reader (H2). Only while `ready` is not empty. */
  handOver(): void {
    this.turn++;
    this.isTurnOpen = true;
    this.count();
    let oldest: Mailbox<unknown> | null = null;
    for (const mailbox of this.ready) if (oldest === null || mailbox.oldest() < oldest.oldest()) oldest = mailbox;
    oldest?.handOver();
  }

  /** Closes a turn in which no code ran. */
  skipTurn(): void {
    this.isTurnOpen = false;
    const diff = this.recording.finish(this.turn);
    if (diff) this.#diverge(diff);
  }

  /** After a turn has drained: holds R3, and the rule that code which waits, waits for something durable. */
  endTurn(): void {
    this.isTurnOpen = false;
    if (this.fault) return;
    for (const { what } of this.#capturing ?? []) {
      const message = `The body of ${what} in run ${this.identity.id} was not in hand when the turn ended. Read streams and Blobs first, or answer from a step.`;
      this.misuse(new RingbackError("body_not_in_hand", message, { details: { path: what } }));
    }
    if (!this.isOver) this.heritage?.close(this);
    if (this.hidden && !this.#hasSteps()) this.#tellHidden(this.hidden);
    const diff = this.recording.finish(this.turn);
    if (diff) this.#diverge(diff);
    else if (this.isOver && this.turn < this.recording.lastTurn) {
      const found = this.ended ? "the end of the run" : "continueAsNew()";
      this.#diverge({ turn: this.turn, position: null, expected: "calls in later turns", found, site: null });
    }
    if (!this.isOver && !this.fault && this.ready.size === 0 && !this.waits()) {
      const suspect = this.suspect
        ? ` It last called ${this.suspect}: do that in a step.`
        : " Whatever it awaits must come from the engine, within this run, or be done in a step.";
      const message = `Run ${this.identity.id} (${this.identity.workflow}) waits for nothing durable: no step, timer, child or read of a hook is pending.${suspect}`;
      this.misuse(
        new RingbackError("nothing_pending", message, {
          details: { run: this.identity.id, workflow: this.identity.workflow, ...(this.suspect ? { suspect: this.suspect } : {}) },
        }),
      );
    }
  }

  /** Has the code of this run, or of this chapter, come to its end? */
  get isOver(): boolean {
    return this.ended !== null || this.continued !== null;
  }

  /** The highest position taken. */
  get lastPosition(): number {
    return this.#position;
  }

  /** Is this turn past all that the journal records? */
  get isNew(): boolean {
    return this.turn > this.recording.lastTurn;
  }

  /** Does something the engine knows of still have to come? */
  waits(): boolean {
    if (this.pending.size > 0) return true;
    for (const hook of this.hooks.values()) if (hook.mailbox.isAwaited || hook.isConflictAwaited) return true;
    return false;
  }

  /** One durable call or read. Past the limit of a chapter it is refused, so that code may still return what it has, or continue as new. */
  spend(): void {
    this.count();
    const length = this.seq - this.#first + 1;
    if (this.fault || length <= limits.journalEvents) return;
    const message = `Run ${this.identity.id} (${this.identity.workflow}) has come to event ${length} of its journal, and asks for nothing new after ${limits.journalEvents}. Go on by continueAsNew(), or return what is done.`;
    throw new RingbackError("too_large", message, { details: { what: "journal", limit: limits.journalEvents, actual: length } });
  }

  /** Too many durable calls and hand-overs after one input event are a loop that waits for nothing. */
  count(): void {
    if (this.fault || ++this.#spent <= limits.callsPerEvent) return;
    const message = `Run ${this.identity.id} (${this.identity.workflow}) made more than ${limits.callsPerEvent} durable calls without waiting for anything. Look for a loop whose wait has already ended.`;
    const error = new RingbackError("too_many_calls", message, { details: { run: this.identity.id, limit: limits.callsPerEvent } });
    this.misuse(error);
    throw error;
  }

  /** Does the journal hold this call of this turn, not yet taken? */
  knows(kind: OutputEvent["kind"], name: string, input: string): boolean {
    return !this.isNew && this.recording.has(this.turn, kind, this.host.sealText(name), this.host.digest(comparable(input)));
  }

  /** Takes a position for a call, recorded or new (R1, R2), or at the `place` that it shares with an earlier one. Throws on divergence. */
  ask<K extends OutputEvent["kind"]>(
    kind: K,
    name: string,
    input: string,
    place: number | null = null,
  ): { position: number; turn: number; name: string; digest: string; recorded: Extract<OutputEvent, { kind: K }> | null } {
    this.spend();
    name = this.host.sealText(name);
    const digest = this.host.digest(comparable(input));
    if (this.fault) return { position: ++this.#position, turn: this.turn, name, digest, recorded: null };
    const recorded = !this.isNew ? this.recording.take(this.turn, kind, name, digest) : null;
    if (!recorded && !this.isNew) this.#diverge(this.recording.unexpected(this.turn, kind, name, callSite()), true);
    return { position: recorded?.position ?? place ?? ++this.#position, turn: this.turn, name, digest, recorded };
  }

  /** A promise for the outcome of the call at `position`; the engine's own promises are marked handled. */
  wait<T>(position: number, label: string, step: StepDefinition | null = null, isOutcome = false): Promise<T> {
    const pending = new Pending(label, step, isOutcome);
    this.pending.set(position, pending);
    return pending.promise as Promise<T>;
  }

  newEpoch(): void {
    this.epoch++;
  }

  misuse(error: RingbackError): void {
    this.fault ??= { reason: RingbackError.is(error, "missing_key") ? "missing_key" : "misuse", error, diff: null };
  }

  /** Whether one more call may be told that it is refused. A loop that catches errors would never rest otherwise. */
  refuse(): boolean {
    return ++this.#refused <= limits.refusals;
  }

  /** Remembers the first call of a turn that may carry code out of it (a timer, a fetch), for `suspect`. */
  suspected(name: string): void {
    if (this.#suspect?.turn !== this.turn) this.#suspect = { turn: this.turn, name, call: new Error(name) };
  }

  /** What may have carried the code out of its turn, and where it was called. */
  get suspect(): string | null {
    return this.#suspect && `${this.#suspect.name} at ${callSite(this.#suspect.call) ?? "an unknown place"}`;
  }

  /** Whether what is printed now was printed before: the turn, or one after it, is in the journal. */
  get isRepeating(): boolean {
    return this.isReplaying || this.turn <= this.recording.lastTurn;
  }

  /** Keeps a warning as the journal will have it: sealed, then cut. Returns that. */
  warn(text: string): string {
    const kept = this.host.sealText(text).slice(0, limits.warningCharacters);
    const warnings = (this.warnings ??= []);
    if (warnings.length < limits.warnings) warnings.push(kept);
    else if (warnings.length === limits.warnings) warnings.push(`More warnings came; only the first ${limits.warnings} are kept.`);
    return kept;
  }

  /** Goes on with a value's text: at once, or within the turn when bodies of requests or responses in it have to be read. */
  serialised<T>(value: unknown, what: string, use: (text: Serialised) => T, signals?: AbortSignal[]): T | Promise<T> {
    const text = this.host.serialiseWithBodies(value, what, undefined, signals);
    return typeof text === "string" ? use(text) : this.withinTurn(what, text.text).then(use);
  }

  /** Holds the turn to what `promise` brings. */
  withinTurn<T>(what: string, promise: Promise<T>): Promise<T> {
    const capturing = (this.#capturing ??= new Set());
    const capture = { what };
    capturing.add(capture);
    return promise.finally(() => capturing.delete(capture));
  }

  /** `seq` of every payload that was received and that no reader took. */
  unread(): number[] {
    const left = this.heritage?.unread ?? [];
    return [...left, ...[...(this.replaced ?? []), ...this.hooks.values()].flatMap((hook) => hook.mailbox.unread)];
  }

  /** Is there a step pending, after which code may hand an address out? */
  #hasSteps(): boolean {
    for (const pending of this.pending.values()) if (pending.step !== null) return true;
    return false;
  }

  #tellHidden(hidden: ReadonlySet<HookPart>): void {
    this.hidden = null;
    if (!this.isOver) for (const hook of hidden) hook.warnIfHidden();
  }

  #open(event: Recorded): void {
    this.turn++;
    this.isTurnOpen = true;
    this.#spent = 0;
    this.seq = event.seq;
    if (event.at > this.time) this.time = event.at;
  }

  #settle(position: number, isOk: boolean, value: Serialised | undefined): boolean {
    const pending = this.pending.get(position);
    if (!pending) return false;
    this.pending.delete(position);
    pending.settle(this.host, isOk, value);
    return true;
  }

  #refuseChild({ position, runId: id, reason, token, holder }: InputEvent & { readonly kind: "child_refused" }): boolean {
    const pending = this.pending.get(position);
    this.pending.delete(position);
    if (reason === "hook_conflict") {
      pending?.reject(tokenTaken(token as string, holder as string));
      return true;
    }
    if (reason === "run_not_found") {
      const message = `Run "${id}" has ended, and is removed: how it ended is not known any more.`;
      pending?.reject(new RunNotFoundError(message, { details: { run: id } }));
      return true;
    }
    const message = `Run "${id}" exists already, with another workflow, other arguments or another token. Choose another id.`;
    pending?.reject(new RingbackError("run_conflict", message, { details: { run: id, workflow: this.identity.workflow } }));
    return true;
  }

  #endChild(event: InputEvent & { readonly kind: "child_ended" }): boolean {
    const pending = this.pending.get(event.position);
    this.pending.delete(event.position);
    pending?.end(this.host, event.outcome);
    return true;
  }

  #cancel(seq: number, isCompensating: boolean): void {
    this.isCancelled = true;
    this.isCompensating = isCompensating;
    const error = (): RunCancelledError => this.cancelledError();
    const waiting = this.pending.entries().sort(([a], [b]) => a - b);
    this.pending.clear();
    for (const [position, { promise, label, step }] of waiting)
      if (isCompensating && this.undoable.has(promise)) this.undoable.set(promise, this.wait(position, label, step));
    for (const [, pending] of waiting) pending.reject(error());
    for (const hook of this.hooks.values()) hook.close(seq, error());
  }

  /** What waits get once the run was asked to end. */
  cancelledError(): RunCancelledError {
    return new RunCancelledError(`Run ${this.identity.id} was cancelled.`, { details: { run: this.identity.id } });
  }

  /** An end outside the run's turns is no end: no replay could follow it there. */
  #end(isOk: boolean, value: unknown): void {
    if (this.isOver || this.fault || !this.isTurnOpen) return;
    if (this.isCancelled) {
      if (!isOk && !RingbackError.is(value, "run_cancelled")) this.warn(`Clean-up after the cancel threw: ${textOf(value)}`);
      this.ended = { type: "cancelled" };
      return;
    }
    const fail = (error: unknown): void => {
      this.ended = { type: "failed", error: this.host.serialiseThrown(error, "the run's error") };
    };
    const complete = (result: Serialised): void => {
      this.ended = { type: "completed", result };
    };
    // Another's promise brought it here: to have been where no replay can follow is no failure of the run.
    if (!isOk && (RingbackError.is(value, "outside_turn") || RingbackError.is(value, "other_run"))) return this.misuse(value);
    if (!isOk) return fail(value);
    try {
      const ending = this.serialised(value, "the run's result", complete);
      if (ending instanceof Promise) ending.catch(fail);
    } catch (error) {
      fail(error);
    }
  }

  /** Where no call is at hand, since code no longer makes it, the workflow's own place stands for it. */
  #diverge(found: Divergence, isThrown = false): void {
    const { id, workflow } = this.identity;
    const diff: Divergence = { ...found, site: found.site ?? this.#definition.site ?? null };
    const at = diff.site ? ` at ${diff.site}` : "";
    const message = `Run ${id} (${workflow}): the code has changed under it. Turn ${diff.turn}${at}: the journal has ${diff.expected ?? "nothing"}, the code has ${diff.found ?? "nothing"}. The run is kept as it is; it goes on when code that fits is registered.`;
    const error = new RingbackError("changed_code", message, { details: { run: id } });
    this.fault ??= { reason: "changed_code", error, diff };
    if (isThrown) throw error;
  }
}

/** Calls the author's function. An async one has made the promise that is needed; another costs a parked run 300 bytes. */
function called(body: WorkflowDefinition["body"], args: never[]): Promise<unknown> {
  try {
    const result: unknown = body(...args);
    return isPlainPromise(result) ? result : (async () => result)();
  } catch (error) {
    return Promise.reject(error);
  }
}

/** Not one made from a hook: that one waits until it is awaited. */
function isPlainPromise(value: unknown): value is Promise<unknown> {
  return value instanceof Promise && Object.getPrototypeOf(value) === Promise.prototype;
}

/** The error a disposed hook's readers get, after its unread payloads. */
export function disposedError(position: number, label: string): HookDisposedError {
  return new HookDisposedError(`Hook ${label} was disposed.`, { details: { position } });
}
