// What a law of the store suite works with: a store under a manual clock, and short ways to say common commands.

import type {
  HookAddress,
  HookCreated,
  NewRun,
  Payload,
  Recorded,
  ResponsePolicy,
  RunContinued,
  RunEvent,
  RunOutcome,
} from "../../core/event.ts";
import type {
  Address,
  Append,
  Command,
  Deliver,
  DeliverOutcome,
  HookRow,
  Notice,
  Outcome,
  OutcomeOf,
  RunNumber,
  RunRow,
  Store,
  StreamPart,
  StreamPlace,
  Write,
  WriteOutcome,
} from "../../store/port.ts";
import type { ManualClock } from "../manual-clock.ts";

/** A runner's `test`: a name and a body that rejects when the law is broken. */
export type TestFunction = (name: string, body: () => Promise<void>) => unknown;
/** A runner's `expect`, of which only deep equality is used. */
export type ExpectFunction = (actual: unknown) => { toEqual(expected: unknown): unknown };

/** A store to be held against the laws, not opened yet, on data of its own. */
export interface StoreSubject {
  /** The store, not opened. */
  readonly store: Store;
  /** Another store on the same data, not opened yet. The first one is closed by then. */
  reopen?(): Promise<Store>;
  /** Called when the law is over and the store is closed. */
  dispose?(): Promise<void>;
}

/** A law: its name, and what must hold. */
export interface Law {
  readonly name: string;
  readonly holds: (world: World) => Promise<void>;
}

export type AppendEvent = Append["events"][number];
type Reader = RunNumber | { readonly run: RunNumber };

export const leaseMs = 15_000;

export class World {
  store: Store;
  readonly clock: ManualClock;
  readonly expect: ExpectFunction;
  readonly notices: Notice[] = [];
  readonly #subject: StoreSubject;

  constructor(subject: StoreSubject, clock: ManualClock, expect: ExpectFunction) {
    this.#subject = subject;
    this.store = subject.store;
    this.clock = clock;
    this.expect = expect;
  }

  /** Opens the store; the workers `A` and `B` live. */
  async open(): Promise<void> {
    await this.store.open({ role: "worker" });
    this.store.subscribe((notice) => this.notices.push(notice));
    await this.store.commit([beat("A"), beat("B")]);
  }

  /** Closes the store and opens another one on the same data; false where the subject keeps none. */
  async reopen(): Promise<boolean> {
    if (this.#subject.reopen === undefined) return false;
    await this.store.close();
    this.store = await this.#subject.reopen();
    await this.open();
    return true;
  }

  async over(): Promise<void> {
    await this.store.close();
    await this.#subject.dispose?.();
  }

  async commit(...group: readonly Command[]): Promise<readonly Outcome[]> {
    return this.store.commit(group);
  }

  async do<C extends Command>(command: C): Promise<OutcomeOf<C>> {
    const [outcome] = await this.store.commit([command]);
    if (outcome!.type === "broken") throw (outcome as { error: unknown }).error;
    return outcome as OutcomeOf<C>;
  }

  /** Begins a run for worker `A`. */
  async begin(id: string, run: Partial<NewRun> = {}): Promise<RunRow> {
    return rowIn(await this.do({ op: "start", run: newRun(id, run), worker: "A" }));
  }

  /** Appends under the run's current fence, having seen everything before. Returns the new events. */
  async append(of: Reader, ...events: readonly AppendEvent[]): Promise<readonly Recorded[]> {
    const { run, fence, seq } = await this.row(of);
    const outcome = await this.do({ op: "append", run, fence, events, seen: seq });
    return outcome.type === "appended" ? outcome.events : [];
  }

  /** A run with one hook at position 1. */
  async waiting(id: string, hook: Partial<HookCreated> = {}): Promise<RunRow> {
    const { run } = await this.begin(id);
    await this.append(run, hookCreated(1, hook));
    return this.row(run);
  }

  /** Writes to a stream under the writer's current fence. */
  async write(by: Reader, write: Partial<Write> = {}): Promise<WriteOutcome> {
    const { run, fence } = await this.row(by);
    return this.do({ op: "write", run, fence, stream: "=", chunks: [], isLast: false, ...write });
  }

  async stream(of: Reader, place: Partial<StreamPlace> = {}): Promise<StreamPart | null> {
    return this.store.stream({ run: typeof of === "number" ? of : of.run, stream: "=", from: 0, bytes: 1_000, ...place });
  }

  async row(of: Reader): Promise<RunRow> {
    return (await this.store.run({ run: typeof of === "number" ? of : of.run }))!;
  }

  async deliver(address: Address, delivery: Partial<Deliver> = {}): Promise<DeliverOutcome> {
    return this.do(deliver(address, delivery));
  }

  async kinds(of: Reader): Promise<readonly RunEvent["kind"][]> {
    return (await this.journal(of)).map((event) => event.kind);
  }

  async journal(of: Reader): Promise<readonly Recorded[]> {
    return this.store.journal(typeof of === "number" ? of : of.run, 0);
  }

  async hook(address: Address): Promise<HookRow> {
    return (await this.store.hook(address))!;
  }

  equal(actual: unknown, expected: unknown): void {
    this.expect(actual).toEqual(expected);
  }

  /** Holds only what `expected` names. */
  like(actual: object | null | undefined, expected: Readonly<Record<string, unknown>>): void {
    const named = Object.keys(expected).map((name) => [name, (actual as Record<string, unknown> | null | undefined)?.[name]]);
    this.expect(Object.fromEntries(named)).toEqual(expected);
  }
}

/** The row in the outcome of a start that was not refused for its token or its first delivery. */
export function rowIn(outcome: OutcomeOf<Command & { op: "start" }>): RunRow {
  if (!("row" in outcome)) throw new TypeError(`No run was started: ${outcome.type}.`);
  return outcome.row;
}

export function beat(worker: string, ms: number = leaseMs): Command {
  return { op: "beat", worker, leaseMs: ms };
}

export function newRun(id: string, run: Partial<NewRun> = {}): NewRun {
  return {
    id,
    key: `key-of-${id}`,
    workflow: "checkout",
    codeId: "code-1",
    args: '[["order-1"]]',
    seed: "00112233445566778899aabbccddeeff",
    ...run,
  };
}

export function start(id: string, worker: string | null = "A"): Command {
  return { op: "start", run: newRun(id), worker };
}

export function minted(id: string, position = 1): Address {
  return { runKey: `key-of-${id}`, position };
}

export function custom(token: string): HookAddress {
  return { type: "custom", token, hash: `hash-of-${token}` };
}

export function asked(position: number): { turn: number; position: number; name: string; digest: string } {
  return { turn: 1, position, name: `call-${position}`, digest: "0123456789abcdef" };
}

export function hookCreated(position: number, hook: Partial<HookCreated> = {}): HookCreated {
  return {
    kind: "hook_created",
    ...asked(position),
    purpose: "webhook",
    address: { type: "minted", kid: "kid-1", generation: 0, hash: `hash-${position}` },
    url: null,
    payload: "json",
    methods: ["POST"],
    response: { mode: "accepted" },
    metadata: null,
    definition: null,
    hasSchema: false,
    timeout: null,
    ...hook,
  };
}

export const manual: ResponsePolicy = { mode: "manual", withinMs: 25_000 };

export function disposeOf(hook: number, position: number): AppendEvent {
  return { kind: "hook_disposed", ...asked(position), hook };
}

export function timerSet(position: number, afterMs: number): AppendEvent {
  return { kind: "timer_set", ...asked(position), due: { afterMs } };
}

export function valuePublished(position: number, key: string, value: string): AppendEvent {
  return { kind: "value_published", ...asked(position), name: key, value };
}

export function stepScheduled(position: number): AppendEvent {
  return { kind: "step_scheduled", ...asked(position), input: '["in"]' };
}

export function runEnded(outcome: RunOutcome = { type: "completed", result: '["done"]' }): AppendEvent {
  return { kind: "run_ended", turn: 2, outcome, seen: 1, unread: [], abandoned: [], warnings: [] };
}

export function runContinued(continued: Partial<RunContinued> = {}): RunContinued {
  return {
    kind: "run_continued",
    codeId: "code-1",
    args: '["next"]',
    seed: "ffeeddccbbaa99887766554433221100",
    lastPosition: 1,
    seen: 1,
    carried: [],
    names: [],
    closed: [],
    awaited: [],
    unread: [],
    abandoned: [],
    warnings: [],
    ...continued,
  };
}

export function runBlocked(codeId: string): AppendEvent {
  return { kind: "run_blocked", reason: "changed_code", codeId, message: "The code has changed.", diff: null };
}

export function json(text: string): Payload {
  return { type: "value", value: text };
}

export function deliver(address: Address, delivery: Partial<Deliver> = {}): Deliver {
  return { op: "deliver", address, key: null, digest: null, payload: json('["paid"]'), ...delivery };
}

export function cancel(run: RunNumber): Command & { op: "cancel" } {
  return { op: "cancel", run, graceMs: 60_000 };
}
