import { connect } from "node:http2";
import fastify from "fastify";
import { describe, expect, onTestFinished, test } from "vitest";
import { toPlugin } from "../src/fastify.ts";
import { adminRoute } from "../src/http/admin.ts";
import type { Handler } from "../src/http/handler.ts";
import { type App, frameworks, portOf } from "./mounted/framework.ts";
import { accepted, cap, consumed, echo, opened, plain, sentBack, taken, told, tooLarge, world } from "./mounted/webhook.ts";
import { head, post, Wire } from "./mounted/wire.ts";

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

  test("one handler mounted is not the other", async () => {
    await opened({ admin: { authorize: () => true } });
    const { ingress, admin } = world.engine;
    const sent = [[head("GET", `/in${adminRoute}runs`)], post(`/in${plain}`, "{}")];
    const statuses = async (...handlers: readonly Handler[]): Promise<unknown> => {
      const server = await mount(handlers, { prefix: "/in" });
      const dial = (): Wire => new Wire(portOf(server));
      return Promise.all(sent.map(async (parts) => ((await told(dial, ...parts)) as unknown[])[0]));
    };
    expect(await statuses(ingress)).toEqual([404, 202]);
    expect(await statuses(admin)).toEqual([200, 404]);
    expect(await statuses(admin, ingress)).toEqual([200, 202]);
    expect(await taken()).toBe(2);
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
