// An app's routes and a workflow meet at a hook: by a minted token, by one that both can make, by a typed definition; once, many times,
// until one side lets go.

import { describe, expect, test } from "vitest";
import { z } from "zod";
import { getHookByToken, resumeHook, type Run, start } from "../src/api.ts";
import { HookClosedError, HookConflictError, HookNotFoundError, InvalidPayloadError, RingbackError } from "../src/errors.ts";
import { createHook, defineHook, sleep, step, workflow } from "../src/index.ts";
import { asDefault } from "./default-engine.ts";
import { createWorld, modesOfLength, type World } from "./harness.ts";

const stores = [...modesOfLength, "evict on memory"] as const;

/** SQLite hot and cold, two engines on memory, and memory with every run cold. */
async function worldOf(mode: (typeof stores)[number], ...workflows: Parameters<typeof createWorld>[0]): Promise<World> {
  return asDefault(await createWorld(workflows, mode === "evict on memory" ? { mode: "two-workers", hotRuns: 0 } : { mode }));
}

const post = (body: unknown): Request => new Request("https://app.example/route", { method: "POST", body: JSON.stringify(body) });

describe.each(stores)("a hook between a route and a workflow (%s)", (mode) => {
  interface Verdict {
    pays: boolean;
    note: string;
  }

  /** The route of an app: whoever has the token decides. */
  async function decide(request: Request): Promise<Response> {
    const { token, ...verdict } = (await request.json()) as Verdict & { token: string };
    try {
      const { runId } = await resumeHook(token, verdict);
      return Response.json({ runId });
    } catch (error) {
      if (HookClosedError.is(error)) return new Response(`too late: ${error.details.by}`, { status: 410 });
      if (!(error instanceof HookNotFoundError)) throw error;
      return new Response("nobody asked", { status: 404 });
    }
  }

  test.each([
    [true, "paid: fine by me"],
    [false, "returned: no receipt"],
  ])("a claim waits for whoever was sent its token (pays: %s)", async (pays, expected) => {
    const letters: { to: string; token: string }[] = [];
    const ask = step("ask", async (to: string, token: string) => void letters.push({ to, token }));
    const claim = workflow("expense claim", async (clerk: string) => {
      using verdict = createHook<Verdict>({ metadata: { clerk } });
      await ask(clerk, verdict.token);
      const { pays, note } = await verdict;
      return pays ? `paid: ${note}` : `returned: ${note}`;
    });
    const world = await worldOf(mode, claim);
    const run = await world.start(claim, "ines");
    const [letter] = letters;
    expect(letter?.to).toBe("ines");
    expect(await getHookByToken(letter?.token as string)).toMatchObject({ runId: run.runId, metadata: { clerk: "ines" }, state: "open" });
    expect(await run.status).toBe("running");
    await world.restart();
    const answer = await decide(post({ token: letter?.token, pays, note: expected.split(": ")[1] }));
    expect([answer.status, await answer.json()]).toEqual([200, { runId: run.runId }]);
    expect(await world.engine.getRun(run.runId).returnValue).toBe(expected);
    expect((await decide(post({ token: `${letter?.token}x`, pays, note: "" }))).status).toBe(404);
    const late = await decide(post({ token: letter?.token, pays, note: "again" }));
    expect([late.status, await late.text()]).toEqual([410, "too late: disposed"]);
  });

  test("the hook itself, or what a look-up gave, stands for its token; the answer names run, token and metadata", async () => {
    const wf = workflow("locker", async (door: number) => {
      const hook = createHook<string>({ token: `locker-${door}`, metadata: { door } });
      return [await hook, await hook];
    });
    const world = await worldOf(mode, wf);
    const run = await world.start(wf, 12);
    const found = await getHookByToken("locker-12");
    expect(await resumeHook({ token: "locker-12" }, "a")).toMatchObject({
      runId: run.runId,
      token: "locker-12",
      metadata: { door: 12 },
      delivery: { disposition: "accepted" },
    });
    const taken = await resumeHook(found, "b");
    expect([taken.runId, taken.token]).toEqual([run.runId, "locker-12"]);
    expect(await run.returnValue).toEqual(["a", "b"]);
  });

  test("payloads are whatever can be stored, not JSON alone", async () => {
    const wf = workflow("parcel contents", async () => await createHook<unknown>({ token: "contents" }));
    const world = await worldOf(mode, wf);
    const run = await world.start(wf);
    const contents = { at: new Date(5), tags: new Set(["a"]), sizes: new Map([["l", 9n]]), raw: new Uint8Array([1, 2]), none: undefined };
    await resumeHook("contents", contents);
    expect(await run.returnValue).toEqual(contents);
  });

  describe("a room that listens until it is told to leave", () => {
    interface Line {
      room: string;
      by: string;
      says: string;
    }

    /** What the chat service calls: it knows the room, and so the token. */
    async function said(request: Request): Promise<Response> {
      const line = (await request.json()) as Line;
      try {
        await resumeHook(`room:${line.room}`, line);
        return new Response("noted");
      } catch {
        return new Response("not listening", { status: 404 });
      }
    }

    const stored: string[] = [];
    const keep = step("keep", async ({ by, says }: Line) => void stored.push(`${by}: ${says}`));
    const listen = workflow("listen", async (room: string) => {
      using lines = createHook<Line>({ token: `room:${room}` });
      let count = 0;
      for await (const line of lines) {
        if (line.says === "bye") break;
        await keep(line);
        count++;
      }
      return count;
    });

    test("each line once, in order, over restarts, from the room's own run", async () => {
      stored.length = 0;
      const world = await worldOf(mode, listen);
      const attic = await world.start(listen, "attic");
      const cellar = await world.start(listen, "cellar");
      expect((await said(post({ room: "attic", by: "jo", says: "one" }))).status).toBe(200);
      expect((await said(post({ room: "cellar", by: "al", says: "below" }))).status).toBe(200);
      await world.settled();
      await world.restart();
      for (const says of ["two", "three", "bye"]) expect(await (await said(post({ room: "attic", by: "jo", says }))).text()).toBe("noted");
      expect(await world.engine.getRun(attic.runId).returnValue).toBe(3);
      expect((await said(post({ room: "attic", by: "jo", says: "late" }))).status).toBe(404);
      expect((await said(post({ room: "loft", by: "jo", says: "nobody" }))).status).toBe(404);
      expect(await world.engine.getRun(cellar.runId).state).toBe("waiting");
      expect(stored.toSorted()).toEqual(["al: below", "jo: one", "jo: three", "jo: two"]);
      expect(stored.filter((line) => line.startsWith("jo"))).toEqual(["jo: one", "jo: two", "jo: three"]);
    });

    test("a second run for the room is told whose it is; once it is free, a third takes it", async () => {
      const world = await worldOf(mode, listen);
      const first = await world.start(listen, "attic");
      const second = await world.start(listen, "attic");
      const error = await second.returnValue.catch((thrown: Error) => thrown.cause);
      expect(error).toBeInstanceOf(HookConflictError);
      expect(error).toMatchObject({ details: { holder: first.runId } });
      await said(post({ room: "attic", by: "jo", says: "bye" }));
      expect(await first.returnValue).toBe(0);
      const third = await world.start(listen, "attic");
      expect(await getHookByToken("room:attic")).toMatchObject({ runId: third.runId, state: "open" });
    });
  });

  test("readings are collected until the last one says so; the end of the run closes the hook", async () => {
    const collect = workflow("collect readings", async () => {
      const readings = createHook<{ kwh: number; isLast?: boolean }>({ token: "meter-7" });
      const all: number[] = [];
      for await (const { kwh, isLast } of readings) {
        all.push(kwh);
        if (isLast === true) break;
      }
      return all;
    });
    const world = await worldOf(mode, collect);
    const run = await world.start(collect);
    for (const kwh of [3, 1, 4]) await resumeHook("meter-7", { kwh });
    await resumeHook("meter-7", { kwh: 1, isLast: true });
    expect(await run.returnValue).toEqual([3, 1, 4, 1]);
    await expect(resumeHook("meter-7", { kwh: 5 })).rejects.toMatchObject({ code: "hook_closed", details: { by: "ended" } });
  });

  describe("a token is let go of while its run goes on", () => {
    const machine = "press-4";

    test("at the end of a block with `using`: the next shift takes it over", async () => {
      const shift = workflow("shift", async (name: string) => {
        const log: string[] = [];
        {
          using calls = createHook<{ text: string; isOver?: boolean }>({ token: machine });
          for await (const { text, isOver } of calls) {
            log.push(`${name} ${text}`);
            if (isOver === true) break;
          }
        }
        await sleep("8h"); // paperwork
        return log;
      });
      const world = await worldOf(mode, shift);
      const early = await world.start(shift, "early");
      await resumeHook(machine, { text: "oil" });
      await resumeHook(machine, { text: "over", isOver: true });
      await world.settled();
      await expect(resumeHook(machine, { text: "nobody" })).rejects.toMatchObject({ details: { by: "disposed" } });
      expect(await early.state).toBe("waiting");
      const late = await world.start(shift, "late");
      await world.restart();
      await resumeHook(machine, { text: "jam", isOver: true });
      await world.settled();
      await world.advance(8 * 3_600_000);
      const values = [early, late].map((run: Run<string[]>) => world.engine.getRun(run.runId).returnValue);
      expect(await Promise.all(values)).toEqual([["early oil", "early over"], ["late jam"]]);
    });

    test("by dispose(): iterators end, bare reads reject, senders are told, what was unread is still read", async () => {
      const wf = workflow("one call", async () => {
        const calls = createHook<string>({ token: machine });
        const first = await calls;
        await sleep("1m");
        calls.dispose();
        calls.dispose();
        const rest: string[] = [];
        for await (const call of calls) rest.push(call);
        const read = await calls.then(String, (error) => (RingbackError.is(error) ? error.code : String(error)));
        return { first, rest, read };
      });
      const world = await worldOf(mode, wf);
      const run = await world.start(wf);
      await resumeHook(machine, "one");
      await resumeHook(machine, "two");
      await world.settled();
      await world.advance(60_000);
      await expect(resumeHook(machine, "three")).rejects.toMatchObject({ code: "hook_closed" });
      expect(await run.returnValue).toEqual({ first: "one", rest: ["two"], read: "hook_disposed" });
    });
  });

  describe("a typed hook with a schema", () => {
    const signature = defineHook(`signature ${mode}`, {
      schema: z.object({
        loan: z.string(),
        by: z.string().min(1),
        agrees: z.boolean(),
        remark: z.string().transform((text) => text.trim()),
      }),
    });
    const file = step("file", async (lines: string[]) => lines.join("; "));
    /** A clerk signs first, then a manager; one who does not agree ends it. */
    const loan = workflow("loan", async (id: string) => {
      const lines: string[] = [];
      for (const role of ["clerk", "manager"]) {
        using hook = signature.create({ token: `sign:${id}:${role}`, metadata: { role } });
        const { by, agrees, remark } = await hook;
        lines.push(`${role} ${by} ${agrees ? "agrees" : "declines"} (${remark})`);
        if (!agrees) break;
      }
      return await file(lines);
    });

    /** A route of the app: typed, and judged before the workflow sees anything. */
    async function sign(request: Request): Promise<Response> {
      const { role, ...given } = (await request.json()) as { role: string; loan: string; by: string; agrees: boolean; remark: string };
      try {
        await signature.resume(`sign:${given.loan}:${role}`, given);
        return new Response("signed");
      } catch (error) {
        if (error instanceof InvalidPayloadError) return Response.json(error.details.issues, { status: 400 });
        return new Response("no such signature is wanted", { status: 404 });
      }
    }

    test("signatures come one after the other, with what the schema made of them", async () => {
      const world = await worldOf(mode, loan);
      const run = await world.start(loan, "L1");
      const ana = { loan: "L1", by: "ana", agrees: true, remark: "  fine " };
      expect((await sign(post({ role: "manager", ...ana }))).status).toBe(404);
      expect((await sign(post({ role: "clerk", ...ana }))).status).toBe(200);
      await world.settled();
      await world.restart();
      expect(await getHookByToken("sign:L1:manager")).toMatchObject({ metadata: { role: "manager" } });
      expect((await sign(post({ role: "manager", loan: "L1", by: "bo", agrees: true, remark: "" }))).status).toBe(200);
      expect(await world.engine.getRun(run.runId).returnValue).toBe("clerk ana agrees (fine); manager bo agrees ()");
    });

    test("what the schema refuses is told with its place, and the wait stays open", async () => {
      const world = await worldOf(mode, loan);
      const run = await world.start(loan, "L2");
      const refused = await sign(post({ role: "clerk", loan: "L2", by: "", agrees: "yes", remark: "r" }));
      expect(refused.status).toBe(400);
      expect(((await refused.json()) as { path: string[] }[]).map((issue) => issue.path)).toEqual([["by"], ["agrees"]]);
      expect(await run.state).toBe("waiting");
      expect((await sign(post({ role: "clerk", loan: "L2", by: "ana", agrees: false, remark: "no" }))).status).toBe(200);
      expect(await run.returnValue).toBe("clerk ana declines (no)");
    });

    test("types hold on both sides", async () => {
      const world = await worldOf(mode, loan);
      await world.start(loan, "L3");
      // @ts-expect-error a number is no remark
      await expect(signature.resume("sign:L3:clerk", { loan: "L3", by: "ana", agrees: true, remark: 1 })).rejects.toMatchObject({
        code: "invalid_payload",
      });
    });
  });

  test("a definition without name and schema is read in one expression; a big file goes by reference", async () => {
    const uploaded = defineHook<{ blob: string }>();
    const index = step("index", async (blob: string) => blob.length);
    const film = workflow("film", async (id: string) => {
      const { blob } = await uploaded.create({ token: `upload:${id}` });
      return { id, blob, size: await index(blob) };
    });
    const world = await worldOf(mode, film);
    const run = await start(film, ["f1"], { id: "film-f1" });
    await world.settled();
    await world.restart();
    const route = async (request: Request): Promise<Response> => {
      const { id, blob } = (await request.json()) as { id: string; blob: string };
      await uploaded.resume(`upload:${id}`, { blob });
      return Response.json({ ok: true });
    };
    expect(await (await route(post({ id: "f1", blob: "b-99" }))).json()).toEqual({ ok: true });
    expect(await world.engine.getRun(run.runId).returnValue).toEqual({ id: "f1", blob: "b-99", size: 4 });
  });
});
