// Several versions of one workflow: each run goes on with the one it began with, and waits where that is not registered (G5, G7).

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { start } from "../src/api.ts";
import { pinnedCode, pinOf, type WorkflowDefinition } from "../src/core/definition.ts";
import { allowReloading, Registry, sourceId } from "../src/engine/registry.ts";
import { continueAsNew, createHook, getWorkflowMetadata, sleep, step, workflow } from "../src/index.ts";
import { memoryStore } from "../src/store/memory/store.ts";
import { createManualClock } from "../src/testing/manual-clock.ts";
import { settled } from "../src/testing/settled.ts";
import { createEngine, type Engine, type EngineOptions } from "../src/wiring.ts";
import { runChild } from "./child/child.ts";
import { coldModes, createWorld, epoch, testKeys, type World } from "./harness.ts";
import { type AnyWorkflow, type Body, pinned, pinnedAs } from "./pinned.ts";

const say = step("say", async (text: string) => text);

/** Versions whose journals part at their first step. */
const order = (pin: string, asked = `by ${pin}`): AnyWorkflow =>
  pinned(
    "order",
    pin,
    async (id: string) => {
      const said = await say(asked === "fixed" ? "by 1" : asked);
      const hook = createHook<string>({ token: `order-${id}` });
      return `${said}: ${await hook}`;
    },
    asked,
  );

const blockedEvents = async (world: Pick<World, "journal">, run: { readonly runId: string }) =>
  (await world.journal(run)).filter((event) => event.kind === "run_blocked");

/** Longer than a run without its version is left alone, wherever it is. */
const patience = 20_000;

describe.each(coldModes)("versions of a workflow (%s)", (mode) => {
  test("a run goes on with the version it began with, and new ones begin with what is asked for", async () => {
    const world = await createWorld([order("1")], { mode });
    const old = await world.start(order("1"), "a");
    await world.restart({ workflows: [order("1"), order("2")] });
    const fresh = await world.start(order("2"), "b");
    const again = await world.start(order("1"), "c");
    for (const id of ["a", "b", "c"]) await world.engine.signal(`order-${id}`, id);
    await world.advance(patience);
    const ends = [old, fresh, again].map(({ runId }) => world.engine.getRun(runId).returnValue);
    expect(await Promise.all(ends)).toEqual(["by 1: a", "by 2: b", "by 1: c"]);
    expect(await blockedEvents(world, old)).toEqual([]);
  });

  test("without its version a run is set aside, keeps what comes, and goes on at once when that is registered; others notice nothing", async () => {
    const world = await createWorld([order("1")], { mode });
    const [old, cancelled, quiet] = [
      await world.start(order("1"), "a"),
      await world.start(order("1"), "b"),
      await world.start(order("1"), "c"),
    ];
    await world.restart({ workflows: [order("2"), order("3")] });
    const fresh = await world.start(order("2"), "d");
    const send = async (id: string, value: string) => (await world.engine.signal(`order-${id}`, value, { key: value })).disposition;
    expect([await send("a", "one"), await send("a", "one"), await send("d", "two")]).toEqual(["accepted", "duplicate", "accepted"]);
    await world.settled();
    expect(await world.engine.getRun(fresh.runId).returnValue).toBe("by 2: two");
    await world.advance(patience);
    const handle = world.engine.getRun(old.runId);
    expect([await handle.state, await world.engine.getRun(quiet.runId).state]).toEqual(["blocked", "waiting"]);
    expect(await handle.blocked).toEqual({
      reason: "changed_code",
      message: `Run ${old.runId} (order) began with version "1" of its workflow, and registered here: "2", "3". The run is kept as it is. Register version "1" beside the others, and it goes on; or cancel it.`,
      difference: null,
    });
    expect(await send("a", "more")).toBe("accepted");
    for (let look = 0; look < 5; look++) await world.advance(5_000);
    const [event, ...more] = await blockedEvents(world, old);
    expect(more).toEqual([]);
    expect(event).toMatchObject({ codeId: expect.stringMatching(/^3@[0-9a-f]{16}$/), diff: null });
    expect((await world.engine.listRuns({ state: "blocked" })).map(({ runId, isRegistered }) => [runId, isRegistered])).toEqual([
      [old.runId, false],
    ]);
    expect(world.lines.filter((line) => line.includes('began with version "1"')).length).toBe(1);
    await world.engine.getRun(cancelled.runId).cancel();
    await world.advance(60_000);
    expect(await world.engine.getRun(cancelled.runId).status).toBe("cancelled");

    for (const engine of world.engines) engine.register(order("1"));
    await world.advance(100);
    if (mode === "two-workers") await world.advance(5_000);
    expect(await world.engine.getRun(old.runId).returnValue).toBe("by 1: one");
    expect(await blockedEvents(world, old)).toHaveLength(1);
  });

  test("timers fire and deadlines count while its version is missing", async () => {
    const waits = (pin: string): AnyWorkflow =>
      pinned("waits", pin, async () => {
        const [hook, nap] = [createHook<string>({ token: "short", timeout: "1m" }), sleep("2m")];
        const told = await hook.catch((error: unknown) => (error as Error).name);
        await nap;
        return `${told} ${pin}`;
      });
    const world = await createWorld([waits("1")], { mode });
    const run = await world.start(waits("1"));
    await world.restart({ workflows: [waits("2")] });
    await world.advance(60_000);
    expect(await world.engine.signal("short", "late")).toMatchObject({ disposition: "closed", by: "timeout" });
    await world.advance(60_000);
    expect((await world.journal(run)).map(({ kind }) => kind)).toEqual(
      expect.arrayContaining(["hook_failed", "run_blocked", "timer_fired"]),
    );
    await world.restart({ workflows: [waits("2"), waits("1")] });
    expect(await world.engine.getRun(run.runId).returnValue).toBe("HookTimeoutError 1");
  });

  test("a start of the process that has the version again is enough", async () => {
    const world = await createWorld([order("1")], { mode });
    const run = await world.start(order("1"), "a");
    await world.restart({ workflows: [order("2")] });
    await world.engine.signal("order-a", "kept");
    await world.advance(patience);
    expect(await world.engine.getRun(run.runId).state).toBe("blocked");
    await world.restart({ workflows: [order("2")] });
    await world.advance(patience);
    expect(await blockedEvents(world, run)).toHaveLength(1);
    await world.restart({ workflows: [order("1"), order("2")] });
    expect(await world.engine.getRun(run.runId).returnValue).toBe("by 1: kept");
  });

  test("a version that is registered soon after the engine was opened sets nothing aside", async () => {
    const world = await createWorld([order("1")], { mode });
    const run = await world.start(order("1"), "a");
    await world.restart({ workflows: [order("2")] });
    await world.engine.signal("order-a", "early");
    await world.settled();
    for (const { core } of world.engines) core.register(pinnedAs("other", "1", async () => {}));
    for (const engine of world.engines) engine.register(order("1"));
    await world.advance(100);
    expect(await world.engine.getRun(run.runId).returnValue).toBe("by 1: early");
    expect(await blockedEvents(world, run)).toEqual([]);
  });

  test("code that is edited under its version is tried by that version's runs, and by no others", async () => {
    const world = await createWorld([order("1"), order("2")], { mode });
    const [first, second] = [await world.start(order("1"), "a"), await world.start(order("2"), "b")];
    await world.restart({ workflows: [order("1", "broken"), order("2")] });
    for (const id of ["a", "b"]) await world.engine.signal(`order-${id}`, id);
    await world.advance(patience);
    expect(await world.engine.getRun(second.runId).returnValue).toBe("by 2: b");
    expect((await world.engine.getRun(first.runId).blocked)?.difference).toMatchObject({ found: "step say with other input" });
    for (let look = 0; look < 3; look++) await world.advance(5_000);
    expect(await blockedEvents(world, first)).toHaveLength(1);
    await world.restart({ workflows: [order("1", "fixed"), order("2")] });
    expect(await world.engine.getRun(first.runId).returnValue).toBe("by 1: a");
  });

  test("a run that continues as new stays on its version, and a child has the one its parent's code holds", async () => {
    const child = (pin: string): AnyWorkflow => pinned("child", pin, async () => `child ${pin}`);
    const long = (pin: string): AnyWorkflow =>
      pinned("long", pin, async (chapter: number) => {
        const held = createHook<string>({ token: "next" });
        const text = await held;
        if (chapter < 3) return continueAsNew([chapter + 1]);
        const { workflowName } = getWorkflowMetadata();
        return [workflowName, pin, text, await (await start(child("1"), [])).returnValue];
      });
    const world = await createWorld([long("1")], { mode });
    const run = await world.start(long("1"), 1);
    for (const workflows of [
      [long("1"), long("2"), child("1"), child("2")],
      [long("2"), child("1"), long("1"), child("2")],
    ]) {
      await world.restart({ workflows });
      await world.engine.signal("next", "on");
      await world.settled();
    }
    await world.engine.signal("next", "last");
    await world.advance(patience);
    expect(await world.engine.getRun(run.runId).returnValue).toEqual(["long", "1", "last", "child 1"]);
  });

  test("runs that wait for a version do not hide those that code may fit", async () => {
    const world = await createWorld([order("1"), order("2")], { mode });
    const count = 230;
    await Promise.all(Array.from({ length: count }, (_, n) => world.engine.start(order("1"), [`w${n}`])));
    const run = await world.start(order("2"), "last");
    await world.restart({ workflows: [order("2", "broken")] });
    for (let n = 0; n < count; n++) await world.engine.signal(`order-w${n}`, "kept");
    await world.engine.signal("order-last", "it");
    await world.advance(patience);
    expect((await world.engine.listRuns({ state: "blocked", limit: 1_000 })).length).toBe(count + 1);
    await world.restart({ workflows: [order("2")] });
    await world.advance(100);
    await world.advance(100);
    expect(await world.engine.getRun(run.runId).returnValue).toBe("by 2: it");
  });
});

test("a process that is killed where it has set a run aside leaves it to the next one that has its version", async () => {
  const folder = mkdtempSync(join(tmpdir(), "ringback-test-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  expect(await runChild("versions", folder)).toMatchObject({ stdout: "blocked", code: null });
  const version = (pin: string): AnyWorkflow =>
    pinned("order", pin, async () => `${await say(`by ${pin}`)}: ${await createHook<string>({ token: "order" })}`);
  const engine = createEngine({
    store: `sqlite:${join(folder, "test.db")}`,
    keys: testKeys,
    workflows: [version("1"), version("2")],
    baseUrl: null,
    logger: false,
  });
  expect(await engine.getRun("order-1").returnValue).toBe("by 1: kept");
  await engine.close();
});

describe("engines with different versions, on one store", () => {
  const clock = createManualClock(epoch);
  const shared = (store = memoryStore({ clock })) => {
    const open = async (...workflows: AnyWorkflow[]): Promise<Engine> => {
      const options: EngineOptions = { store, clock, keys: testKeys, leaseMs: 15_000, workflows, logger: false, baseUrl: null, hotRuns: 0 };
      const engine = createEngine(options);
      await engine.open();
      return engine;
    };
    const pass = async (ms: number, ...engines: Engine[]) => {
      for (let passed = 0; passed < ms; passed += 1_000) {
        clock.advance(1_000);
        await settled(...engines);
      }
    };
    const events = async (runId: string, kind: string) =>
      (await store.journal((await store.run({ id: runId }))?.run as number, 0)).filter((event) => event.kind === kind).length;
    return { store, open, pass, events };
  };

  test("a run goes on where its version is, also one that nobody holds yet", async () => {
    const { store, open, pass, events } = shared();
    const [one, two] = [await open(order("1")), await open(order("2"))];
    const door = createEngine({ store, clock, keys: testKeys, role: "ingress", workflows: [], logger: false, baseUrl: null });
    const runs = [await one.start(order("1"), ["a"]), await door.start(order("1"), ["b"]), await door.start(order("2"), ["c"])];
    await pass(60_000, one, two);
    for (const id of ["a", "b", "c"]) await two.signal(`order-${id}`, id);
    await pass(60_000, one, two);
    for (const [n, value] of ["by 1: a", "by 1: b", "by 2: c"].entries()) {
      const runId = (runs[n] as { runId: string }).runId;
      expect(await one.getRun(runId).returnValue).toBe(value);
      expect(await events(runId, "run_blocked")).toBe(0);
    }
    for (const engine of [door, one, two]) await engine.close({ graceMs: 0 });
  });

  test("it is set aside when the last engine with its version is gone, goes on with the next one, and does not go to and fro", async () => {
    const { store, open, pass, events } = shared();
    const [one, two] = [await open(order("1")), await open(order("2"))];
    const { runId } = await one.start(order("1"), ["a"]);
    await pass(1_000, one, two);
    await one.core.abandon();
    await store.open({ role: "worker" });
    await two.signal("order-b", "x").catch(() => {});
    await two.signal("order-a", "it");
    await pass(60_000, two);
    expect(await two.getRun(runId).state).toBe("blocked");
    expect(await events(runId, "run_blocked")).toBe(1);
    const next = await open(order("1"), order("2"));
    await pass(6_000, next, two);
    expect(await two.getRun(runId).returnValue).toBe("by 1: it");
    expect([await events(runId, "run_blocked"), await events(runId, "run_unblocked")]).toEqual([1, 1]);
    for (const engine of [next, two]) await engine.close({ graceMs: 0 });
  });

  test("an engine that was held up takes back what another has set aside meanwhile, though it had tried it before", async () => {
    const { store, open, pass, events } = shared();
    const waits = (pin: string): AnyWorkflow => pinned("waits", pin, async () => createHook({ token: "w" }));
    const one = await open(waits("1"));
    const { runId } = await one.start(waits("1"), []);
    await pass(1_000, one);
    const number = (await store.run({ id: runId }))?.run as number;
    /** What the engine of version 2 does, when the lease of the other is over. */
    const setAside = async () => {
      await store.commit([{ op: "release", worker: one.core.id }]);
      const [, claim] = await store.commit([
        { op: "beat", worker: "two", leaseMs: 1_000 },
        { op: "claim", run: number, worker: "two" },
      ]);
      const fence = (claim as { readonly row: { readonly fence: number } }).row.fence;
      const codeId = pinnedCode("2", "0123456789abcdef");
      const event = { kind: "run_blocked", reason: "changed_code", codeId, message: "", diff: null } as const;
      await store.commit([
        { op: "append", run: number, fence, events: [event], seen: 0 },
        { op: "release", worker: "two" },
      ]);
    };
    for (const time of [1, 2]) {
      await setAside();
      await pass(11_000, one);
      expect(await events(runId, "run_unblocked")).toBe(time);
    }
    await one.signal("w", "it");
    expect(await one.getRun(runId).returnValue).toBe("it");
    await one.close({ graceMs: 0 });
  });
});

describe("a version's name", () => {
  const body: Body = async () => "done";
  const refusal = (call: () => unknown): unknown => {
    try {
      call();
    } catch (error) {
      return error;
    }
    return null;
  };

  test.each(["1", "@", "a@b", "1@0123456789abcdef", "v/2", "é ½ 🎈", "line\nbreak", `${"x".repeat(253)}é`])(
    "%j comes back out of the code id, and its runs go on",
    async (pin) => {
      expect(pinOf(pinnedCode(pin, sourceId(body)))).toBe(pin);
      const wait = (version: string): AnyWorkflow =>
        pinned("wait", version, async () => `${version.length} ${await createHook({ token: "w" })}`);
      const world = await createWorld([wait(pin), wait("other")]);
      const run = await world.start(wait(pin));
      await world.restart({ workflows: [wait(pin), wait("other")] });
      await world.engine.signal("w", "on");
      expect(await world.engine.getRun(run.runId).returnValue).toBe(`${pin.length} on`);
    },
  );

  test("too long, empty or unkeepable it is refused, and so is a code id that does not hold it", () => {
    const registry = new Registry(true);
    const add = (pin: string, codeId = `${pin}@${sourceId(body)}`) => refusal(() => registry.addWorkflow({ name: "w", pin, codeId, body }));
    expect(add(`${"x".repeat(254)}é`)).toMatchObject({
      code: "too_large",
      details: { what: "workflow version name", limit: 255, actual: 256 },
    });
    expect(add("")).toMatchObject({ code: "bad_argument" });
    expect(add("a\0b")).toMatchObject({ code: "bad_argument" });
    expect(add("1", "1")).toBeInstanceOf(TypeError);
    expect(refusal(() => pinnedCode("1", "not a hash"))).toBeInstanceOf(TypeError);
    expect([pinOf("2026-03"), pinOf(sourceId(body)), pinOf("@0123456789abcdef")]).toEqual([null, null, null]);
    expect(registry.workflows).toEqual([]);
  });

  test("stands for one code, and beside others of its name; never beside a workflow without one", () => {
    const registry = new Registry(true);
    const first = pinnedAs("w", "1", body, "/app/one.ts:1");
    registry.addWorkflow(first);
    registry.addWorkflow(pinnedAs("w", "1", body, "/app/copy.ts:1"));
    const second = pinnedAs("w", "2", body);
    registry.addWorkflow(second);
    registry.addWorkflow(first);
    const other = pinnedAs("w", "1", async () => "other", "/app/two.ts:7");
    expect(refusal(() => registry.addWorkflow(other))).toMatchObject({
      code: "duplicate_name",
      message: expect.stringContaining('are called "w" and have version "1": one at /app/one.ts:1, one at /app/two.ts:7'),
    });
    const plain: WorkflowDefinition = { name: "w", codeId: sourceId(body), body };
    const mixed = { code: "duplicate_name", message: expect.stringContaining("with a version and without one") };
    expect(refusal(() => registry.addWorkflow(plain))).toMatchObject(mixed);
    expect([registry.workflow("w"), registry.workflow("w", "1"), registry.workflow("w", "3")]).toEqual([second, first, null]);
    const codeOf = (codeId: string) => registry.codeOf({ workflow: "w", codeId });
    expect([codeOf(other.codeId), codeOf(plain.codeId), codeOf(pinnedCode("3", sourceId(body)))]).toEqual([first, second, null]);
    const unpinned = new Registry(true);
    unpinned.addWorkflow(plain);
    expect(refusal(() => unpinned.addWorkflow(first))).toMatchObject(mixed);
    expect(unpinned.codeOf({ workflow: "w", codeId: first.codeId })).toBe(plain);
    allowReloading(true);
    try {
      registry.addWorkflow(other);
      expect([registry.workflow("w"), registry.workflow("w", "1")]).toEqual([second, other]);
      registry.addWorkflow(plain);
      expect([registry.workflow("w"), registry.versions("w")]).toEqual([plain, []]);
    } finally {
      allowReloading(false);
    }
  });

  test("an engine with a list starts only what is on it", async () => {
    const { engine } = await createWorld([order("1")]);
    const started = (wanted: AnyWorkflow) =>
      engine.start(wanted, ["a"]).then(
        () => null,
        (error: unknown) => error,
      );
    expect(await started(order("2"))).toMatchObject({
      code: "workflow_not_registered",
      message: expect.stringContaining('"order", version "2", is not among those'),
    });
    expect(await started(workflow("order", async (id: string) => sleep(id)))).toMatchObject({ code: "workflow_not_registered" });
    expect(refusal(() => engine.register(order("2"), (async () => {}) as AnyWorkflow))).toMatchObject({ code: "bad_argument" });
    expect(refusal(() => engine.register(order("1", "other")))).toMatchObject({ code: "duplicate_name" });
    engine.register(order("2"));
    expect(await started(order("2"))).toBe(null);
  });
});
