// Callbacks come into a Nest app whatever it has around its controllers, and byte for byte; what is not the engine's goes on as it came.

import {
  Body,
  type CallHandler,
  type CanActivate,
  Controller,
  Get,
  HttpException,
  type INestApplication,
  type MiddlewareConsumer,
  Module,
  type NestApplicationOptions,
  type NestInterceptor,
  type PipeTransform,
  Post,
  type RawBodyRequest,
  Req,
  VersioningType,
} from "@nestjs/common";
import { Test } from "@nestjs/testing";
import { FastifyAdapter } from "@nestjs/platform-fastify";
import express from "express";
import type { FastifyInstance } from "fastify";
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { connect } from "node:http2";
import type { AddressInfo } from "node:net";
import { describe, expect, test } from "vitest";
import { find } from "../src/adapters/nest/door.ts";
import { DurableModule, type DurableModuleOptions, WorkflowEngine } from "../src/nest.ts";
import { listening, minted, platforms, type Running, settings, started, waits } from "./nest/app.ts";

/** What a callback must not meet. */
const met: string[] = [];
const webhooks = "/durable/api/webhooks/";
const refuse = (what: string): never => {
  met.push(what);
  throw new HttpException(`the ${what} refuses`, 418);
};

@Controller("own")
class Own {
  @Post()
  echo(@Body() body: unknown): unknown {
    return body;
  }
  @Post("raw")
  raw(@Req() request: RawBodyRequest<IncomingMessage>): string {
    return String(request.rawBody);
  }
  @Get(":any")
  any(): string {
    return "own";
  }
}

function root(options: DurableModuleOptions = {}, hasMiddleware = false) {
  @Module({ imports: [DurableModule.forRoot({ ...settings, workflows: [waits], ...options })], controllers: [Own] })
  class Root {
    configure(consumer: MiddlewareConsumer): void {
      if (hasMiddleware) consumer.apply(refusing("middleware")).forRoutes("*");
    }
  }
  return Root;
}

const refusing = (what: string) => (_request: IncomingMessage, response: ServerResponse, next: () => void) => {
  met.push(what);
  next();
};

/** All that stands around controllers. */
function surround(app: INestApplication): void {
  app.setGlobalPrefix("api");
  app.enableVersioning({ type: VersioningType.URI, defaultVersion: "1" });
  app.useGlobalGuards({ canActivate: () => refuse("guard") } satisfies CanActivate);
  app.useGlobalPipes({ transform: () => refuse("pipe") } satisfies PipeTransform);
  app.useGlobalInterceptors({
    intercept: (_: unknown, next: CallHandler) => refuse("interceptor") ?? next.handle(),
  } satisfies NestInterceptor);
  app.use(refusing("function"));
}

async function taken({ app, post }: Running, place: (token: string) => string): Promise<unknown> {
  const { token, run } = await minted(app.get(WorkflowEngine));
  const response = await post(place(token), { a: 1 });
  return response.status === 202 ? run.returnValue : response.status;
}

describe.each(platforms)("on %s", (platform, adapter) => {
  test("under a global prefix, versions, guards, pipes, interceptors and middleware, ND1", async () => {
    met.length = 0;
    const running = await started(root({}, true), adapter(), surround, { cors: true });
    for (const place of [
      "/durable/api/webhooks/",
      "/api/durable/api/webhooks/",
      "/.well-known/workflow/v1/webhook/",
      "/api/.well-known/workflow/v1/webhook/",
    ])
      expect([place, await taken(running, (token) => place + token)]).toEqual([place, { a: 1 }]);
    expect(await taken(running, (token) => `/durable/api/webhooks/${token}/?from=psp`)).toEqual({ a: 1 });
    expect(met).toEqual([]);
    const own = await running.post("/api/v1/own", { a: 1 });
    expect([own.status, met]).toEqual([418, ["function", "middleware", "guard"]]);
  });

  test.each<[string, NestApplicationOptions, (app: INestApplication) => unknown]>([
    ["Nest's own body parser", {}, () => {}],
    ["raw bodies kept", { rawBody: true }, () => {}],
    ["no body parser", { bodyParser: false }, () => {}],
    ["a body parser of the app's", { bodyParser: false }, (app) => void app.use(express.json())],
  ])("a body is read byte for byte, up to the engine's cap: with %s", async (name, options, prepare) => {
    const running = await started(root(), adapter(), prepare, options);
    const { app, post } = running;
    const { token, run } = await minted(app.get(WorkflowEngine));
    const large = { text: "x".repeat(500_000) };
    expect((await post(`${webhooks}${token}`, large)).status).toBe(202);
    expect(await run.returnValue).toEqual(large);
    const form = await minted(app.get(WorkflowEngine));
    const urlencoded = { "content-type": "application/x-www-form-urlencoded" };
    expect((await post(`${webhooks}${form.token}`, "a=1&b=%20", urlencoded)).status).toBe(202);
    expect(await form.run.returnValue).toEqual({ a: "1", b: " " });
    // Fastify waits for a body that middleware has read before it.
    const isReadable = name !== "no body parser" && (platform === "Express" || !name.includes("the app's"));
    if (isReadable) expect(await (await post("/own", { a: 1 })).json()).toEqual({ a: 1 });
    if (options.rawBody)
      expect(await (await post("/own/raw", '{ "a":1 }', { "content-type": "application/json" })).text()).toBe('{ "a":1 }');
  });

  test("senders are told what they are told everywhere", async () => {
    const { app, post, url } = await started(root(), adapter());
    const { token } = await minted(app.get(WorkflowEngine));
    const place = webhooks + token;
    const neither = await post(place, "<paid/>", { "content-type": "application/xml" });
    expect([neither.status, neither.headers.get("ringback-disposition")]).toEqual([422, "invalid"]);
    const get = await fetch(url + place);
    expect([get.status, get.headers.get("allow")]).toEqual([405, "POST, PUT, PATCH"]);
    const forged = await post(`${place.slice(0, -2)}xx`, {});
    expect([forged.status, forged.headers.get("ringback-disposition")]).toEqual([404, "unknown"]);
    const encoded = [...token].map((letter) => `%${letter.charCodeAt(0).toString(16)}`).join("");
    const key = { "idempotency-key": "k" };
    expect((await post(webhooks + encoded, { a: 1 }, key)).status).toBe(202);
    expect((await post(place, { a: 1 }, key)).headers.get("ringback-disposition")).toBe("duplicate");
    expect((await post(place, { a: 2 })).status).toBe(410);
  });

  test("what is not at a token goes on to the app, and is answered by Nest", async () => {
    const { url, post } = await started(root(), adapter());
    const nest = async (path: string): Promise<unknown> => ((await (await post(path, {})).json()) as { message?: unknown }).message;
    for (const path of [
      "/durable/api/webhooks",
      "/durable/api/webhooks/",
      "/durable/api/webhooks/a/b",
      "/x/durable/api/webhooks/a",
      "/a?b=/durable/api/webhooks/c",
    ])
      expect(await nest(path)).toBe(`Cannot POST ${path}`);
    expect(await (await fetch(`${url}/own/wh:token`)).text()).toBe("own");
  });

  test("at a path of one's own, below a prefix with a parameter", async () => {
    const running = await started(root({ path: "/hooks/in/" }), adapter(), (app) => app.setGlobalPrefix(":tenant/hooks"));
    for (const place of ["/hooks/in/", "/acme/hooks/hooks/in/"]) expect(await taken(running, (token) => place + token)).toEqual({ a: 1 });
    for (const place of [webhooks, "//hooks/hooks/in/", "/acme/x/hooks/in/"])
      expect(await taken(running, (token) => place + token)).toBe(404);
  });

  test("at the URL that the module makes of its base URL, whether a proxy cuts the base off or not", async () => {
    const { webhookUrl: _, ...others } = settings;
    const options = { ...others, workflows: [waits], path: "hooks", baseUrl: "https://shop.example/base/" };
    const running = await started(DurableModule.forRoot(options), adapter(), (app) => app.setGlobalPrefix("api"));
    for (const before of ["/base", "", "/api"]) {
      const { url, token, run } = await minted(running.app.get(WorkflowEngine));
      expect(url).toBe(`https://shop.example/base/hooks/${token}`);
      expect((await running.post(`${before}/hooks/${token}`, { before })).status).toBe(202);
      expect(await run.returnValue).toEqual({ before });
    }
  });

  test("in an app that a testing module makes", async () => {
    met.length = 0;
    const made = await Test.createTestingModule({ imports: [root({}, true)] }).compile();
    const app = made.createNestApplication(adapter());
    surround(app);
    app.use(express.json());
    const running = await listening(app);
    expect(await taken(running, (token) => `/api${webhooks}${token}`)).toEqual({ a: 1 });
    expect(met).toEqual([]);
  });

  test("a page of another site is not let in by a preflight, unless the app lets it", async () => {
    const { url, app } = await started(root(), adapter());
    const { token } = await minted(app.get(WorkflowEngine));
    const headers = { origin: "https://other.example", "access-control-request-method": "POST" };
    const preflight = await fetch(url + webhooks + token, { method: "OPTIONS", headers });
    expect([preflight.status, preflight.headers.get("access-control-allow-origin")]).toEqual([204, null]);
  });

  test("the admin handler is served nowhere, unless it is given a path", async () => {
    const { url } = await started(root(), adapter());
    for (const path of ["/ringback/admin/v1/runs", "/durable/api/runs", "/durable/api/webhooks/ringback/admin/v1/runs"])
      expect((await (await fetch(url + path)).json()) as unknown).toMatchObject({ message: `Cannot GET ${path}` });
  });

  test("ND1: the admin handler has a path and a gate of its own; no guard of the app's stands before either door", async () => {
    met.length = 0;
    const authorize = ({ headers }: Request): boolean => headers.get("x-who") === "me";
    const running = await started(root({ admin: { path: "ops", authorize } }, true), adapter(), surround);
    const { url, app } = running;
    const { token, run } = await minted(app.get(WorkflowEngine));
    const asked = async (path: string, who: string): Promise<unknown> => {
      const response = await fetch(url + path, { headers: { "x-who": who } });
      return response.status === 200
        ? ((await response.json()) as { runs: { runId: string }[] }).runs.map(({ runId }) => runId)
        : response.status;
    };
    expect([await asked("/ops/runs", "me"), await asked("/api/ops/runs?limit=1", "me"), await asked("/ops/runs", "you")]).toEqual([
      [run.runId],
      [run.runId],
      403,
    ]);
    expect(await asked(`${webhooks}runs`, "me")).toBe(404);
    expect(await asked(`/ops/${token}`, "me")).toBe(404);
    expect((await running.post(`/ops/${token}`, {})).status).toBe(403);
    expect(await taken(running, (each) => webhooks + each)).toEqual({ a: 1 });
    expect(met).toEqual([]);
  });
});

test("a path that says a route over and over is looked at once: nobody has been asked yet who they are", () => {
  const door = (route: string) => Object.assign(() => Promise.resolve(new Response()), { route });
  let looks = 0;
  const prefix = () => (looks++, ":tenant/api");
  const doors = { ingress: door("/hook/"), root: webhooks, admin: { handler: door("/admin/"), root: "/ops/" }, prefix, base: "" };
  for (const route of [webhooks, "/ops/"]) expect(find(doors, `/x${route.slice(0, -1).repeat(500)}/runs`)).toBeNull();
  expect(looks).toBe(4);
  expect(find(doors, `/x/api${webhooks}t-1?n=1`)?.target).toBe("/hook/t-1?n=1");
  expect(find(doors, "/x/api/ops/runs")?.target).toBe("/admin/runs");
  for (const path of ["/ops", "/x/ops/runs", "/x/y/api/ops/runs", "//api/ops/runs", "/x/api//ops/runs"])
    expect([path, find(doors, path)]).toEqual([path, null]);
});

test("on Fastify, without its middleware engine, and for requests that are injected", async () => {
  const running = await started(root(), new FastifyAdapter({ skipMiddie: true } as never));
  expect(await taken(running, (token) => webhooks + token)).toEqual({ a: 1 });
  for (const options of [{ skipMiddie: true }, {}]) {
    const { app } = await started(root(), new FastifyAdapter(options as never));
    const { token, run } = await minted(app.get(WorkflowEngine));
    const fastify = app.getHttpAdapter().getInstance() as FastifyInstance;
    const { statusCode } = await fastify.inject({ method: "POST", url: webhooks + token, payload: { a: 1 } });
    expect([statusCode, await run.returnValue]).toEqual([202, { a: 1 }]);
  }
});

test("over HTTP/2", async () => {
  const { app } = await started(root(), new FastifyAdapter({ http2: true } as never));
  const { token, run } = await minted(app.get(WorkflowEngine));
  const client = connect(`http://127.0.0.1:${(app.getHttpServer().address() as AddressInfo).port}`);
  const stream = client.request({ ":method": "POST", ":path": webhooks + token, "content-type": "application/json" });
  stream.end('{"a":1}');
  const [answer] = (await once(stream, "response")) as [Record<string, unknown>];
  stream.resume();
  client.close();
  expect([answer[":status"], await run.returnValue]).toEqual([202, { a: 1 }]);
});
