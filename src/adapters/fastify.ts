// Mounts a handler in a Fastify app.

import type { FastifyPluginCallback } from "fastify";
import type { Handler } from "../http/handler.ts";
import { listen, originForm } from "./listen.ts";

/**
 * A handler as a plugin: `app.register(toPlugin(engine.ingress))`, with a `prefix` or without, anywhere in the app. Content type parsers of
 * the app do not apply to it, its hooks do, and what the handler answers is sent as it is.
 */
export function toPlugin(handler: Handler): FastifyPluginCallback {
  const { route = "/", basePath = "" } = handler;
  return (app, _options, done) => {
    app.removeAllContentTypeParsers();
    app.addContentTypeParser("*", (_request, _body, parsed) => parsed(null));
    // Fastify refuses a content type that it cannot read, and a sender's may be anything; the raw headers keep it.
    app.addHook("onRequest", (request, _reply, next) => {
      delete request.raw.headers["content-type"];
      next();
    });
    const prefix = app.prefix.replace(/\/$/, "");
    const paths = [route, basePath + route].flatMap((path) => (path.startsWith(prefix) ? [path, path.slice(prefix.length)] : [path]));
    for (const path of new Set(paths)) {
      app.all(`${path}*`, (request, reply) => {
        reply.hijack();
        listen(handler, request.raw, reply.raw, originForm(request.raw.url));
      });
    }
    done();
  };
}
