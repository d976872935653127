import { afterEach, describe, expect, test, vi } from "vitest";
import type { EngineOptions } from "../src/wiring.ts";
import { createEngine, createHook, createWebhook, defineHook, sleep, step, workflow } from "../src/index.ts";
import { createWorld, epoch, testKeys, type World } from "./harness.ts";

const origin = "https://app.example/internal/ringback/admin/v1/";
const forbidden = { code: "forbidden", message: "This request may not use the admin handler." };
const json = { "content-type": "application/json" };
const open: Partial<EngineOptions> = { admin: { authorize: () => true } };
const routes = [
  ["GET", "health"],
  ["GET", "runs"],
  ["GET", "runs/r"],
  ["GET", "runs/r/hooks"],
  ["POST", "runs/r/cancel"],
  ["POST", "runs/r/wake-up"],
  ["GET", "hooks"],
  ["POST", "hooks/resume"],
  ["GET", "nothing"],
  ["GET", ""],
  ["OPTIONS", "runs"],
] as const;

afterEach(() => vi.unstubAllEnvs());

/** An engine that was never asked anything: it is opened where something gets past the gate. */
function closed(options: Partial<EngineOptions> = {}): { engine: ReturnType<typeof createEngine>; lines: string[] } {
  const lines: string[] = [];
  const note = (line: string): void => void lines.push(line);
  const engine = createEngine({
    store: "memory:",
    keys: testKeys,
    baseUrl: null,
    workflows: [],
    logger: { warn: note, error: note },
    ...options,
  });
  return { engine, lines };
}

function asked(method: string, path: string, headers: Record<string, string> = {}, body?: string): Request {
  return new Request(origin + path, { method, headers, ...(body === undefined ? {} : { body }) });
}

async function status(engine: { admin: (request: Request) => Promise<Response> }, headers: Record<string, string>): Promise<number> {
  return (await engine.admin(asked("GET", "runs", headers))).status;
}

describe("nobody is let in", () => {
  test.each(routes)("where no rule is given: %s %s", async (method, path) => {
    vi.stubEnv("RINGBACK_ADMIN_TOKEN", "");
    const { engine, lines } = closed();
    const response = await engine.admin(asked(method, path, { ...json, authorization: "Bearer " }));
    expect([response.status, await response.json()]).toEqual([403, forbidden]);
    expect(engine.core.isOpen).toBe(false);
    expect(lines).toEqual([expect.stringMatching(/answered 403: set createEngine\(\{ admin: .* or RINGBACK_ADMIN_TOKEN/)]);
  });

  test.each<[string, () => unknown, RegExp | null]>([
    ["says no", () => false, null],
    ["says no later", async () => false, null],
    [
      "throws",
      () => {
        throw new Error("no session");
      },
      /authorize threw: Error: no session/,
    ],
    [
      "rejects",
      async () => {
        throw new Error("no session");
      },
      /authorize threw: Error: no session/,
    ],
    [
      "throws nothing",
      () => {
        throw undefined;
      },
      /authorize threw: undefined/,
    ],
    ["gives something else", () => ({ ok: false }), /authorize gave object, and only true/],
    ["gives text", () => "yes", /authorize gave string/],
    ["gives nothing", () => undefined, /authorize gave undefined/],
  ])("where the rule %s", async (_, authorize, line) => {
    vi.stubEnv("RINGBACK_ADMIN_TOKEN", "0123456789abcdef");
    const { engine, lines } = closed({ admin: { authorize: authorize as () => boolean } });
    expect(await status(engine, { authorization: "Bearer 0123456789abcdef" })).toBe(403);
    expect(engine.core.isOpen).toBe(false);
    expect(lines).toEqual(line === null ? [] : [expect.stringMatching(line)]);
  });

  test("without the token from the environment, or with another", async () => {
    vi.stubEnv("RINGBACK_ADMIN_TOKEN", "0123456789abcdef");
    const { engine, lines } = closed();
    const wrong = ["", "Bearer", "Bearer ", "0123456789abcdef", "Basic 0123456789abcdef", "Bearer 0123456789abcdeF"];
    wrong.push("Bearer 0123456789abcde", "Bearer 0123456789abcdef0", "Bearer 0123456789abcdef, Bearer x", "Bearer x 0123456789abcdef");
    for (const authorization of wrong) expect([authorization, await status(engine, { authorization })]).toEqual([authorization, 403]);
    expect(await status(engine, { "x-authorization": "Bearer 0123456789abcdef" })).toBe(403);
    expect([engine.core.isOpen, lines]).toEqual([false, []]);
    expect(await status(engine, { authorization: "Bearer 0123456789abcdef" })).toBe(200);
    expect(await status(engine, { authorization: "bearer  0123456789abcdef " })).toBe(200);
    await engine.close();
  });

  test("by a token that is too short to be one, or by options that say nothing: the engine is not made", () => {
    vi.stubEnv("RINGBACK_ADMIN_TOKEN", "0123456789abcde");
    expect(() => closed()).toThrow("RINGBACK_ADMIN_TOKEN must have 16 characters or more.");
    vi.stubEnv("RINGBACK_ADMIN_TOKEN", "");
    const wrong: unknown[] = [{}, { authorise: () => true }, { authorize: true }, null, true, () => true];
    for (const admin of wrong) expect(() => closed({ admin: admin as never })).toThrow(expect.objectContaining({ code: "bad_argument" }));
  });

  test("by reading the body in the rule: it is not there, and stays for the route", async () => {
    const seen: unknown[] = [];
    const authorize = async (request: Request): Promise<boolean> => {
      seen.push([request.method, new URL(request.url).pathname, request.headers.get("x-a"), await request.text()]);
      return true;
    };
    const { engine } = closed({ admin: { authorize } });
    const response = await engine.admin(asked("POST", "hooks/resume", { ...json, "x-a": "1" }, '{"token":"t"}'));
    expect([response.status, seen]).toEqual([404, [["POST", "/internal/ringback/admin/v1/hooks/resume", "1", ""]]]);
    await engine.close();
  });
});

test("ingress serves nothing of admin's, and admin nothing of ingress's", async () => {
  const { engine } = closed(open);
  for (const [method, path] of routes) {
    const response = await engine.ingress(asked(method, path, json));
    expect([path, response.status, response.headers.get("ringback-disposition")]).toEqual([path, 404, "unknown"]);
  }
  const callback = await engine.admin(new Request("https://app.example/.well-known/workflow/v1/webhook/x", { method: "POST" }));
  expect([callback.status, await callback.json()]).toEqual([404, expect.objectContaining({ code: "no_such_route" })]);
  await engine.close();
});

const approval = defineHook<{ ok: boolean }>("approval", {
  schema: {
    "~standard": {
      version: 1,
      vendor: "test",
      validate: (value: unknown) =>
        (value as { ok?: unknown } | null)?.ok === true ? { value } : { issues: [{ message: "not ok", path: ["ok"] }] },
    },
  },
} as never);
let url = "";
const waits = workflow("waits", async (name: string) => {
  const hook = createHook<unknown>({ token: `for:${name}`, metadata: { name, size: 10n, seen: new Map([["a", 1]]) } });
  return [await hook];
});
const judged = workflow("judged", async () => approval.create({ token: "judged" }));
const sleeps = workflow("sleeps", async () => sleep("1d"));
const leaks = workflow("leaks", async () => {
  const hook = createWebhook({ metadata: "x" });
  const told = createHook({ token: "told", metadata: { url: hook.url, list: [hook.token] } });
  await step.run("give", () => void (url = hook.url));
  await told;
  throw new Error(`lost ${hook.url}`);
});

async function opened(): Promise<World> {
  return createWorld([waits, judged, sleeps, leaks], { ...open, bodyBytes: 1_000 });
}

async function get(world: Pick<World, "engine">, path: string): Promise<any> {
  const response = await world.engine.admin(asked("GET", path));
  return [response.status, await response.json()];
}

async function post(world: World, path: string, body?: unknown): Promise<any> {
  const response = await world.engine.admin(asked("POST", path, json, body === undefined ? undefined : JSON.stringify(body)));
  await world.settled();
  return [response.status, await response.json()];
}

describe("who is let in", () => {
  test("lists runs, by workflow and state, page by page", async () => {
    const world = await opened();
    for (const id of ["a", "b", "c"]) await world.engine.start(waits, [id], { id });
    await world.engine.start(sleeps, [], { id: "d", attributes: { of: "day", is: "=long" } });
    await world.settled();
    await world.engine.getRun("a").cancel();
    await world.settled();
    const ids = async (query: string): Promise<unknown> => {
      const [code, { runs, before }] = await get(world, `runs${query}`);
      return [code, runs.map((run: { runId: string }) => run.runId).join(""), before];
    };
    expect(await ids("")).toEqual([200, "dcba", null]);
    expect(await ids("?limit=3")).toEqual([200, "dcb", "b"]);
    expect(await ids("?limit=3&before=b")).toEqual([200, "a", null]);
    expect(await ids("?workflow=sleeps")).toEqual([200, "d", null]);
    expect(await ids("?state=cancelled&workflow=waits")).toEqual([200, "a", null]);
    expect(await ids("?attribute=of%3Dday&attribute=is%3D%3Dlong")).toEqual([200, "d", null]);
    expect(await ids("?attribute=of%3Dnight")).toEqual([200, "", null]);
    expect((await get(world, "runs?state=open&limit=1"))[1].runs).toEqual([
      {
        runId: "d",
        workflowName: "sleeps",
        state: "waiting",
        attributes: { of: "day", is: "=long" },
        isRegistered: true,
        createdAt: new Date(epoch).toISOString(),
        completedAt: null,
      },
    ]);
    for (const [query, words] of [
      ["?attribute=of", "a name and a value"],
      ["?stat=open", 'no option "stat". Did you mean "state"?'],
      ["?state=closed", "listRuns({ state }) takes"],
      ["?limit=0", "from 1 to 1,000"],
      ["?limit=many", "from 1 to 1,000"],
      ["?limit=1e2", "from 1 to 1,000"],
      ["?state=open&state=failed", "state twice"],
      ["?__proto__=1", "no option"],
    ])
      expect(await get(world, `runs${query}`)).toEqual([
        400,
        expect.objectContaining({ code: "bad_argument", message: expect.stringContaining(words as string) }),
      ]);
  });

  test("sees one run with its timeline, whatever its id is", async () => {
    const world = await opened();
    const id = "order/42 ü?%";
    await world.engine.start(waits, ["x"], { id });
    await world.settled();
    const [code, { run, blocked, failure, timeline }] = await get(world, `runs/${encodeURIComponent(id)}`);
    expect([code, run.runId, run.state, blocked, failure]).toEqual([200, id, "waiting", null, null]);
    expect(timeline.map(({ event }: { event: string }) => event)).toEqual(["run_started", "hook_created"]);
    expect(await get(world, "runs/none")).toEqual([404, expect.objectContaining({ code: "run_not_found", details: { run: "none" } })]);
    expect((await get(world, "runs/%zz"))[1]).toMatchObject({ code: "no_such_route" });
    expect((await get(world, "runs/none/hooks"))[0]).toBe(404);
  });

  test("sees hooks, of all runs or one, with what their metadata says", async () => {
    const world = await opened();
    for (const id of ["a", "b"]) await world.engine.start(waits, [id], { id });
    await world.settled();
    expect((await get(world, "hooks?limit=1"))[1].hooks).toMatchObject([
      {
        runId: "b",
        hookId: "b:1",
        workflowName: "waits",
        token: "for:b",
        isWebhook: false,
        metadata: { name: "b", size: "10", seen: [["a", 1]] },
        state: "open",
        createdAt: new Date(epoch).toISOString(),
        expiresAt: null,
      },
    ]);
    await world.engine.resumeHook("for:a", 1);
    await world.settled();
    expect((await get(world, "runs/a/hooks"))[1].hooks).toEqual([]);
    expect((await get(world, "runs/a/hooks?all=true"))[1].hooks).toMatchObject([{ token: "for:a", state: "closed" }]);
    expect((await get(world, "hooks?runId=a&all"))[1].hooks).toHaveLength(1);
    expect((await get(world, "hooks?all=perhaps"))[0]).toBe(400);
  });

  test("resumes a hook once per key, and is told why not", async () => {
    const world = await opened();
    await world.engine.start(waits, ["a"], { id: "a" });
    await world.engine.start(judged, []);
    await world.settled();
    const sent = { token: "for:a", payload: { any: ["thing"] }, key: "k" };
    const [code, answer] = await post(world, "hooks/resume", sent);
    expect([code, answer]).toEqual([
      200,
      { runId: "a", hookId: "a:1", delivery: expect.objectContaining({ disposition: "accepted", keyed: true }) },
    ]);
    expect(await world.engine.getRun("a").returnValue).toEqual([{ any: ["thing"] }]);
    expect((await post(world, "hooks/resume", sent))[1].delivery).toMatchObject({ disposition: "duplicate", id: answer.delivery.id });
    expect(await post(world, "hooks/resume", { ...sent, key: "l" })).toEqual([410, expect.objectContaining({ code: "hook_closed" })]);
    expect((await post(world, "hooks/resume", { token: "for:nobody" }))[1]).toMatchObject({ code: "hook_not_found" });
    expect(await post(world, "hooks/resume", { token: "judged", payload: { ok: 1 } })).toEqual([
      422,
      expect.objectContaining({ code: "invalid_payload", details: { issues: [{ message: "not ok", path: ["ok"] }] } }),
    ]);
    expect((await post(world, "hooks/resume", { token: "judged", payload: { ok: true } }))[0]).toBe(200);
    for (const body of [undefined, null, [], "t", {}, { token: 1 }, { token: "t", keys: 1 }, { token: "t", key: 1 }])
      expect([body, (await post(world, "hooks/resume", body))[0]]).toEqual([body, 400]);
  });

  test("cancels a run, and ends its sleeps", async () => {
    const world = await opened();
    for (const id of ["a", "b"]) await world.engine.start(sleeps, [], { id });
    await world.settled();
    expect(await post(world, "runs/a/wake-up")).toEqual([200, { stoppedCount: 1 }]);
    expect(await world.engine.getRun("a").state).toBe("completed");
    expect((await post(world, "runs/b/cancel", {}))[0]).toBe(200);
    expect((await get(world, "runs/b"))[1].run.state).toBe("cancelled");
    expect((await post(world, "runs/none/cancel"))[0]).toBe(404);
    for (const body of [null, [], { compensat: true }, { compensate: 1 }])
      expect([body, (await post(world, "runs/b/cancel", body))[0]]).toEqual([body, 400]);
    await world.engine.start(sleeps, [], { id: "c" });
    expect((await post(world, "runs/c/cancel", { compensate: true }))[0]).toBe(200);
    await world.settled();
    const [, { timeline }] = await get(world, "runs/c");
    expect(timeline).toContainEqual(expect.objectContaining({ event: "cancel_requested", detail: "to undo what was done" }));
    expect((await post(world, "runs/none/wake-up"))[0]).toBe(404);
  });

  test("lists what was refused and delivers it again, removes runs, keeps what comes early", async () => {
    const world = await opened();
    expect((await post(world, "hooks/resume", { token: "for:late", payload: 1, early: true }))[1]).toMatchObject({
      runId: null,
      hookId: null,
      delivery: { disposition: "buffered" },
    });
    await world.engine.start(waits, ["a"], { id: "a" });
    await world.engine.start(sleeps, [], { id: "b" });
    await world.settled();
    await world.engine.resumeHook("for:a", 1);
    await world.settled();
    await world.engine.signal("for:a", "again");
    await world.settled();
    const [code, { refused, before }] = await get(world, "refused");
    expect([code, refused, before]).toEqual([200, [expect.objectContaining({ reason: "closed", token: "for:a" })], null]);
    const { deliveryId } = refused[0];
    expect((await get(world, `refused?before=${deliveryId}`))[1].refused).toEqual([]);
    expect(await post(world, `refused/${deliveryId}/redeliver`)).toEqual([
      200,
      expect.objectContaining({ disposition: "closed", by: "ended" }),
    ]);
    expect((await post(world, "refused/dlv_zz/redeliver"))[0]).toBe(404);
    expect((await post(world, "refused/none/redeliver"))[0]).toBe(400);
    expect(await post(world, "runs/b/delete")).toEqual([409, expect.objectContaining({ code: "run_open" })]);
    expect(await post(world, "runs/a/delete")).toEqual([200, { deleted: "a" }]);
    expect((await post(world, "runs/a/delete"))[0]).toBe(404);
    await world.engine.start(waits, ["a"], { id: "a" });
    await world.settled();
    expect((await post(world, `refused/${deliveryId}/redeliver`))[1]).toMatchObject({ disposition: "accepted", id: deliveryId });
    await world.settled();
    expect(await post(world, "purge", { olderThan: "0s" })).toEqual([200, { runs: 1, rows: expect.any(Number) }]);
    expect((await post(world, "purge", { older: "0s" }))[0]).toBe(400);
    expect((await post(world, "purge", { olderThan: "soon" }))[0]).toBe(400);
  });

  test("AD2: never sees a minted token, wherever it stands", async () => {
    const world = await opened();
    const run = await world.start(leaks);
    const mac = url.split(":").at(-1) as string;
    expect(mac).toHaveLength(24);
    const texts: string[] = [];
    const look = async (path: string): Promise<void> => void texts.push(await (await world.engine.admin(asked("GET", path))).text());
    await look("hooks");
    await world.engine.resumeHook("told", 1);
    await world.settled();
    for (const path of [`runs/${run.runId}`, "hooks?all", "runs"]) await look(path);
    const token = url.slice(url.lastIndexOf("/") + 1);
    for (const body of [{ token: url }, { token }, { token, payload: token }, { token, [token]: 1 }])
      texts.push(JSON.stringify(await post(world, "hooks/resume", body)));
    expect(texts[1]).toContain("Error: lost https://app.example/");
    for (const text of texts) expect(text).not.toContain(mac.slice(0, 12));
  });

  test("is told of errors as they are: wrong methods, bodies, stores that are away", async () => {
    const world = await opened();
    const { engine } = world; // the same one throughout: another would still be open
    const answer = async (request: Request): Promise<unknown> => {
      const response = await engine.admin(request);
      const text = await response.text();
      return [response.status, text === "" ? response.headers.get("allow") : (JSON.parse(text) as { code: string }).code];
    };
    expect(await answer(asked("POST", "runs", json))).toEqual([405, "GET, HEAD"]);
    expect(await answer(asked("DELETE", "runs/a/cancel"))).toEqual([405, "POST"]);
    expect(await answer(asked("OPTIONS", "runs"))).toEqual([405, "GET, HEAD"]);
    for (const path of ["", "/", "run", "runs/", "runs//cancel", "runs/a/b", "hooks/resume/x", "RUNS"])
      expect([path, await answer(asked("GET", path))]).toEqual([path, [404, "no_such_route"]]);
    expect(await answer(asked("POST", "runs/a/cancel"))).toEqual([415, "not_json"]);
    expect(await answer(asked("POST", "hooks/resume", { "content-type": "text/plain" }, "{}"))).toEqual([415, "not_json"]);
    expect(await answer(asked("POST", "hooks/resume", json, "{"))).toEqual([422, "invalid_payload"]);
    expect(await answer(asked("POST", "hooks/resume", json, "[".repeat(500)))).toEqual([422, "too_deep"]);
    expect(await answer(asked("POST", "hooks/resume", json, "x".repeat(1_001)))).toEqual([413, "too_large"]);
    const read = asked("POST", "hooks/resume", json, "{}");
    await read.text();
    expect(await answer(read)).toEqual([503, "body_consumed"]);
    vi.spyOn(world.store, "runs").mockRejectedValueOnce(new Error("disk on fire"));
    expect(await answer(asked("GET", "runs"))).toEqual([500, "internal_error"]);
    expect(world.lines).toEqual([expect.stringContaining("engine.admin failed: Error: disk on fire")]);
    await engine.close();
    expect(await answer(asked("GET", "runs"))).toEqual([503, "engine_closed"]);
  });

  test("learns how the engine is doing, from the status alone where that is enough", async () => {
    const { engine } = await opened();
    expect(await get({ engine }, "health")).toEqual([200, JSON.parse(JSON.stringify(await engine.health()))]);
    await engine.close();
    expect(await get({ engine }, "health")).toEqual([503, expect.objectContaining({ ok: false })]);
  });

  test("gets answers that nobody keeps, and that pages of other sites cannot read", async () => {
    const world = await opened();
    const requests = [asked("GET", "runs"), asked("GET", "none"), asked("POST", "runs/none/cancel", json), asked("OPTIONS", "runs")];
    for (const request of [...requests, asked("HEAD", "runs")]) {
      const { headers } = await world.engine.admin(request);
      expect([headers.get("cache-control"), headers.get("x-content-type-options")]).toEqual(["no-store", "nosniff"]);
      expect([...headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
    }
    const looked = await world.engine.admin(asked("HEAD", "runs"));
    expect([looked.status, looked.body]).toEqual([200, null]);
    const refused = await closed().engine.admin(asked("GET", "runs"));
    expect(refused.headers.get("cache-control")).toBe("no-store");
  });
});
