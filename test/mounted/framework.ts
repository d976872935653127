// One app per framework, with a handler mounted in it, served over HTTP.

import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import express from "express";
import express4 from "express-4";
import fastify from "fastify";
import { Hono } from "hono";
import { onTestFinished } from "vitest";
import { toMiddleware } from "../../src/express.ts";
import { toPlugin } from "../../src/fastify.ts";
import { toMiddleware as toHonoMiddleware } from "../../src/hono.ts";
import { toListener } from "../../src/node.ts";
import type { Handler } from "../../src/http/handler.ts";

export interface App {
  /** Where in the app the handlers stand, such as `/hooks`. */
  readonly prefix?: string;
  /** What else the app has: something that reads JSON bodies, or bodies as bytes, before or after the handlers. */
  readonly reads?: "json first" | "bytes first" | "text, then bytes first" | "json last";
}

/** Mounts handlers, in order, and a route of the app's own that answers `GET /own` with `own`. */
export type Framework = (handlers: readonly Handler[], app: App) => Promise<Server>;

function withExpress(create: typeof express): Framework {
  return async (handlers, { prefix, reads }) => {
    const app = create();
    if (reads === "json first") app.use(create.json({ type: () => true }));
    if (reads === "bytes first") app.use(create.raw({ type: () => true }));
    for (const handler of handlers) {
      if (prefix === undefined) app.use(toMiddleware(handler));
      else app.use(prefix, toMiddleware(handler));
    }
    if (reads === "json last") app.use(create.json({ type: () => true }));
    app.get("/own", (_request, response) => void response.send("own"));
    return listening(createServer(app as RequestListener));
  };
}

export const frameworks: { readonly [name: string]: Framework } = {
  /** Plain Node has no app around: one handler is all. */
  node: async ([handler]) => listening(createServer(toListener(handler as Handler))),
  "express 5": withExpress(express),
  "express 4": withExpress(express4),
  fastify: async (handlers, { prefix, reads }) => {
    const app = fastify();
    if (reads?.endsWith("first"))
      app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, JSON.parse(String(body))));
    for (const handler of handlers) await app.register(toPlugin(handler), prefix === undefined ? {} : { prefix });
    app.get("/own", () => "own");
    await app.listen({ port: 0, host: "127.0.0.1" });
    onTestFinished(async () => {
      app.server.closeAllConnections();
      await app.close();
    });
    return app.server;
  },
  hono: async (handlers, { prefix = "", reads }) => {
    const app = new Hono();
    if (reads?.endsWith("first"))
      app.use(async (c, next) => {
        if (reads === "json first") await c.req.json();
        if (reads?.startsWith("text")) await c.req.text();
        if (reads !== "json first") await c.req.arrayBuffer();
        return next();
      });
    for (const handler of handlers) app.use(`${prefix.replace(/\/$/, "")}/*`, toHonoMiddleware(handler));
    if (reads === "json last")
      app.use(async (c, next) => {
        await c.req.json();
        return next();
      });
    app.get("/own", (c) => c.text("own"));
    return listening(createAdaptorServer({ fetch: app.fetch }) as Server);
  },
};

async function listening(server: Server): Promise<Server> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return server;
}

export function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}
