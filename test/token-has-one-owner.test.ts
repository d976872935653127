// Who owns a custom token is decided in one place, one after the other: nothing falls between a look and a claim.

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compiledChild } from "./child/compiled.ts";
import { createHook, workflow } from "../src/index.ts";
import { HookConflictError } from "../src/errors.ts";
import { systemClock } from "../src/engine/clock.ts";
import { memoryStore } from "../src/store/memory/store.ts";
import type { Command, Outcome, Store } from "../src/store/port.ts";
import { loadDriver } from "../src/store/sqlite/driver.ts";
import { sqliteStore } from "../src/store/sqlite/store.ts";
import { asked, custom, deliver, disposeOf, hookCreated, newRun, runEnded, start } from "../src/testing/law/world.ts";
import { createManualClock } from "../src/testing/manual-clock.ts";
import { createWorld, modes } from "./harness.ts";

const isLong = process.env["RINGBACK_LONG"] === "1";
const rounds = isLong ? 20 : 3;

/** What two meet with at the token. Run `a` has the hook, at position 1; run `b` has none yet. */
const moves = {
  deliver: ({ token }: Runs): Command => deliver({ token }, { key: "k1", digest: "d1" }),
  "deliver early": ({ token }: Runs): Command => deliver({ token }, { earlyMs: 60_000, judgedFor: null }),
  claim: ({ b, token }: Runs): Command => ({ op: "append", run: b, fence: 1, events: [hookCreated(1, at(token))], seen: 1 }),
  "claim to judge": ({ b, token }: Runs): Command => ({
    op: "append",
    run: b,
    fence: 1,
    events: [hookCreated(1, { ...at(token), hasSchema: true })],
    seen: 1,
  }),
  dispose: ({ a }: Runs): Command => ({ op: "append", run: a, fence: 1, events: [disposeOf(1, 2)], seen: 1 }),
  "end of the run": ({ a }: Runs): Command => ({ op: "append", run: a, fence: 1, events: [runEnded()], seen: 1 }),
  "make again": ({ a, token }: Runs): Command => ({
    op: "append",
    run: a,
    fence: 1,
    events: [disposeOf(1, 2), { ...hookCreated(3, at(token)), ...asked(3) }],
    seen: 1,
  }),
  "claim and end": ({ b, token }: Runs): Command => ({
    op: "append",
    run: b,
    fence: 1,
    events: [hookCreated(1, at(token)), runEnded()],
    seen: 1,
  }),
  "start with it": ({ token }: Runs): Command => ({ op: "start", run: newRun(`${token}-c`, { token }), worker: null }),
};
function at(token: string): { readonly address: ReturnType<typeof custom> } {
  return { address: custom(token) };
}
type Move = keyof typeof moves;
interface Runs {
  readonly a: number;
  readonly b: number;
  readonly token: string;
}

/** With the hook, or (`free`) before anybody has claimed the token. */
async function prepare(store: Store, token: string, isFree: boolean): Promise<Runs> {
  const begun = await store.commit([start(`${token}-a`, null), start(`${token}-b`, null)]);
  const [a, b] = begun.map((outcome) => (outcome as { row: { run: number } }).row.run) as [number, number];
  if (!isFree) await store.commit([{ op: "append", run: a, fence: 1, events: [hookCreated(1, at(token))], seen: 1 }]);
  return { a, b, token };
}

/** What each was told, and what is there afterwards, without numbers. */
async function record(store: Store, outcomes: readonly Outcome[], runs: Runs): Promise<unknown> {
  const journals = await Promise.all([runs.a, runs.b].map((run) => store.journal(run, 0)));
  const owner = await store.hook({ token: runs.token });
  return {
    told: outcomes.map((outcome) => [outcome.type, "by" in outcome ? outcome.by : null]),
    journals: journals.map((events) => events.map(({ kind, ...event }) => ("position" in event ? `${kind} ${event.position}` : kind))),
    owner: owner && [owner.run === runs.a ? "a" : "b", owner.created.position, owner.state.type],
    toJudge: (await store.held({ of: "claimed", limit: 1_000 })).filter(({ address }) => "token" in address && address.token === runs.token)
      .length,
  };
}

/** The same two moves, one after the other, on the memory store. */
async function inOrder(moved: readonly [Move, Move], order: readonly [0 | 1, 0 | 1], isFree: boolean): Promise<unknown> {
  const store = memoryStore({ clock: createManualClock() });
  await store.open({ role: "worker" });
  const runs = await prepare(store, "x", isFree);
  const outcomes: Outcome[] = [];
  for (const at of order) [outcomes[at]] = (await store.commit([moves[moved[at]](runs)])) as [Outcome];
  return record(store, outcomes, runs);
}

describe("two processes on one file meet at a token, both at the gate when it opens", () => {
  let children: Gated[];
  let folder: string;
  let path: string;
  let store: Store;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "ringback-gate-"));
    path = join(folder, "gate.db");
    store = sqliteStore({ path, clock: systemClock });
    await store.open({ role: "worker" });
    children = [await Gated.start(path), await Gated.start(path)];
  });
  afterAll(async () => {
    for (const child of children) await child.end();
    await store.close();
    rmSync(folder, { recursive: true });
  });

  const names = Object.keys(moves) as Move[];
  const pairs = names.flatMap((one, at) => names.slice(at).map((other) => [one, other] as const));
  // What one run's code decides comes from one worker, one after the other.
  const possible = pairs.filter(([one, other]) => whose(one) !== whose(other) || whose(one) === "outside");
  let played = 0;

  test.each(possible)("%s against %s", async (one, other) => {
    for (const isFree of [false, true]) {
      if (isFree && (whose(one) === "a" || whose(other) === "a")) continue;
      const allowed = [await inOrder([one, other], [0, 1], isFree), await inOrder([one, other], [1, 0], isFree)];
      for (let round = 0; round < rounds; round++) {
        const runs = await prepare(store, `t${played++}`, isFree);
        const outcomes = await meet(path, children, [moves[one](runs), moves[other](runs)]);
        expect(allowed).toContainEqual(await record(store, outcomes, runs));
      }
    }
  });
});

function whose(move: Move): "a" | "b" | "c" | "outside" {
  if (move === "start with it") return "c";
  if (move.startsWith("deliver")) return "outside";
  return move.includes("claim") ? "b" : "a";
}

/** Both are told to commit while a third holds the write lock; when it lets go, they race. */
async function meet(path: string, children: readonly Gated[], commands: readonly Command[]): Promise<Outcome[]> {
  // The store's own library: two copies of SQLite in one process must not share a file.
  const Database = await loadDriver();
  const gate = new Database(path);
  gate.exec("begin immediate");
  await Promise.all(children.map((child, at) => child.say(commands[at])));
  gate.exec("rollback");
  gate.close();
  return Promise.all(children.map((child) => child.hear())) as Promise<Outcome[]>;
}

class Gated {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
  }

  static async start(path: string): Promise<Gated> {
    const gated = new Gated(spawn(process.execPath, [compiledChild("child/gate"), path], { stdio: ["pipe", "pipe", "inherit"] }));
    await gated.#hears("open");
    return gated;
  }

  /** Resolves when the child is about to commit. */
  async say(command: Command | undefined): Promise<void> {
    this.#child.stdin?.write(`${JSON.stringify(command)}\n`);
    await this.#hears("ready");
  }

  async #hears(expected: string): Promise<void> {
    const told = await this.hear();
    if (told !== expected) throw new Error(`The other process said ${JSON.stringify(told)}, not "${expected}".`);
  }

  async hear(): Promise<unknown> {
    return JSON.parse((await this.#lines.next()).value as string);
  }

  async end(): Promise<void> {
    const gone = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.stdin?.end();
    await gone;
  }
}

describe.each(modes)("%s", (mode) => {
  test(`12 runs claim one token at once, ${isLong ? 200 : 20} times: one owner each time, the others told who it is`, async () => {
    const wf = workflow("claims", async (round: number) => {
      const hook = createHook<string>({ token: `seat:${round}` });
      try {
        return ["owner", await hook];
      } catch (error) {
        if (error instanceof HookConflictError) return ["lost", error.details.holder];
        throw error;
      }
    });
    const world = await createWorld([wf], { mode });
    for (let round = 0; round < (isLong ? 200 : 20); round++) {
      const runs = await Promise.all(
        Array.from({ length: 12 }, (_, at) =>
          (world.engines[at % world.engines.length] ?? world.engine).start(wf, [round], { id: `r${round}-${at}` }),
        ),
      );
      await world.settled();
      const { runId: owner } = await world.engine.getHookByToken(`seat:${round}`);
      await world.engine.resumeHook(`seat:${round}`, "yours");
      const values = await Promise.all(runs.map((run) => run.returnValue));
      const wanted = runs.map((run) => (run.runId === owner ? ["owner", "yours"] : ["lost", owner]));
      expect(values).toEqual(wanted);
    }
  });

  test("a reserved token is its run's also after the run's end; then it is free", async () => {
    const wf = workflow("once", async (reserve: string, word: "reserve" | "experimental_minRetention") => {
      const hook = createHook<string>({ token: "order:42", [word]: reserve });
      const owner = await hook.getConflict();
      return owner ? `run ${owner.runId} has it` : await hook;
    });
    const world = await createWorld([wf], { mode });
    const first = await world.start(wf, "7d", "reserve");
    await world.restart();
    await world.engine.resumeHook("order:42", "paid");
    expect(await world.engine.getRun(first.runId).returnValue).toBe("paid");
    await world.advance(6 * 86_400_000);
    expect(await (await world.start(wf, "7d", "reserve")).returnValue).toBe(`run ${first.runId} has it`);
    await expect(world.engine.resumeHook("order:42", "again")).rejects.toMatchObject({ code: "hook_closed" });
    expect(await world.engine.getHookByToken("order:42")).toMatchObject({ runId: first.runId, state: "closed" });
    await world.advance(86_400_000);
    const next = await world.start(wf, "30d", "experimental_minRetention");
    await world.engine.resumeHook("order:42", "paid again");
    expect(await next.returnValue).toBe("paid again");
    expect(await world.engine.getHookByToken("order:42")).toMatchObject({ reservedUntil: new Date(world.clock.now() + 30 * 86_400_000) });
  });

  test("a purge leaves a run that has reserved its token; disposed, the token is free at once", async () => {
    const wf = workflow("keeps", async (isLetGo: boolean) => {
      const hook = createHook({ token: "seat:1", reserve: "20d" });
      if (await hook.getConflict()) return "taken";
      if (isLetGo) hook.dispose();
      return "mine";
    });
    const world = await createWorld([wf], { mode, retention: { runs: "1d" } });
    expect(await (await world.start(wf, true)).returnValue).toBe("mine");
    const kept = await world.start(wf, false);
    expect(await kept.returnValue).toBe("mine");
    await world.advance(15 * 86_400_000);
    await world.engine.purge({ olderThan: "1d" });
    expect([await kept.exists, await (await world.start(wf, false)).returnValue]).toEqual([true, "taken"]);
    await world.advance(5 * 86_400_000);
    await world.engine.purge({ olderThan: "1d" });
    expect([await kept.exists, await (await world.start(wf, false)).returnValue]).toEqual([false, "mine"]);
  });

  test("of two words for one thing a hook takes one", async () => {
    const wf = workflow("both", async () => void createHook({ token: "t", reserve: "1d", experimental_minRetention: "2d" }));
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    await expect(run.returnValue).rejects.toMatchObject({
      cause: { code: "bad_argument", details: { argument: "experimental_minRetention" } },
    });
  });
});
