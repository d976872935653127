// A run that continues as new: another chapter of the same run, with the hooks it carries, and nothing else of what was (CH1–CH4, P11).

import { setImmediate } from "node:timers";
import { describe, expect, test } from "vitest";
import { start } from "../src/api.ts";
import {
  continueAsNew,
  createHook,
  createWebhook,
  defineHook,
  getStepMetadata,
  getWorkflowMetadata,
  patched,
  sleep,
  step,
  uuid,
  workflow,
} from "../src/index.ts";
import type { Hook } from "../src/styles/plain/hook.ts";
import { coldModes, createWorld, type World } from "./harness.ts";

const say = step("say", async (text: string) => text);
const post = (url: string, body: string, key?: string): Request =>
  new Request(url, { method: "POST", body, headers: key === undefined ? {} : { "webhook-id": key } });

/** Delivers to a public URL, and says what its sender was told. */
async function send(world: World, url: string, body: string, key?: string): Promise<[number, string | null]> {
  const response = await world.engine.ingress(post(url, body, key));
  return [response.status, response.headers.get("ringback-disposition")];
}

describe.each(coldModes)("continueAsNew (%s)", (mode) => {
  test("starts the code again with other arguments, as the same run; returnValue is the last chapter's", async () => {
    const ids = new Set<string>();
    const seen: unknown[] = [];
    const loop = workflow("loop", async (count: number, log: readonly string[] = []): Promise<readonly string[]> => {
      ids.add(getWorkflowMetadata().workflowRunId);
      const text = await step.run("note", async () => {
        seen.push(getStepMetadata().idempotencyKey);
        return `chapter ${count} ${uuid()}`;
      });
      await sleep("1m");
      if (count === 3) return [...log, text];
      await continueAsNew([count + 1, [...log, text]]);
      throw new Error("Code after it never runs.");
    });
    const world = await createWorld([loop], { mode });
    const run = await world.start(loop, 1);
    const result = run.returnValue;
    for (let minute = 0; minute < 3; minute++) await world.advance(60_000);
    const log = await result;
    expect(log.map((text) => text.slice(0, 9))).toEqual(["chapter 1", "chapter 2", "chapter 3"]);
    expect(new Set(log.map((text) => text.slice(10))).size).toBe(3); // chance is each chapter's own
    expect([...ids]).toEqual([run.runId]);
    expect(new Set(seen).size).toBe(3); // and so are the keys of its steps
    expect((await world.engine.listRuns()).length).toBe(1);
    const timeline = await world.engine.getRun(run.runId).timeline;
    expect(timeline.filter(({ event }) => event === "run_continued").map(({ detail }) => detail)).toEqual(["chapter 2", "chapter 3"]);
    await world.restart();
    expect(await world.engine.getRun(run.runId).returnValue).toEqual(log);
    // Started again under its id it is the run that exists, by what it first began with.
    expect((await world.engine.start(loop, [1], { id: run.runId })).runId).toBe(run.runId);
  });

  test("a carried webhook keeps its URL, its unread payloads, and what it knows of keys; others are disposed", async () => {
    const urls: string[][] = [];
    const relay = workflow("relay", async (chapter: number, taken: readonly string[]): Promise<readonly string[]> => {
      const inbox = createWebhook({ name: "inbox" });
      const own = createHook<string>({ token: "relay:own" });
      const plain = createWebhook();
      urls.push([inbox.url, plain.url]);
      const text = await (await inbox).text();
      const next = [...taken, text];
      if (chapter === 3) return [...next, await (await inbox).text(), await own];
      return continueAsNew([chapter + 1, next], { carry: [inbox, own] });
    });
    const world = await createWorld([relay], { mode });
    const run = await world.start(relay, 1, []);
    const [inbox = "", plain = ""] = urls[0] ?? [];
    const token = new URL(inbox).pathname.split("/").at(-1) as string;
    // Faster than chapters go by: what one does not read, the next ones do.
    for (const text of ["a", "b", "c"]) expect(await send(world, inbox, text, text)).toEqual([202, "accepted"]);
    await world.settled();
    expect(new Set(urls.map(([url]) => url))).toEqual(new Set([inbox]));
    expect(new Set(urls.map(([, url]) => url)).size).toBe(3);
    expect(await send(world, plain, "x")).toEqual([410, "closed"]);
    expect(await send(world, inbox, "b", "b")).toEqual([202, "duplicate"]);
    expect(await world.engine.signal("relay:own", "own")).toMatchObject({ disposition: "accepted" });
    await world.restart();
    expect(await world.engine.getHookByToken(token)).toMatchObject({ state: "open", name: "inbox", hookId: expect.any(String) });
    expect(await send(world, inbox, "d", "d")).toEqual([202, "accepted"]);
    await world.settled();
    expect(await world.engine.getRun(run.runId).returnValue).toEqual(["a", "b", "c", "d", "own"]);
    expect(await send(world, inbox, "a", "a")).toEqual([202, "duplicate"]);
    expect(world.lines).toEqual([]);
  });

  test("a hook whose token its code gave to nobody is told of once, and not where a name's address may be out already", async () => {
    const hidden = workflow("hidden", async (chapter: number, ways: readonly string[]): Promise<number> => {
      const hook = createWebhook({ name: "inbox" });
      if (ways.includes("given")) await say(hook.url);
      await hook;
      return chapter === 3 ? chapter : continueAsNew([chapter + 1, ["kept"]], ways.includes("kept") ? { carry: [hook] } : {});
    });
    const world = await createWorld([hidden], { mode });
    for (const ways of [["given"], ["kept"]]) {
      world.lines.length = 0;
      const run = await world.start(hidden, 1, ways);
      for (let chapter = 1; chapter <= 3; chapter++) {
        const [hook] = await world.engine.listHooks({ runId: run.runId, withTokens: true });
        await send(world, hook?.url ?? "", "");
        await world.settled();
      }
      expect(await world.engine.getRun(run.runId).returnValue).toBe(3);
      const told = world.lines.filter(
        (line) => line.includes('Hook "inbox" of run') && line.includes("awaited before its run has given its token or URL to anybody"),
      );
      expect(told.length).toBe(ways.includes("given") ? 0 : 1);
      const details = (await world.engine.getRun(run.runId).timeline).map(({ detail }) => detail);
      expect(details).toContain(ways.includes("kept") ? "chapter 2, 1 hook carried" : "chapter 2");
    }
  });

  test("what is not taken over in the first turn is disposed, with a warning, and what it held is told of", async () => {
    const careless = workflow("careless", async (chapter: number): Promise<string> => {
      if (chapter === 1) {
        const hooks = [createHook({ name: "a" }), createHook({ token: "careless:b" })];
        await say("first");
        return continueAsNew([2], { carry: hooks });
      }
      await sleep("1h");
      return "done";
    });
    const world = await createWorld([careless], { mode });
    const run = await world.start(careless, 1);
    expect(await world.engine.signal("careless:b", 1)).toMatchObject({ disposition: "closed", by: "disposed" });
    await world.advance(3_600_000);
    expect(await world.engine.getRun(run.runId).returnValue).toBe("done");
    for (const name of ["a", "careless:b"])
      expect(world.lines.filter((line) => line.includes(`"${name}" was carried over, and the first turn`)).length).toBe(1);
    expect(await world.engine.listHooks({ runId: run.runId })).toEqual([]);
  });

  test("a name keeps its address for the whole run, opened again in a chapter or without being carried", async () => {
    const urls: string[] = [];
    const named = workflow("named", async (chapter: number, log: readonly string[]): Promise<readonly string[]> => {
      const read = async (): Promise<string> => {
        const hook = createWebhook({ name: "callback" });
        urls.push(hook.url);
        const text = await (await hook).text();
        hook.dispose();
        return text;
      };
      const next = [...log, await read(), await read()];
      if (chapter === 1) return continueAsNew([2, next]);
      return next;
    });
    const world = await createWorld([named], { mode });
    const run = await world.start(named, 1, []);
    const [url = ""] = urls;
    for (const text of ["a", "b", "c"]) {
      expect(await send(world, url, text, text)).toEqual([202, "accepted"]);
      await world.settled();
    }
    await world.restart();
    expect(await send(world, url, "a", "a")).toEqual([202, "duplicate"]); // taken once at this address, by a hook long closed
    expect(await send(world, url, "d", "d")).toEqual([202, "accepted"]);
    await world.settled();
    expect(await world.engine.getRun(run.runId).returnValue).toEqual(["a", "b", "c", "d"]);
    expect(new Set(urls)).toEqual(new Set([url]));
  });

  test("what a chapter leaves unread is told of at its end, and again at the run's; what was carried and read is not", async () => {
    const leaving = workflow("leaving", async (chapter: number): Promise<string> => {
      const kept = createHook<string>({ name: "kept" });
      const dropped = createHook<string>({ token: `dropped-${chapter}` });
      await createHook({ token: `next-${chapter}` });
      if (chapter === 1) return continueAsNew([2], { carry: [kept] });
      void dropped;
      return kept;
    });
    const world = await createWorld([leaving], { mode });
    const run = await world.start(leaving, 1);
    const key = (await world.store.run({ id: run.runId }))?.key ?? "";
    const kept = world.engine.core.tokens.mint({ runKey: key, position: 1, generation: 0, purpose: "hook" });
    for (const token of ["dropped-1", kept, "next-1"]) await world.engine.signal(token, token === kept ? "kept" : 1);
    await world.settled();
    expect(world.lines.filter((line) => line.includes("continued as new, and one payload"))).toHaveLength(1);
    for (const token of ["dropped-2", "next-2"]) await world.engine.signal(token, 2);
    await world.settled();
    expect(await world.engine.getRun(run.runId).returnValue).toBe("kept");
    const unread = (await world.engine.getRun(run.runId).ending)?.unread.map(({ hookId }) => hookId);
    expect(unread).toEqual([`${run.runId}:2`, `${run.runId}:4`]);
    expect((await world.engine.getRun(run.runId).timeline).at(-1)?.detail).toContain("2 payloads unread");
  });

  test("a carried deadline goes on counting; other timers are dropped; steps under way are aborted and told of", async () => {
    const signals: AbortSignal[] = [];
    const long = step("long", async () => {
      const { signal } = getStepMetadata();
      signals.push(signal);
      await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
    });
    const impatient = workflow("impatient", async (chapter: number): Promise<string> => {
      const hook = createHook({ name: "reply", timeout: "1h" });
      if (chapter === 1) {
        void long();
        void sleep("30m");
        await sleep("10m");
        void say("never begun");
        return continueAsNew([2], { carry: [hook] });
      }
      return hook.then(String, (error: unknown) => (error as Error).name);
    });
    const world = await createWorld([impatient], { mode });
    const run = await world.engine.start(impatient, [1]);
    const has = async (kind: string) => (await world.journal(run)).some((event) => event.kind === kind);
    // A world with a step under way never settles.
    while (signals.length === 0 || !(await has("timer_set"))) await new Promise<void>((resolve) => setImmediate(resolve));
    world.clock.advance(600_000);
    while (!(await has("run_continued"))) await new Promise<void>((resolve) => setImmediate(resolve));
    await world.settled();
    expect(signals.map((signal) => signal.aborted)).toEqual([true]);
    const journal = await world.journal(run);
    const continued = journal.find((event) => event.kind === "run_continued");
    expect(continued).toMatchObject({ abandoned: [2, 5] });
    expect((await world.store.run({ id: run.runId }))?.steps).toBe(0);
    await world.advance(49 * 60_000);
    expect(await world.engine.getRun(run.runId).state).toBe("waiting");
    await world.advance(60_000);
    expect(await world.engine.getRun(run.runId).returnValue).toBe("HookTimeoutError");
    expect((await world.journal(run)).filter((event) => event.kind === "timer_fired").length).toBe(1);
  });

  test("children go on; nobody of a later chapter is told of an end that an earlier one awaited", async () => {
    const child = workflow("child", async () => createHook<string>({ token: "child" }));
    const parent = workflow("parent", async (chapter: number): Promise<string> => {
      if (chapter === 2) return createHook<string>({ token: "parent" });
      const run = await start(child, []);
      void run.returnValue;
      await say("on");
      return continueAsNew([2]);
    });
    const world = await createWorld([parent, child], { mode });
    const run = await world.start(parent, 1);
    await world.settled();
    await world.engine.signal("child", "over");
    await world.settled();
    expect((await world.journal(run)).map((event) => event.kind)).not.toContain("child_ended");
    await world.engine.signal("parent", "told");
    await world.settled();
    expect(await world.engine.getRun(run.runId).returnValue).toBe("told");
  });

  test("a cancel ends the chapter that it finds, and a cancelled run does not continue", async () => {
    const forever = workflow("forever", async (chapter: number): Promise<string> => {
      const hook = createHook<string>({ name: "stop" });
      try {
        await sleep("1h");
      } catch (error) {
        return await continueAsNew([chapter + 1], { carry: [hook] }).catch((refused: Error) => `${(error as Error).name} ${refused.name}`);
      }
      return continueAsNew([chapter + 1], { carry: [hook] });
    });
    const world = await createWorld([forever], { mode });
    const run = await world.start(forever, 1);
    for (let hour = 0; hour < 3; hour++) await world.advance(3_600_000);
    await world.engine.getRun(run.runId).cancel();
    await world.settled();
    expect(await world.engine.getRun(run.runId).status).toBe("cancelled");
    await expect(world.engine.getRun(run.runId).returnValue).rejects.toMatchObject({ code: "run_cancelled" });
  });

  test("a patch is asked anew in each chapter, and a chapter is held against its own journal alone", async () => {
    const code = (isNew: boolean, version: string) =>
      workflow(
        "changing",
        async (chapter: number): Promise<string> => {
          const text = isNew && patched("new") ? await say("new") : await say(`old ${chapter}`);
          await sleep("1h");
          return chapter === 2 ? text : continueAsNew([chapter + 1]);
        },
        { version },
      );
    const world = await createWorld([code(false, "v1")], { mode });
    const run = await world.start(code(false, "v1"), 1);
    await world.restart({ workflows: [code(true, "v2")] });
    await world.advance(3_600_000);
    // Code that fits only the second chapter: the first is not replayed.
    const late = workflow(
      "changing",
      async () => {
        const text = await say("new");
        await sleep("1h");
        return `${text}, as later code has it`;
      },
      { version: "v3" },
    );
    await world.restart({ workflows: [late] });
    await world.advance(3_600_000);
    expect(await world.engine.getRun(run.runId).returnValue).toBe("new, as later code has it");
  });

  test("a schema judges a carried hook's payloads at every door, in every chapter", async () => {
    const schema = {
      "~standard": {
        version: 1 as const,
        vendor: "test",
        validate: (value: unknown) => (typeof value === "number" ? { value: value + 1 } : { issues: [{ message: "a number" }] }),
      },
    };
    const numbers = defineHook<number>("numbers", { schema });
    const sum = workflow("sum", async (chapter: number, total: number): Promise<number> => {
      const hook = numbers.create({ name: "n" });
      const unnamed = defineHook<number>({ schema }).create({ token: "sum:unnamed" });
      const next = total + (await hook) + (await unnamed);
      return chapter === 2 ? next : continueAsNew([chapter + 1, next], { carry: [hook, unnamed] });
    });
    const world = await createWorld([sum], { mode });
    const run = await world.start(sum, 1, 0);
    const token = world.engine.core.tokens.mint({
      runKey: (await world.store.run({ id: run.runId }))!.key,
      position: 1,
      generation: 0,
      purpose: "hook",
    });
    for (let chapter = 0; chapter < 2; chapter++) {
      expect(await world.engine.signal(token, "no")).toMatchObject({ disposition: "invalid" });
      expect(await world.engine.signal("sum:unnamed", "no")).toMatchObject({ disposition: "invalid" });
      await world.engine.signal(token, 10);
      await world.engine.signal("sum:unnamed", 20);
      await world.settled();
    }
    expect(await world.engine.getRun(run.runId).returnValue).toBe(64);
  });

  test("what cannot be carried, or opened under a name, is refused with what to do, and the run goes on", async () => {
    const told = async (code: () => unknown): Promise<string> => {
      try {
        await code();
      } catch (error) {
        return `${(error as Error).name}: ${(error as Error).message}`;
      }
      return "nothing";
    };
    const misuse = workflow("misuse", async () => {
      const closed = createHook({ name: "closed" });
      closed.dispose();
      const open = createHook({ name: "open" });
      createWebhook({ name: "web" }).dispose();
      return [
        await told(() => continueAsNew([], { carry: [createHook()] })),
        await told(() => continueAsNew([], { carry: [closed] })),
        await told(() => continueAsNew([], { carry: [open.handle as unknown as Hook] })),
        await told(() => continueAsNew([() => {}])),
        await told(() => continueAsNew("no" as never)),
        await told(() => createHook({ name: "open" })),
        await told(() => createHook({ name: "web" })),
        await told(() => createHook({ name: "both", token: "both" })),
        await told(() => {
          for (let n = 0; n < 100; n++) createHook({ name: `n${n}` });
        }),
      ];
    });
    const world = await createWorld([misuse], { mode });
    const [nameless, closed, handle, argument, list, open, web, both, many] = await (await world.start(misuse)).returnValue;
    expect(nameless).toMatch(/^TypeError: Hook #\d+ of run \S+ has neither a name nor a token of yours, .* Open it with { name }\.$/);
    expect(closed).toMatch(/^TypeError: Hook "closed" of run \S+ is closed, /);
    expect(handle).toMatch(/^TypeError: continueAsNew\(args, { carry }\) takes hooks, got object\./);
    expect(argument).toMatch(/the arguments of continueAsNew\(\) in workflow misuse/);
    expect(list).toMatch(/takes the arguments of the workflow as an array, got string/);
    expect(open).toMatch(/Hook "open" of run \S+ is open: a name has one open hook\./);
    expect(web).toMatch(/"web" is a webhook's address in this run: open it with createWebhook\(\)/);
    expect(both).toMatch(/takes a token or a name, not both/);
    expect(many).toMatch(/has given 100 names to hooks/);
  });

  test("the first end counts: of two calls in one turn, of a call and a return, in any order", async () => {
    const twice = workflow("twice", async (chapter: number): Promise<number> => {
      if (chapter > 1) return chapter;
      void continueAsNew([2]);
      void continueAsNew([3]);
      return 4;
    });
    const returned = workflow("returned", async (chapter: number): Promise<string> => {
      void say("later").then(() => continueAsNew([2]));
      return `chapter ${chapter}`;
    });
    const world = await createWorld([twice, returned], { mode });
    expect(await (await world.start(twice, 1)).returnValue).toBe(2);
    expect(await (await world.start(returned, 1)).returnValue).toBe("chapter 1");
  });

  test("code that continues where the journal has more is set aside", async () => {
    const code = (isShort: boolean, version: string) =>
      workflow(
        "shortened",
        async (): Promise<string> => {
          await say("a");
          if (isShort) return continueAsNew([]);
          await sleep("1h");
          return say("b");
        },
        { version },
      );
    const world = await createWorld([code(false, "v1")], { mode });
    const run = await world.start(code(false, "v1"));
    await world.restart({ workflows: [code(true, "v2")] });
    await world.advance(3_600_000);
    expect((await world.engine.getRun(run.runId).blocked)?.difference).toMatchObject({
      expected: "timer",
      found: "nothing more in this turn",
    });
    await world.restart({ workflows: [code(false, "v1")] });
    expect(await world.engine.getRun(run.runId).returnValue).toBe("b");
  });
});
