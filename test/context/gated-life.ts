// One run of a workflow with a webhook, whose worker commits only when it is told to: what happens outside is put before any of its commits,
// or between a commit and its answer. A door of its own delivers, starts and cancels meanwhile, as another process would.

import { setImmediate } from "node:timers";
import { defineWorkflow, type FunctionWorkflow, WorkflowEngine } from "../../src/context.ts";
import type { Recorded, RunEvent } from "../../src/core/event.ts";
import type { Command, Outcome, Store } from "../../src/store/port.ts";
import { createManualClock } from "../../src/testing/manual-clock.ts";
import { createEngine } from "../../src/wiring.ts";
import { epoch, testKeys } from "../harness.ts";
import { publicUrl } from "./world.ts";

type HookReceived = RunEvent & { readonly kind: "hook_received" };

/** What happens outside, one thing at a time. */
export type Happening = "send" | "hour" | "cancel" | "crash";

/** `slots`: before which moment each happens: 0 before the worker's first commit, 1 when that is done and not answered, 2 before the second … */
export interface Plan {
  readonly happenings: readonly Happening[];
  readonly slots: readonly number[];
}

export interface Lived {
  readonly journal: readonly Recorded[];
  /** What the code returned, or how else the run stands. */
  readonly result: unknown;
  /** Of each delivery: what its sender was told, and what the journal it was told on said. */
  readonly told: readonly { readonly is: string; readonly wanted: string }[];
  /** The journal when nothing more came of itself, before the run was helped to its end. */
  readonly rested: readonly Recorded[];
  readonly isRestedOver: boolean;
  /** Timers that were due and had not fired by then. */
  readonly overdue: number;
  readonly moments: number;
}

const hour = 3_600_000;
const deadlineMs = 1.5 * hour;
const restPasses = 4;
const pass = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** A store of several engines, whose life the test holds. */
function shared(store: Store, commit: Store["commit"]): Store {
  const own: Partial<Store> = { commit, open: async () => {}, close: async () => {} };
  return new Proxy(store, {
    get(target, key) {
      if (key in own) return own[key as keyof Store];
      const value: unknown = Reflect.get(target, key);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** Commits that are about to wake, claim or end nothing are nobody's moment. */
const isQuiet = ({ op }: Command): boolean => op === "park" || op === "beat" || op === "release" || op === "remember_key";

/** Holds one commit at a time. */
class Gate {
  held: { readonly group: readonly Command[]; readonly answer: (outcomes: readonly Outcome[]) => void } | null = null;
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  commit(group: readonly Command[]): Promise<readonly Outcome[]> {
    if (group.every(isQuiet)) return this.#store.commit(group);
    return new Promise((answer) => {
      this.held = { group, answer };
    });
  }
}

export class GatedLife {
  readonly #clock = createManualClock(epoch);
  readonly #store: Store;
  readonly #hotRuns: number;
  readonly #workflow: FunctionWorkflow<undefined, unknown[]>;
  readonly #door: WorkflowEngine;
  #gate: Gate;
  #worker: WorkflowEngine;
  #token: string | null = null;
  #sent = 0;
  readonly #told: { readonly is: string; readonly wanted: string }[] = [];

  constructor(makeStore: (clock: ReturnType<typeof createManualClock>) => Store, hotRuns: number) {
    this.#store = makeStore(this.#clock);
    this.#hotRuns = hotRuns;
    this.#workflow = defineWorkflow<undefined, unknown[]>({ name: "gated" }, async (ctx) => {
      const hook = ctx.webhook<number>({ timeout: deadlineMs });
      this.#token = hook.token;
      await ctx.step("hand-out", () => {});
      const got: unknown[] = [];
      while (got.length < 2) {
        try {
          got.push(await hook.wait({ timeout: hour }));
        } catch (error) {
          const { name } = error as Error;
          if (name === "RunCancelledError") throw error;
          got.push(name);
        }
      }
      await ctx.step("after", () => {});
      return got;
    });
    this.#gate = new Gate(this.#store);
    this.#worker = this.#newWorker();
    this.#door = this.#engine("ingress", (group) => this.#store.commit(group));
  }

  #engine(role: "worker" | "ingress", commit: Store["commit"]): WorkflowEngine {
    const store = shared(this.#store, commit);
    const shape = { role, clock: this.#clock, keys: testKeys, leaseMs: 1e12, logger: false, hotRuns: this.#hotRuns } as const;
    return new WorkflowEngine(createEngine({ ...shape, store, webhookUrl: publicUrl }), { workflows: [this.#workflow] });
  }

  #newWorker(): WorkflowEngine {
    const gate = new Gate(this.#store);
    this.#gate = gate;
    return this.#engine("worker", (group) => gate.commit(group));
  }

  async live({ happenings, slots }: Plan): Promise<Lived> {
    await this.#store.open({ role: "worker" });
    await this.#door.open();
    await this.#worker.open();
    const { runId } = await this.#door.start(this.#workflow, undefined, "run");
    let moment = 0;
    let at = 0;
    const happen = async (): Promise<void> => {
      for (; at < happenings.length && (slots[at] as number) <= moment; at++) await this.#happen(happenings[at] as Happening, runId);
    };
    const drain = async (): Promise<void> => {
      while (await this.#isHeld()) {
        await happen();
        const { held } = this.#gate;
        moment++;
        if (!held) continue; // it crashed before
        const outcomes = await this.#store.commit(held.group);
        await happen();
        moment++;
        if (this.#gate.held !== held) continue;
        this.#gate.held = null;
        held.answer(outcomes);
      }
    };
    await drain();
    const moments = moment;
    for (; at < happenings.length; await drain()) {
      moment = slots[at] as number;
      await happen();
    }
    const rested = await this.#journal();
    const isRestedOver = rested.at(-1)?.kind === "run_ended";
    const overdue = (await this.#store.due(this.#clock.now(), 10)).length;
    for (let n = 0; n < 2; n++) {
      await this.#send();
      await drain();
    }
    const journal = await this.#journal();
    const run = this.#door.getRun<unknown[]>(runId);
    const state = await run.state;
    const result = state === "completed" ? await run.returnValue : state;
    await this.#worker.engine.core.abandon();
    await this.#door.engine.core.abandon();
    await this.#store.close();
    return { journal, result, told: this.#told, rested, isRestedOver, overdue, moments };
  }

  async #journal(): Promise<readonly Recorded[]> {
    const row = await this.#store.run({ id: "run" });
    return row ? this.#store.journal(row.run, 0) : [];
  }

  /** Until the worker waits for its store, or for nothing that comes of itself. */
  async #isHeld(): Promise<boolean> {
    for (let quiet = 0; quiet < restPasses; ) {
      await pass();
      if (this.#gate.held) return true;
      quiet = this.#worker.engine.core.isIdle && this.#door.engine.core.isIdle ? quiet + 1 : 0;
    }
    return false;
  }

  async #happen(what: Happening, runId: string): Promise<void> {
    if (what === "send") await this.#send();
    else if (what === "hour") this.#clock.advance(hour);
    else if (what === "cancel") await this.#door.getRun(runId).cancel();
    else await this.#crash();
  }

  async #send(): Promise<void> {
    if (this.#token === null) return; // not minted, so nobody can have it
    const wanted = dispositionOf(await this.#journal(), this.#clock.now());
    const { disposition } = await this.#door.signal(this.#token, ++this.#sent);
    this.#told.push({ is: disposition, wanted });
  }

  /** What is held is never committed; what was committed and not answered, stands. */
  async #crash(): Promise<void> {
    const { id } = this.#worker.engine.core;
    await this.#worker.engine.core.abandon();
    await this.#store.commit([{ op: "release", worker: id }]);
    this.#worker = this.#newWorker();
    await this.#worker.open();
  }
}

/** What a sender is to be told now. */
function dispositionOf(journal: readonly Recorded[], now: number): string {
  const minted = journal.find((event) => event.kind === "hook_created");
  if (!minted) return "unknown"; // its own code has the address, and has given it to nobody
  const isOver = journal.some(({ kind }) => kind === "run_ended" || kind === "cancel_requested" || kind === "hook_failed");
  return isOver || now >= minted.at + deadlineMs ? "closed" : "accepted";
}

/** What has to come of a journal: what the code returns and how much nobody has read; `result` is null while it waits. */
export function outcomeOf(journal: readonly Recorded[]): { readonly result: unknown; readonly unread: number } {
  const timers: number[] = [];
  const queue: unknown[] = [];
  const got: unknown[] = [];
  let isPastDeadline = false;
  let steps = 0;
  let isCancelled = false;
  for (const event of journal) {
    if (event.kind === "timer_set") timers.push(event.position);
    else if (event.kind === "hook_received") queue.push(valueOf(event));
    else if (event.kind === "step_completed" && !isCancelled) steps++;
    else if (event.kind === "hook_failed") isPastDeadline = true;
    else if (event.kind === "cancel_requested") isCancelled = steps < 2;
    else if (event.kind === "timer_fired" && steps > 0 && got.length < 2 && timers[got.length] === event.position)
      got.push("SignalTimeoutError");
    while (steps > 0 && !isCancelled && got.length < 2 && (queue.length > 0 || isPastDeadline))
      got.push(queue.length > 0 ? queue.shift() : "HookTimeoutError");
  }
  return { result: isCancelled ? "cancelled" : steps === 2 ? got : null, unread: queue.length };
}

function valueOf({ payload }: HookReceived): number {
  if (payload.type !== "value") throw new Error("The door delivers values.");
  return Number(/\d+/.exec(payload.value)?.[0]);
}
