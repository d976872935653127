// Finished runs go by policy, in portions that callbacks pass between; what a sender may repeat is still known.

import { describe, expect, onTestFinished, test } from "vitest";
import { resumeHook, start as startRun } from "../src/api.ts";
import type { RingbackError } from "../src/core/errors.ts";
import { continueAsNew, createHook, createWebhook, type RequestWithResponse, sleep, step, workflow } from "../src/index.ts";
import type { RunRow } from "../src/store/port.ts";
import { loadDriver } from "../src/store/sqlite/driver.ts";
import { sqliteStore } from "../src/store/sqlite/store.ts";
import { createEngine, type Engine } from "../src/wiring.ts";
import { createWorld, modesOfLength, testKeys, type World } from "./harness.ts";

/** Also those that are still in the WAL. */
async function pagesOf(path: string): Promise<number> {
  // The engine's own library: two copies of SQLite in one process must not share a file.
  const Database = await loadDriver();
  const database = new Database(path);
  try {
    return Number(Object.values(database.prepare("pragma page_count").get() as object)[0]);
  } finally {
    database.close();
  }
}

const day = 86_400_000;
const minute = 60_000;
const isLong = process.env["RINGBACK_LONG"] === "1";

describe.each(modesOfLength)("%s", (mode) => {
  const world = (workflows: Parameters<typeof createWorld>[0], runs?: string | number): Promise<World> =>
    createWorld(workflows, { mode, ...(runs === undefined ? {} : { retention: { runs } }) });
  const quick = workflow("quick", async (n: number) => n);

  test("a run goes when it ended long enough ago, by itself; open ones and young ones stay", async () => {
    const parked = workflow("parked", async () => {
      await createHook({ token: "p" });
    });
    const { engine, start, advance } = await world([quick, parked], "1d");
    const waiting = await start(parked);
    const old = await start(quick, 1);
    await advance(day - 2 * minute);
    const young = await start(quick, 2);
    expect(await old.exists).toBe(true);
    await advance(3 * minute);
    expect([await old.exists, await young.exists, await waiting.state]).toEqual([false, true, "waiting"]);
    await expect(old.state).rejects.toMatchObject({ code: "run_not_found" });
    expect((await engine.listRuns()).map(({ runId }) => runId)).toEqual([young.runId, waiting.runId]);
    await engine.resumeHook("p", 1);
    expect(await waiting.returnValue).toBeUndefined();
  });

  test("a run that began while the clock was ahead keeps none behind it from going", async () => {
    const parked = workflow("from the future", async () => {
      await createHook({ token: "f" });
    });
    const { clock, start, advance, engine } = await world([quick, parked], "1d");
    clock.advance(365 * day);
    const ahead = await start(parked);
    clock.advance(-365 * day);
    const run = await start(quick, 1);
    await advance(2 * day);
    await engine.purge();
    expect([await run.exists, await ahead.state]).toEqual([false, "waiting"]);
  });

  test("after 30 days unless told, for ever where told", async () => {
    const [usual, never] = [await world([quick]), await world([quick], Infinity)];
    const runs = [await usual.start(quick, 1), await never.start(quick, 1)];
    for (const each of [usual, never]) await each.advance(30 * day - minute);
    expect(await Promise.all(runs.map((run) => run.exists))).toEqual([true, true]);
    for (const each of [usual, never]) await each.advance(3 * minute);
    expect(await Promise.all(runs.map((run) => run.exists))).toEqual([false, true]);
    expect(await never.engine.purge({ olderThan: "1d" })).toMatchObject({ runs: 1 });
    expect(await runs[1]?.exists).toBe(false);
  });

  test("a repeat of what a purged run took has its first answer still; another delivery is unknown", async () => {
    const urls: string[] = [];
    const wf = workflow("answers", async () => {
      const fixed = createWebhook({ respondWith: new Response("made it", { status: 201, headers: { "x-own": "1" } }) });
      const manual = createWebhook({ respondWith: "manual" });
      urls.push(fixed.url, manual.url);
      await fixed;
      const request = await manual;
      await request.respondWith(Response.json({ n: 7 }, { status: 418 }));
    });
    const { engine, start, settled, advance } = await world([wf], "1h");
    const run = await start(wf);
    const send = async (url: string, key: string): Promise<unknown[]> => {
      const headers = { "webhook-id": key };
      const answer = await engine.ingress(new Request(url, { method: "POST", body: "{}", headers }));
      return [answer.status, await answer.text(), answer.headers.get("x-own"), answer.headers.get("ringback-delivery")];
    };
    const first = [await send(urls[0] as string, "a"), await send(urls[1] as string, "b")];
    await settled();
    await advance(3_600_000 + minute);
    expect(await run.exists).toBe(false);
    expect([await send(urls[0] as string, "a"), await send(urls[1] as string, "b")]).toEqual(first);
    expect((await send(urls[0] as string, "c"))[0]).toBe(404);
    await advance(30 * day + 2 * minute);
    expect((await send(urls[0] as string, "a"))[0]).toBe(404);
  });

  test("a name's hook that was opened again and again does not stop a purge, and each of its senders is still told what it was told", async () => {
    let url = "";
    const kinds = [
      () => createWebhook({ name: "a", respondWith: new Response("fixed", { status: 201 }) }),
      () => createWebhook({ name: "a", respondWith: "manual" as const }),
      () => createWebhook({ name: "a" }),
      () => createWebhook({ name: "a", respondWith: new Response("other", { status: 203 }) }),
    ];
    const wf = workflow("opened again", async (chapter: number) => {
      const hook = (kinds[chapter] as () => ReturnType<typeof createWebhook>)();
      url = hook.url;
      const request = (await hook) as RequestWithResponse;
      if (chapter === 1) await request.respondWith(new Response("by hand", { status: 418 }));
      if (chapter + 1 < kinds.length) await continueAsNew([chapter + 1]);
    });
    const { engine, start, settled, advance } = await world([wf], "1h");
    const run = await start(wf, 0);
    const send = async (key: string): Promise<unknown[]> => {
      const answer = await engine.ingress(new Request(url, { method: "POST", body: "{}", headers: { "webhook-id": key } }));
      return [answer.status, await answer.text(), answer.headers.get("ringback-delivery")];
    };
    const told: unknown[][] = [];
    const repeats = async (): Promise<unknown[][]> => {
      const answers: unknown[][] = [];
      for (const at of told.keys()) answers.push(await send(`k${at}`));
      return answers;
    };
    for (const at of kinds.keys()) {
      told.push(await send(`k${at}`));
      await settled();
      expect(await repeats()).toEqual(told);
    }
    expect(told.map(([status, body]) => [status, body])).toEqual([
      [201, "fixed"],
      [418, "by hand"],
      [202, ""],
      [203, "other"],
    ]);
    await advance(3_600_000 + minute);
    expect(await run.exists).toBe(false);
    expect(await repeats()).toEqual(told);
  });

  test("a run that awaits a child it began, which is removed by then, is told so; it does not wait for ever", async () => {
    const parent = workflow("awaits late", async (isNew: boolean) => {
      const child = await startRun(quick, [7], { id: "child" });
      await sleep("3d");
      if (isNew) await continueAsNew([false]);
      return child.returnValue.catch((error: RingbackError) => [error.name, error.code]);
    });
    const { start, advance, engine } = await world([quick, parent], "1d");
    const run = await start(parent, false);
    await advance(2 * day);
    expect(await engine.getRun("child").exists).toBe(false);
    await advance(day);
    expect(await run.returnValue).toEqual(["RunNotFoundError", "run_not_found"]);
  });

  test("a run whose request was passed on, to a child or by value, goes after whoever has it", async () => {
    let url = "";
    const child = workflow("has the request", async (request?: Request) => {
      const given = request ?? (await createHook<Request>({ token: "given" }));
      await createHook({ token: `go on, ${request ? "child" : "hook"}` });
      return given.text();
    });
    const parent = workflow("received the request", async () => {
      const hook = createWebhook();
      url = hook.url;
      const request = await hook;
      await startRun(child, [request], { id: "child" });
      await step.run("hand over", () => resumeHook("given", request));
    });
    const w = await world([parent, child], "1d");
    const other = await w.start(child);
    const run = await w.start(parent);
    await w.engine.ingress(new Request(url, { method: "POST", body: "the body" }));
    await w.settled();
    await run.returnValue;
    await expect(run.delete()).rejects.toMatchObject({
      code: "run_open",
      message: expect.stringContaining("passed a request or a stream on to run"),
    });
    await w.advance(2 * day);
    await w.restart();
    for (const [id, token] of [
      ["child", "go on, child"],
      [other.runId, "go on, hook"],
    ] as const) {
      expect(await w.engine.getRun(run.runId).exists).toBe(true);
      await w.engine.resumeHook(token, 1);
      expect(await w.engine.getRun(id).returnValue).toBe("the body");
    }
    await w.advance(2 * day);
    await w.advance(minute);
    expect(await w.engine.listRuns()).toEqual([]);
  });

  test("whoever waits for a run that is deleted before its end was seen is told so", async () => {
    const parked = workflow("deleted unseen", async () => createHook({ token: "unseen" }));
    const { start, advance, engine, store } = await world([parked]);
    const run = await start(parked);
    const waiting = run.returnValue.catch((error: RingbackError) => error.code);
    await new Promise((resolve) => setImmediate(resolve));
    const { run: number, fence } = (await store.run({ id: run.runId })) as RunRow;
    const ended = { kind: "run_ended", turn: 0, outcome: { type: "cancelled" }, seen: 0, unread: [], abandoned: [], warnings: [] } as const;
    await store.commit([
      { op: "append", run: number, fence, events: [ended], seen: 9 },
      { op: "delete", run: number },
    ]);
    await advance(5_000);
    expect(await waiting).toBe("run_not_found");
    expect(await engine.listRuns()).toEqual([]);
  });

  test("run.delete() removes a run that has ended, and its id is free; one that has not is refused", async () => {
    const wf = workflow("deleted", async () => createHook({ token: "d" }));
    const { engine, start } = await world([wf]);
    const run = await engine.start(wf, [], { id: "order-1" });
    await expect(run.delete()).rejects.toMatchObject({ code: "run_open", message: expect.stringContaining("Cancel it first") });
    await engine.resumeHook("d", 1, { key: "k" });
    await run.returnValue;
    await run.delete();
    await expect(run.delete()).rejects.toMatchObject({ code: "run_not_found" });
    expect(await engine.signal("d", 1, { key: "k" })).toMatchObject({ disposition: "duplicate" });
    const again = await engine.start(wf, [], { id: "order-1" });
    expect(again.runId).toBe("order-1");
    expect(await engine.signal("d", 1, { key: "k" })).toMatchObject({ disposition: "duplicate" });
    expect(await engine.signal("d", 2)).toMatchObject({ disposition: "accepted" });
    expect(await again.returnValue).toBe(2);
    await start(wf);
  });
});

test("what another process has removed is gone in one that knew it, too, and its keys are known still", async () => {
  let url = "";
  const wf = workflow("known", async () => {
    const hook = createWebhook();
    url = hook.url;
    await hook;
  });
  const { engine, start, path, clock } = await createWorld([wf], { mode: "hot" });
  const door = createEngine({
    store: sqliteStore({ path: path as string, clock }),
    role: "ingress",
    baseUrl: "https://app.example",
    keys: testKeys,
    clock,
  });
  onTestFinished(() => door.close());
  const send = async (at: Engine, key: string): Promise<number> =>
    (await at.ingress(new Request(url, { method: "POST", headers: { "webhook-id": key } }))).status;
  for (const remover of [engine, door]) {
    const run = await start(wf);
    expect(await send(engine, "a")).toBe(202);
    await run.returnValue;
    expect([await send(engine, "late"), await send(door, "late")]).toEqual([410, 410]);
    const row = (await door.core.parts.store.run({ id: run.runId })) as RunRow;
    await remover.getRun(run.runId).delete();
    for (const each of [engine, door]) {
      expect([await send(each, "late"), await send(each, "a")]).toEqual([404, 202]);
      await expect(each.core.committer.commit({ op: "cancel", run: row.run, graceMs: 0 })).rejects.toMatchObject({ code: "run_not_found" });
    }
  }
});

test(
  `of ${isLong ? "1,000,000" : "14,000"} finished runs the store is rid while callbacks are taken, and its file grows no more`,
  async () => {
    const count = isLong ? 1_000_000 : 14_000;
    const once = workflow("once", async () => createHook());
    const parked = workflow("many callbacks", async () => {
      const hook = createHook<number>({ token: "many" });
      let sum = 0;
      for await (const n of hook) {
        if (n === 0) return sum;
        sum += n;
      }
      return sum;
    });
    const instant = workflow("instant", async (n: number) => n);
    const { engine, start, advance, path, settled } = await createWorld([once, parked, instant], {
      mode: "hot",
      retention: { runs: Infinity },
    });
    const run = await start(parked);
    const fill = async (): Promise<void> => {
      for (let n = 0; n < count; n += 1_000) {
        await Promise.all(Array.from({ length: 1_000 }, (_, at) => engine.start(instant, [n + at])));
        await settled();
      }
    };
    await fill();
    const full = await pagesOf(path as string);
    let [taken, isOver] = [0, false];
    await advance(day + 1);
    const purging = engine.purge({ olderThan: "1d" }).then((purged) => {
      isOver = true;
      return purged;
    });
    while (!isOver) {
      expect((await engine.signal("many", 1)).disposition).toBe("accepted");
      taken++;
    }
    expect((await purging).runs).toBe(count);
    expect(taken).toBeGreaterThan(count / 1_000);
    expect(await engine.listRuns()).toHaveLength(1);
    const left = await pagesOf(path as string);
    expect(left).toBeLessThan(Math.max(full * 0.2, 1_200));
    await engine.signal("many", 0);
    expect(await run.returnValue).toBe(taken);
    await fill();
    expect(await pagesOf(path as string)).toBeLessThan(full * 1.2);
  },
  isLong ? 1_800_000 : 120_000,
);
