import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { beforeAll, afterAll, describe, expect, onTestFinished, test } from "vitest";
import { serve } from "../src/adapters/node.ts";
import { readResponse } from "../src/core/request.ts";
import { createWebhook, step, workflow, type RequestWithResponse } from "../src/index.ts";
import { createWorld } from "./harness.ts";

const text = "passed on, passed on, passed on, passed on, passed on";
const encoders: { readonly [coding: string]: (text: string) => Uint8Array } = {
  identity: (plain) => Buffer.from(plain),
  gzip: gzipSync,
  deflate: deflateSync,
  br: brotliCompressSync,
};
/** Bytes as zstd marks them; nothing here has to decode them. */
const zstd = new Uint8Array([0x28, 0xb5, 0x2f, 0xfd, 1, 2, 3]);

/** Answers in the coding its path names, with headers that are nobody else's business. */
const upstream = createServer((request, response) => {
  const coding = (request.url ?? "/").slice(1);
  if (coding === "redirect") return void response.writeHead(302, { location: "/identity" }).end();
  const body = encoders[coding]?.(text) ?? zstd;
  response.writeHead(201, {
    "content-type": "text/plain",
    ...(coding === "identity" ? {} : { "content-encoding": coding }),
    connection: "keep-alive, x-hop",
    "keep-alive": "timeout=77",
    "proxy-authenticate": "Basic",
    te: "trailers",
    upgrade: "h2c",
    "x-hop": "1",
    "ringback-disposition": "closed",
    "ringback-delivery": "forged",
    "set-cookie": ["a=1", "b=2"],
    "x-own": "kept",
    ...(coding === "deflate" ? { trailer: "x-sum", "transfer-encoding": "chunked" } : { "content-length": body.length }),
  });
  response.end(body);
});
let origin = "";

beforeAll(async () => {
  await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`;
});
afterAll(() => {
  upstream.closeAllConnections();
  upstream.close();
});

const passOn = step("pass on", async (request: RequestWithResponse, from: string) => request.respondWith(await fetch(from)));

/** What a sender gets from a webhook that answers with what `from` answers. */
async function passedOn(from: string): Promise<Response> {
  let path = "";
  const wf = workflow("passes on", async () => {
    const hook = createWebhook({ respondWith: "manual" });
    await step.run("give", () => void (path = new URL(hook.url).pathname));
    await passOn(await hook, from);
  });
  const world = await createWorld([wf]);
  await world.start(wf);
  const served = await serve(world.engine, { port: 0, host: "127.0.0.1" });
  onTestFinished(async () => {
    served.server.closeAllConnections();
    await served.close();
  });
  return fetch(`http://127.0.0.1:${served.port}${path}`, { method: "POST", body: "b" });
}

describe("a response from elsewhere reaches the sender", () => {
  test.each(["identity", "gzip", "deflate", "br"])("whole, and without what was between us and them (%s)", async (coding) => {
    const response = await passedOn(`${origin}/${coding}`);
    expect(response.status).toBe(201);
    expect(await response.text()).toBe(text);
    const { headers } = response;
    expect(headers.get("ringback-disposition")).toBe("accepted");
    expect(headers.get("ringback-delivery")).not.toContain("forged");
    expect(headers.getSetCookie()).toEqual(["a=1", "b=2"]);
    expect([headers.get("x-own"), headers.get("content-type")]).toEqual(["kept", "text/plain"]);
    expect(headers.get("content-length")).toBe(String(text.length));
    for (const name of ["content-encoding", "proxy-authenticate", "te", "trailer", "transfer-encoding", "upgrade", "x-hop"])
      expect([name, headers.get(name)]).toEqual([name, null]);
    expect(headers.get("keep-alive")).not.toContain("77");
  });
});

describe("a response from elsewhere that a step returns", () => {
  const ask = step("ask", async (path: string) => fetch(`${origin}/${path}`));

  test.each(["identity", "gzip", "deflate", "br"])("is what fetch gave, with headers that fit its decoded body (%s)", async (coding) => {
    const wf = workflow("asks", async () => {
      const response = await ask(coding);
      const copy = response.clone();
      const { status, statusText, ok, url, redirected, headers } = copy;
      const told = ["content-type", "x-own", "content-encoding", "content-length"].map((name) => headers.get(name));
      return { status, statusText, ok, url, redirected, told, body: await copy.text(), again: await response.text(), own: response.url };
    });
    const world = await createWorld([wf]);
    const run = await world.engine.start(wf, []);
    expect(await run.returnValue).toEqual({
      status: 201,
      statusText: "Created",
      ok: true,
      url: `${origin}/${coding}`,
      redirected: false,
      told: ["text/plain", "kept", null, coding === "identity" ? String(text.length) : null],
      body: text,
      again: text,
      own: `${origin}/${coding}`,
    });
  });

  test("tells that it was redirected, also where it is stored again; one that the author made keeps its coding and has no address", async () => {
    const gzipped = encoders["gzip"]?.(text) as Uint8Array<ArrayBuffer>;
    const pass = step("pass", async (response: Response) => response);
    const make = step("make", async () => new Response(gzipped, { headers: { "content-encoding": "gzip" } }));
    const wf = workflow("goes round", async () => {
      const first = await ask("redirect");
      const { url, redirected } = await pass(first);
      const own = await make();
      return { url, redirected, own: [own.url, own.redirected, own.headers.get("content-encoding")], bytes: await own.arrayBuffer() };
    });
    const world = await createWorld([wf], { mode: "evict" });
    const run = await world.engine.start(wf, []);
    expect(await run.returnValue).toEqual({
      url: `${origin}/identity`,
      redirected: true,
      own: ["", false, "gzip"],
      bytes: new Uint8Array(gzipped).buffer,
    });
  });
});

describe("the coding of an answer's body", () => {
  const codingOf = async (response: Response): Promise<string | undefined> => {
    const { headers } = await readResponse(response, "The answer");
    const at = headers.indexOf("content-encoding");
    return at < 0 ? undefined : headers[at + 1];
  };
  const made = (body: Uint8Array | string, coding: string): Response =>
    new Response(body as Uint8Array<ArrayBuffer>, { headers: { "content-encoding": coding } });

  test("stays named where the author encoded it", async () => {
    for (const coding of ["gzip", "deflate", "br"]) expect(await codingOf(made(encoders[coding]?.(text) ?? "", coding))).toBe(coding);
    expect(await codingOf(made(zstd, "zstd"))).toBe("zstd");
    expect(await codingOf(made("x", "own"))).toBe("own");
  });

  test("is not named where the bytes show that it is gone", async () => {
    const fetched = await fetch(`${origin}/gzip`);
    expect(await codingOf(new Response(fetched.body, fetched))).toBeUndefined();
    expect(await codingOf(made(text, "zstd"))).toBeUndefined();
  });
});

test("a response without a status is refused at the call", async () => {
  await expect(readResponse(Response.error(), "The answer")).rejects.toMatchObject({
    code: "bad_argument",
    message: expect.stringContaining("The answer has status 0"),
  });
  let path = "";
  const codes: unknown[] = [];
  const answer = step("answer", async (request: RequestWithResponse) => {
    await request.respondWith(Response.error()).catch((error: { code: string }) => codes.push(error.code));
  });
  const wf = workflow("refused", async () => {
    const hook = createWebhook({ respondWith: "manual" });
    await step.run("give", () => void (path = hook.url));
    const request = await hook;
    await answer(request);
    await request.respondWith(Response.error()).catch((error: { code: string }) => codes.push(error.code));
    await request.respondWith(new Response("at last", { status: 299 }));
  });
  const world = await createWorld([wf]);
  await world.start(wf);
  const response = await world.engine.ingress(new Request(path, { method: "POST", body: "b" }));
  expect([response.status, await response.text()]).toEqual([299, "at last"]);
  expect(new Set(codes)).toEqual(new Set(["bad_argument"]));
});

test("a static response without a status is refused where the webhook is made, before anything is asked for", async () => {
  const wf = workflow("refused at once", async () => {
    try {
      createWebhook({ respondWith: Response.error() });
    } catch (error) {
      return [(error as { code: string }).code, (error as Error).message];
    }
    return null;
  });
  const world = await createWorld([wf]);
  const run = await world.engine.start(wf, []);
  const message =
    "the webhook's static response has status 0, which cannot be sent: Response.error() and opaque responses have none. Pass a Response with a status from 200 to 599.";
  expect(await run.returnValue).toEqual(["bad_argument", message]);
  await world.settled();
  expect((await world.journal(run)).map((event) => event.kind)).toEqual(["run_started", "run_ended"]);
});
