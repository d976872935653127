// How a run's row follows from its journal, and what row and hook allow. Pure; every store judges with these, so that all judge alike.
//
// RR1. A row is a fold: `advance` for each event, `settle` for what code has seen. What a run began with (`RunOrigin`) never changes.
// RR2. Every input wakes; `wake` goes only when code has seen the last one, so neither an old nor a repeated `seen` loses a wake-up.
// RR3. A hook is open iff it won its token, its own mark is open, its run has neither ended nor been asked to, and its deadline is ahead.
// RR4. Nothing follows `run_ended`.

import { badArgument } from "./argument.ts";
import type { Attributes } from "./attribute.ts";
import type { BlockedReason, Due, HookAddress, HookCreated, NewRun, Payload, Recorded, RunEvent } from "./event.ts";
import { isInput } from "./event.ts";
import { limits } from "./limits.ts";
import type { ClosedBy } from "./receipt.ts";

/** What happened to a run as a whole; a view of its journal, kept in the same transaction. */
export interface RunRow {
  readonly run: number;
  readonly id: string;
  readonly key: string;
  readonly workflow: string;
  readonly codeId: string;
  /** `open` until the run ends or is set aside. */
  readonly status: RunStatus;
  /** Rises with every change of worker, and with every chapter; what code decides carries it. */
  readonly fence: number;
  /** The worker that may advance the run, or null. It may be dead: see `claim`. */
  readonly worker: string | null;
  /** `seq` of the last event. */
  readonly seq: number;
  /** There are facts that code has not seen. */
  readonly wake: boolean;
  /** How often the run was taken up since its code last made progress. */
  readonly loads: number;
  /** Steps that are scheduled and have no outcome. */
  readonly steps: number;
  readonly cancelRequestedAt: number | null;
  readonly blocked: { readonly reason: BlockedReason; readonly codeId: string } | null;
  readonly createdAt: number;
  readonly endedAt: number | null;
}
export type RunStatus = "open" | "blocked" | "completed" | "failed" | "cancelled";

/** The half of a row that never changes. */
export type RunOrigin = Pick<RunRow, "run" | "id" | "key" | "workflow" | "codeId" | "createdAt">;

/** The half of a row that events change. */
export interface RunProgress extends Omit<RunRow, keyof RunOrigin> {
  /** `seq` of the last input event. */
  readonly input: number;
}

/** `lost`: another run held the token when this hook asked for it. */
export type HookState =
  | { readonly type: "open" }
  | { readonly type: "closed"; readonly by: ClosedBy; readonly at: number }
  | { readonly type: "lost"; readonly holder: string };

/** What a store keeps of a hook beside its `hook_created`. */
export interface HookMark {
  /** The hook's own end; null while only its run's end, or its deadline, could close it. */
  readonly closed: { readonly by: "disposed" | "timeout"; readonly at: number } | null;
  /** The run that held the token when this hook asked for it. */
  readonly holder: string | null;
  readonly expiresAt: number | null;
}

export type RunStateName = "pending" | "running" | "waiting" | "completed" | "failed" | "cancelled" | "blocked";

export function rowOf(origin: RunOrigin, progress: RunProgress): RunRow {
  const { run, id, key, workflow, codeId, createdAt } = origin;
  const { status, fence, worker, seq, wake, loads, steps, cancelRequestedAt, blocked, endedAt } = progress;
  return { run, id, key, workflow, codeId, status, fence, worker, seq, wake, loads, steps, cancelRequestedAt, blocked, createdAt, endedAt };
}

export function originOf(run: number, start: NewRun, now: number): RunOrigin {
  return { run, id: start.id, key: start.key, workflow: start.workflow, codeId: start.codeId, createdAt: now };
}

/** A row before its first event. To begin a run for a worker counts as taking it up. */
export function unborn(worker: string | null): RunProgress {
  const loads = worker === null ? 0 : 1;
  return {
    status: "open",
    fence: 1,
    worker,
    seq: 0,
    input: 0,
    wake: false,
    loads,
    steps: 0,
    cancelRequestedAt: null,
    blocked: null,
    endedAt: null,
  };
}

/** Where and when an event entered its journal. `number` is the store's own, of all runs' events; a delivery is known by it. */
export interface Entry {
  readonly number: number;
  readonly seq: number;
  readonly at: number;
}

/** The event as the journal holds it: with its number and date, and its span turned into an instant. */
export function recorded<E extends RunEvent>(event: E, entry: Entry): Recorded<E> {
  return stamped(event, entry) as Recorded<E>;
}

/** The kinds of every callback are written out: a spread that meets many shapes takes ten times as long, and its object 500 bytes more. */
function stamped(event: RunEvent, { number, seq, at }: Entry): Recorded {
  switch (event.kind) {
    case "hook_created":
      return stampedHook(event, seq, at);
    case "hook_received":
      return { kind: event.kind, position: event.position, payload: event.payload, key: event.key, delivery: number, seq, at };
    case "run_ended": {
      const { kind, turn, outcome, seen, unread, abandoned, warnings } = event;
      return { kind, turn, outcome, seen, unread, abandoned, warnings, seq, at };
    }
    case "timer_set":
      return { ...event, dueAt: dueAtOf(event.due, at), seq, at };
    default:
      return { ...event, seq, at };
  }
}

function stampedHook(created: HookCreated, seq: number, at: number): Recorded<HookCreated> {
  const {
    kind,
    turn,
    position,
    name,
    digest,
    purpose,
    address,
    url,
    payload,
    methods,
    response,
    metadata,
    definition,
    hasSchema,
    timeout,
    reserve,
  } = created;
  const expiresAt = timeout && dueAtOf(timeout, at);
  const stamped: Recorded<HookCreated> = {
    kind,
    turn,
    position,
    name,
    digest,
    purpose,
    address,
    url,
    payload,
    methods,
    response,
    metadata,
    definition,
    hasSchema,
    timeout,
    expiresAt,
    seq,
    at,
  };
  return reserve === undefined ? stamped : { ...stamped, reserve, reservedUntil: dueAtOf(reserve, at) };
}

function dueAtOf(due: Due, now: number): number {
  return "at" in due ? due.at : now + due.afterMs;
}

/** A row under work: nobody else holds it yet. */
export type Draft<P extends RunProgress> = { -readonly [K in keyof P]: P[K] };

/** The row after one more event (RR1). */
export function advance<P extends RunProgress>(progress: P, event: Recorded): P {
  const next: Draft<P> = { ...progress };
  fold(next, event);
  return next;
}

/** The same, written into the row. */
export function fold(row: Draft<RunProgress>, event: Recorded): void {
  if (row.endedAt !== null) throw new TypeError(`An event "${event.kind}" cannot follow the end of its run.`);
  row.seq = event.seq;
  if (isInput(event)) {
    row.input = event.seq;
    row.wake = true;
  }
  switch (event.kind) {
    case "step_scheduled":
      row.steps += 1;
      return;
    case "step_completed":
    case "step_failed":
      row.steps = Math.max(0, row.steps - 1);
      return;
    case "cancel_requested":
      row.cancelRequestedAt ??= event.at;
      return;
    case "run_continued":
      // What the old chapter still brings (outcomes of its steps) comes too late.
      row.fence += 1;
      row.steps = 0;
      return;
    case "run_blocked":
      row.status = "blocked";
      row.blocked = { reason: event.reason, codeId: event.codeId };
      return;
    case "run_unblocked":
      // The code that fits now has seen nothing yet.
      row.status = "open";
      row.blocked = null;
      row.wake = true;
      return;
    case "run_ended":
      row.status = event.outcome.type;
      row.blocked = row.worker = null;
      row.wake = false;
      row.steps = 0;
      row.endedAt = event.at;
      return;
    case "run_started":
    case "hook_registered":
    case "hook_conflicted":
    case "hook_received":
    case "hook_failed":
    case "timer_fired":
    case "child_started":
    case "child_refused":
    case "child_ended":
    case "hook_created":
    case "conflict_asked":
    case "hook_disposed":
    case "timer_set":
    case "timer_cancelled":
    case "child_scheduled":
    case "child_awaited":
    case "patch_taken":
    case "signal_aborted":
    case "url_read":
    case "attributes_set":
    case "value_published":
    case "step_attributes_set":
    case "step_retrying":
    case "step_restarted":
      return;
    default:
      return unknownKind(event);
  }
}

function unknownKind(event: never): never {
  throw new TypeError(`There is no event kind "${String((event as { kind?: unknown }).kind)}".`);
}

/** The row once code has seen all inputs up to `seen` and has made progress. */
export function settle<P extends RunProgress>(progress: P, seen: number): P {
  const next: Draft<P> = { ...progress };
  settleIn(next, seen);
  return next;
}

/** The same, written into the row. */
export function settleIn(row: Draft<RunProgress>, seen: number): void {
  row.wake = row.wake && row.input > seen;
  row.loads = 0;
}

/** The row once `worker` has taken the run up. A worker that takes up its own run again stays its author under the same fence. */
export function claimed<P extends RunProgress>(progress: P, worker: string): P {
  return { ...progress, worker, fence: progress.worker === worker ? progress.fence : progress.fence + 1, loads: progress.loads + 1 };
}

export function hasEnded(progress: Pick<RunProgress, "endedAt">): boolean {
  return progress.endedAt !== null;
}

/** Whether the run has something to do, and may. */
export function isRunnable(progress: RunProgress): boolean {
  return progress.status === "open" && (progress.wake || progress.steps > 0);
}

/** In what order a worker looks at runs it may advance: nobody's first, then its own that woke, then its own that wait for steps. */
export function urgency(progress: RunProgress, worker: string): 0 | 1 | 2 {
  return progress.worker !== worker ? 0 : progress.wake ? 1 : 2;
}

/** Whether code that carries `fence` may write (G4). */
export function mayWrite(progress: RunProgress, fence: number): boolean {
  return progress.endedAt === null && progress.fence === fence;
}

/** Whether `worker` may take the run up. `isDead` answers for a worker whose lease is over, or who never had one. */
export function mayClaim(progress: RunProgress, worker: string, isDead: (worker: string) => boolean): boolean {
  return progress.endedAt === null && (progress.worker === null || progress.worker === worker || isDead(progress.worker));
}

/** Whether a process that does not hold the run may run its code, to look. So many looks at once leave room for a load: none is one too many. */
export function mayLook(progress: RunProgress): boolean {
  return progress.status === "open" && progress.loads < limits.loadsWithoutProgress - 1;
}

/** The row while a process looks, and once it is through. */
export function looked<P extends RunProgress>(progress: P, isOver: boolean): P {
  return { ...progress, loads: isOver ? Math.max(0, progress.loads - 1) : progress.loads + 1 };
}

/** The word people read for where a run stands. */
export function runStateName(row: RunRow): RunStateName {
  if (row.status !== "open") return row.status;
  if (row.seq === 1 && row.wake) return "pending";
  return row.wake || row.steps > 0 ? "running" : "waiting";
}

/** Whether a second start under a used id means the same run. */
export function isSameStart(existing: Pick<NewRun, "workflow" | "args" | "token">, start: NewRun): boolean {
  return existing.workflow === start.workflow && existing.args === start.args && existing.token === start.token;
}

/** The first event of a run. */
export function startedBy(
  { workflow, codeId, args, seed, token }: NewRun,
  attributes: Attributes,
): RunEvent & { readonly kind: "run_started" } {
  const labels = Object.keys(attributes).length === 0 ? {} : { attributes };
  return { kind: "run_started", workflow, codeId, args, seed, ...(token === undefined ? {} : { token }), ...labels };
}

/** Judges a hook at `now` (RR3). Closed by `timeout` while the mark is open means that nobody has recorded the deadline yet. */
export function hookState(mark: HookMark, progress: Pick<RunProgress, "cancelRequestedAt" | "endedAt">, now: number): HookState {
  if (mark.holder !== null) return { type: "lost", holder: mark.holder };
  if (mark.closed !== null) return { type: "closed", by: mark.closed.by, at: mark.closed.at };
  if (progress.cancelRequestedAt !== null) return { type: "closed", by: "cancelled", at: progress.cancelRequestedAt };
  if (progress.endedAt !== null) return { type: "closed", by: "ended", at: progress.endedAt };
  if (mark.expiresAt !== null && now >= mark.expiresAt) return { type: "closed", by: "timeout", at: mark.expiresAt };
  return { type: "open" };
}

/** Whether the hook's token is still its run's, whatever became of hook and run; `dispose` gives it away (P12). */
export function isReserved({ reservedUntil = 0 }: HookCreated, mark: HookMark, now: number): boolean {
  return now < reservedUntil && mark.holder === null && mark.closed?.by !== "disposed";
}

/** The mark of a hook whose deadline is recorded at `now`. A deadline that was fired early closed the hook when it was fired. */
export function timedOut(mark: HookMark, now: number): HookMark {
  return { ...mark, closed: { by: "timeout", at: Math.min(mark.expiresAt ?? now, now) } };
}

/** The mark once code has disposed of the hook; what closed it before stands. */
export function disposed(mark: HookMark, now: number): HookMark {
  return mark.closed !== null || mark.holder !== null ? mark : { ...mark, closed: { by: "disposed", at: now } };
}

/** The address within which a delivery key is taken once (G2): the custom token, else the hook's place. The two cannot be equal. */
export function keyScope(address: { readonly token: string } | { readonly runKey: string; readonly position: number }): string {
  return "token" in address ? `=${address.token}` : `${address.runKey}:${address.position}`;
}

/** The same of a hook. */
export function hookScope(address: HookAddress, runKey: string, position: number): string {
  return keyScope(address.type === "custom" ? address : { runKey, position });
}

/** The address that `keyScope` has written. */
export function scopeAddress(scope: string): { readonly token: string } | { readonly runKey: string; readonly position: number } {
  if (scope.startsWith("=")) return { token: scope.slice(1) };
  const at = scope.lastIndexOf(":");
  return { runKey: scope.slice(0, at), position: Number(scope.slice(at + 1)) };
}

/** Whether a hook takes what was not judged for it: what its schema must judge, or is of another form, goes through the door once more. */
export function takesUnjudged(created: HookCreated, payload: Payload): boolean {
  if (created.hasSchema) return false;
  return payload.type === "value"
    ? created.payload === "json"
    : created.payload === "request" && created.methods.includes(payload.head.method);
}

/** Whether every store can compare the text exactly: SQLite's C strings end at NUL, and UTF-8 has no lone surrogates. */
export function isKeyText(text: string): boolean {
  return !/[\0\p{Cs}]/u.test(text);
}

/** Refuses what is no key text before it is stored under another name. */
export function assertKeyText(argument: string, text: string): void {
  if (isKeyText(text)) return;
  const message = `The ${argument} ${JSON.stringify(text)} holds a NUL or half a character, which not every store can keep. Choose another.`;
  throw badArgument(argument, text, message);
}

/** Whether another hook may be opened at its place: a name's hook may (CH3). */
export function mayReopen({ address, name }: HookCreated): boolean {
  return address.type === "minted" && name !== "";
}

/** The hook that a delivery was judged for. `opened`: its `seq`, where it may be another's place by now. */
export interface JudgedFor {
  readonly run: number;
  readonly position: number;
  readonly opened?: number;
}

/** Whether a delivery was judged for another hook than this one, which does not take it so. */
export function isMisjudged(
  delivery: { readonly payload: Payload; readonly judgedFor?: JudgedFor | null },
  run: number,
  created: Recorded<HookCreated>,
): boolean {
  const { judgedFor } = delivery;
  if (judgedFor === undefined) return false;
  const { opened = created.seq } = judgedFor ?? {};
  if (judgedFor?.run === run && judgedFor.position === created.position && opened === created.seq) return false;
  return !takesUnjudged(created, delivery.payload);
}
