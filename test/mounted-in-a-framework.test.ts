import { randomBytes } from "node:crypto";
import { Agent, request as ask } from "node:http";
import { connect } from "node:http2";
import { setImmediate } from "node:timers";
import fastify from "fastify";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { toPlugin } from "../src/fastify.ts";
import type { Handler } from "../src/http/handler.ts";
import { createWebhook, step, workflow } from "../src/index.ts";
import type { EngineOptions } from "../src/wiring.ts";
import { createWorld, type World } from "./harness.ts";
import { frameworks, portOf, type App } from "./mounted/framework.ts";
import { chunked, head, post, Wire, type Told } from "./mounted/wire.ts";

const cap = 4_096;
const route = "/.well-known/workflow/v1/webhook/";

/** Paths of two webhooks: one answers 202 by itself, one sends each body back as it came. */
let plain = "";
let echo = "";
let held: (() => void)[] = [];
const answerHeaders: [string, string][] = [
  ["Content-Type", "application/octet-stream"],
  ["Set-Cookie", "a=1"],
  ["Set-Cookie", "b=2"],
];

const receives = workflow("receives", async () => {
  const hook = createWebhook();
  await step.run("give plain", () => void (plain = hook.url));
  for await (const _ of hook);
});
const sendsBack = workflow("sends back", async () => {
  const hook = createWebhook({ respondWith: "manual" });
  await step.run("give echo", () => void (echo = hook.url));
  for await (const request of hook) {
    if (request.headers.has("x-hold")) await step.run("hold", () => new Promise<void>((resolve) => held.push(resolve)));
    await request.respondWith(new Response(await request.arrayBuffer(), { status: 201, headers: answerHeaders }));
  }
});

let world: World;
async function opened(options: Partial<EngineOptions> = {}): Promise<World> {
  world = await createWorld([receives, sendsBack], { mode: "hot", bodyBytes: cap, ...options });
  await world.start(receives);
  await world.start(sendsBack);
  [plain, echo] = [new URL(plain).pathname, new URL(echo).pathname];
  return world;
}

beforeEach(() => {
  held = [];
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** How many payloads the plain webhook has taken. */
async function taken(): Promise<number> {
  const runs = await world.engine.listRuns();
  const journals = await Promise.all(runs.map((run) => world.journal(run)));
  return journals.flat().filter((event) => event.kind === "hook_received").length;
}

/** An answer as the table tells it: what a sender may rely on. */
function row(told: Told | null): unknown {
  if (told === null) return null;
  const { status, headers, body } = told;
  const shown = ["allow", "ringback-disposition", "retry-after", "content-type", "set-cookie", "access-control-allow-origin"].flatMap(
    (name) => (headers.has(name) ? [`${name}: ${headers.get(name)}`] : []),
  );
  return [status, ...shown, ...(body === "" ? [] : [body])];
}

/** What one sender is told on a connection of its own. */
async function told(dial: () => Wire, ...sent: readonly (string | Uint8Array)[]): Promise<unknown> {
  const line = dial().send(...sent);
  return row(await line.told(String(sent[0]).startsWith("HEAD")));
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise<void>((resolve) => setImmediate(resolve));
}

const accepted = [202, "ringback-disposition: accepted"];
const sentBack = ["ringback-disposition: accepted", "content-type: application/octet-stream", "set-cookie: a=1, b=2"];
const tooLarge = [413, "content-type: application/json", `{"code":"too_large","message":"The request body has more than ${cap} bytes."}`];
const consumed = [
  503,
  "retry-after: 5",
  "content-type: application/json",
  expect.stringMatching(
    /^\{"code":"body_consumed","message":"The app read this request's body before Ringback came to it\. Mount Ringback before/,
  ),
];

describe.each(Object.entries(frameworks))("in %s", (name, mount) => {
  async function wire(handler: Handler = world.engine.ingress): Promise<() => Wire> {
    const server = await mount([handler], {});
    return () => new Wire(portOf(server));
  }

  test("every sender gets the same answer as everywhere", async () => {
    await opened();
    const dial = await wire();
    const sent = (...parts: readonly (string | Uint8Array)[]): Promise<unknown> => told(dial, ...parts);
    const unknown = [404, "ringback-disposition: unknown"];
    const method = [405, "allow: POST, PUT, PATCH"];
    const encoded = route + [...plain.slice(route.length)].map((letter) => `%${letter.charCodeAt(0).toString(16)}`).join("");
    expect({
      post: await sent(...post(plain, "{}")),
      put: await sent(head("PUT", plain, "Content-Length: 1"), "x"),
      patch: await sent(head("PATCH", plain, "Content-Length: 0")),
      empty: await sent(head("POST", plain)),
      chunked: await sent(chunked(plain, "body")),
      query: await sent(...post(`${plain}?a=1&b=%2F`, "{}")),
      encoded: await sent(...post(encoded, "{}")),
      absolute: await sent(...post(`http://elsewhere.example${plain}`, "{}")),
      repeat: [await sent(...post(plain, "a", "Webhook-Id: 1")), await sent(...post(plain, "a", "Webhook-Id: 1"))],
      reused: [
        await sent(...post(plain, "a", "Idempotency-Key: 2")),
        (await sent(...post(plain, "b", "Idempotency-Key: 2"))) as unknown[],
      ].map((each) => (each as unknown[])[0]),
      own: await sent(...post(echo, "back")),
      strangeType: await sent(...post(plain, "a", "Content-Type: json")),
      emptyType: await sent(...post(plain, "a", "Content-Type:")),
      brokenJson: await sent(...post(plain, "{", "Content-Type: application/json")),
      form: await sent(...post(plain, "a=b", "Content-Type: application/x-www-form-urlencoded")),
      gzip: await sent(...post(plain, "no gzip at all", "Content-Encoding: gzip")),
      get: await sent(head("GET", plain)),
      delete: await sent(head("DELETE", plain)),
      deleteWithBody: await sent(head("DELETE", plain, "Content-Length: 1", "Content-Type: application/json"), "x"),
      head: await sent(head("HEAD", plain)),
      options: await sent(head("OPTIONS", plain, "Origin: https://a.example", "Access-Control-Request-Method: POST")),
      forged: await sent(...post(`${plain.slice(0, -2)}xx`, "{}")),
      noToken: await sent(...post(`${route}nothing`, "{}")),
      bare: await sent(...post(route, "{}")),
      slash: await sent(...post(`${route}a%2Fb`, "{}")),
      below: await sent(...post(`${plain}/`, "{}")),
      forgedGet: await sent(head("GET", `${route}nothing`)),
    }).toEqual({
      post: accepted,
      put: accepted,
      patch: accepted,
      empty: accepted,
      chunked: accepted,
      query: accepted,
      encoded: accepted,
      absolute: accepted,
      repeat: [accepted, [202, "ringback-disposition: duplicate"]],
      reused: [202, 422],
      own: [201, ...sentBack, "back"],
      strangeType: accepted,
      emptyType: accepted,
      brokenJson: accepted,
      form: accepted,
      gzip: accepted,
      get: method,
      delete: method,
      deleteWithBody: method,
      head: method,
      options: [204],
      forged: unknown,
      noToken: unknown,
      bare: unknown,
      slash: unknown,
      below: unknown,
      forgedGet: unknown,
    });
  });

  test("a body comes back byte for byte, whatever it says it is", async () => {
    await opened();
    const dial = await wire();
    const bodies = [randomBytes(cap), Buffer.from('\ufeff{ "a" : 1.0,\r\n"a":2 }'), Buffer.from([0xff, 0, 0xc3, 0x28, 0x0d, 0x0a])];
    for (const body of bodies)
      for (const type of ["application/json", "text/plain; charset=latin1", "application/x-www-form-urlencoded", "multipart/form-data"]) {
        const line = dial().send(...post(echo, body, `Content-Type: ${type}`));
        expect(Buffer.from((await line.told())?.body ?? "", "latin1").equals(body)).toBe(true);
      }
  });

  test("a body at the cap is taken, one byte more is 413, and the connection goes on", async () => {
    await opened();
    const dial = await wire();
    const line = dial();
    const [fits, over] = ["x".repeat(cap), "x".repeat(cap + 1)];
    const answers: unknown[] = [];
    const inTurn = [post(plain, fits), [chunked(plain, fits)], post(plain, over), post(plain, ""), [chunked(plain, over)], post(plain, "")];
    for (const sent of inTurn) answers.push(row(await line.send(...sent).told()));
    expect(answers).toEqual([accepted, accepted, tooLarge, accepted, tooLarge, accepted]);
    expect(await taken()).toBe(4);
  });

  test("the engine's cap counts, not a framework's own", async () => {
    const bodyBytes = 3 * 1024 * 1024;
    await opened({ bodyBytes });
    const dial = await wire();
    for (const type of ["application/json", "text/plain", "application/octet-stream"])
      expect(await told(dial, ...post(plain, "x".repeat(bodyBytes), `Content-Type: ${type}`))).toEqual(accepted);
  });

  test("a client that keeps its connections alive goes on after far too large a body", async () => {
    await opened();
    const server = await mount([world.engine.ingress], {});
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const sent = (body: string): Promise<number> =>
      new Promise((resolve, reject) => {
        const asked = ask({ agent, port: portOf(server), host: "127.0.0.1", path: plain, method: "POST" }, (response) => {
          response.resume().once("end", () => resolve(response.statusCode ?? 0));
        });
        // What comes after the answer is the sender's loss alone.
        asked.once("error", reject).end(body);
      });
    expect([await sent("x".repeat(2 * cap + 1)), await sent("x"), await sent("x".repeat(2 * cap)), await sent("x")]).toEqual([
      413, 202, 413, 202,
    ]);
    agent.destroy();
  });

  test("an upload that stops half-way leaves nothing, and nobody else notices", async () => {
    await opened();
    const dial = await wire();
    const torn = [
      [head("POST", plain, "Content-Length: 100"), "half"],
      [head("POST", plain, "Transfer-Encoding: chunked"), "4\r\nhalf\r\n"],
      [head("POST", plain, "Content-Length: 100")],
      [head("POST", plain, `Content-Length: ${cap + 100}`), "x".repeat(cap + 1)],
    ];
    for (const parts of torn) {
      const line = dial().send(...parts);
      await new Promise<void>((resolve) => line.socket.once("connect", () => line.socket.end(() => resolve())));
      await line.closed();
    }
    expect(await told(dial, ...post(plain, "whole"))).toEqual(accepted);
    expect(await taken()).toBe(1);
  });

  test("a sender that hangs up before its answer breaks nothing: the delivery stands", async () => {
    await opened();
    const dial = await wire();
    const line = dial().send(...post(echo, "gone", "X-Hold: 1", "Webhook-Id: 1"));
    await until(() => held.length === 1);
    line.socket.destroy();
    await line.closed();
    held[0]?.();
    await world.settled();
    expect(await told(dial, ...post(echo, "again", "Webhook-Id: 1"))).toEqual([
      201,
      "ringback-disposition: duplicate",
      ...sentBack.slice(1),
      "gone",
    ]);
  });

  test("who sends little by little is told that it took too long", async () => {
    await opened();
    const dial = await wire();
    const slow = new AbortController();
    vi.spyOn(AbortSignal, "timeout").mockReturnValue(slow.signal);
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const asked = vi.mocked(AbortSignal.timeout);
    const line = dial().send(head("POST", plain, "Content-Length: 100"), "half");
    await until(() => (name === "hono" ? asked.mock.calls.length > 0 : vi.getTimerCount() > 0));
    vi.advanceTimersByTime(15_000);
    slow.abort(new Error("too slow"));
    vi.useRealTimers();
    expect(row(await line.told())).toEqual([
      408,
      "content-type: application/json",
      '{"code":"too_slow","message":"The request body did not come in time."}',
    ]);
    expect(await taken()).toBe(0);
  });

  test("below the path of the base URL, or behind a proxy that takes it off", async () => {
    await opened({ baseUrl: "https://app.example/api" });
    const dial = await wire();
    expect(plain.startsWith(`/api${route}`)).toBe(true);
    expect(await told(dial, ...post(plain, "{}"))).toEqual(accepted);
    expect(await told(dial, ...post(plain.slice("/api".length), "{}", "X-Forwarded-Prefix: /elsewhere"))).toEqual(accepted);
  });

  test("what a proxy's headers say is used for nothing", async () => {
    await opened();
    const dial = await wire();
    const forwarded = [
      "X-Forwarded-For: 10.0.0.1",
      "X-Forwarded-Proto: ftp",
      "X-Forwarded-Host: a b",
      "X-Forwarded-Port: x",
      "Forwarded: host=evil",
      "X-Original-URL: /own",
      "X-Rewrite-URL: /own",
      "X-HTTP-Method-Override: DELETE",
    ];
    expect(await told(dial, ...post(plain, "{}", ...forwarded))).toEqual(accepted);
    expect(await told(dial, ...post("/own", "{}", `X-Original-URL: ${plain}`, `X-Rewrite-URL: ${plain}`))).not.toContain(202);
    expect(await taken()).toBe(1);
  });

  test("a function in the web's standard form is handed the request as it came", async () => {
    await opened();
    const seen: string[] = [];
    const handler: Handler = async (request) => {
      const { pathname, search } = new URL(request.url);
      seen.push(`${request.method} ${pathname}${search} ${request.headers.get("x-a")}`);
      if (pathname === "/unread")
        return new Response("left it", {
          status: 299,
          headers: [
            ["Set-Cookie", "a=1"],
            ["Set-Cookie", "b=2"],
          ],
        });
      return new Response(await request.text().catch(() => "torn"));
    };
    const dial = await wire(handler);
    const line = dial();
    const told = await line.send(...post("/unread?q=%2F", "x".repeat(10_000), "X-A: 1")).told();
    expect([told?.status, told?.headers.getSetCookie(), told?.body]).toEqual([299, ["a=1", "b=2"], "left it"]);
    expect((await line.send(...post("/read", "whole", "X-A: 2")).told())?.body).toBe("whole");
    expect((await line.send(chunked("/read", "chunks", "X-A: 3")).told())?.body).toBe("chunks");
    expect((await line.send(head("GET", "/read", "X-A: 4")).told())?.status).toBe(200);
    const torn = dial().send(head("POST", "/torn", "Content-Length: 9"), "half");
    await until(() => seen.length === 5);
    torn.socket.destroy();
    await torn.closed();
    expect((await line.send(...post("/read", "still", "X-A: 5")).told())?.body).toBe("still");
    expect(seen).toEqual(["POST /unread?q=%2F 1", "POST /read 2", "POST /read 3", "GET /read 4", "POST /torn null", "POST /read 5"]);
  });
});

describe.each(Object.entries(frameworks).filter(([name]) => name !== "node"))("in an app of %s", (name, mount) => {
  const wired = async (app: App): Promise<() => Wire> => {
    const server = await mount([world.engine.ingress], app);
    return () => new Wire(portOf(server));
  };

  test("mounted at the base URL's path, at another behind a proxy that changes it, and at the route itself", async () => {
    await opened({ baseUrl: "https://app.example/api/hooks" });
    const below = plain.slice("/api/hooks".length);
    for (const [prefix, path] of [
      ["/api/hooks", plain],
      ["/api", plain],
      ["/hooks", `/hooks${below}`],
      ["/", plain],
      ["/", below],
      [plain.slice(0, plain.lastIndexOf("/")), plain],
    ] as const) {
      const dial = await wired({ prefix });
      expect([prefix, await told(dial, ...post(path, "{}"))]).toEqual([prefix, accepted]);
    }
  });

  test("paths that are not ours are the app's, the handler being first in it", async () => {
    await opened();
    const dial = await wired({});
    expect((await dial().send(head("GET", "/own")).told())?.body).toBe("own");
    expect((await told(dial, ...post("/nobody", "{}"))) as unknown[]).not.toContain("ringback-disposition: unknown");
  });

  test.each(["json last", "json first", "bytes first"] as const)(
    "the app reads bodies, %s: ours comes as it was, or is refused with what to do",
    async (reads) => {
      await opened();
      const dial = await wired({ reads });
      const json = '{ "a" : 1.0 }';
      const answer = await told(dial, ...post(echo, json, "Content-Type: application/json"));
      if (reads !== "json first" || name === "fastify") return expect(answer).toEqual([201, ...sentBack, json]);
      expect(answer).toEqual(consumed);
      expect(await told(dial, ...post(echo, json, "Content-Type: application/json"))).toEqual(consumed);
      expect(world.lines).toEqual([expect.stringContaining("Mount Ringback before whatever reads bodies")]);
      expect(await taken()).toBe(0);
    },
  );
});

test("Hono makes bytes of text that was read before: they are not what came, and are refused", async () => {
  await opened();
  const server = await frameworks["hono"]?.([world.engine.ingress], { reads: "text, then bytes first" });
  const dial = (): Wire => new Wire(server ? portOf(server) : 0);
  expect(await told(dial, ...post(echo, Buffer.from([0xef, 0xbb, 0xbf, 0xff])))).toEqual(consumed);
});

test("Fastify over HTTP/2: the request has its headers, and none that is no header", async () => {
  await opened();
  const app = fastify({ http2: true });
  await app.register(toPlugin(world.engine.ingress));
  await app.register(
    toPlugin(async (request) => Response.json([...request.headers.keys()])),
    { prefix: "/standard" },
  );
  const session = connect(await app.listen({ port: 0, host: "127.0.0.1" }));
  onTestFinished(async () => {
    await new Promise<void>((resolve) => session.close(resolve));
    await app.close();
  });
  const asked = async (path: string, body: string): Promise<[unknown, string]> => {
    const stream = session.request({ ":method": "POST", ":path": path, "x-a": "1" }).end(body);
    let [status, text]: [unknown, string] = [null, ""];
    stream.on("response", (headers) => (status = headers[":status"])).on("data", (chunk: Buffer) => (text += chunk.toString()));
    await new Promise<void>((resolve) => stream.once("close", () => resolve()));
    return [status, text];
  };
  expect(await asked(echo, "body")).toEqual([201, "body"]);
  expect(await asked(echo, "x".repeat(cap + 1))).toEqual([413, tooLarge[2]]);
  expect((await asked(echo, "x".repeat(3 * cap)))[0]).toBe(413);
  expect(await asked("/standard/x", "body")).toEqual([200, '["x-a"]']);
});
