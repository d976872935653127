// Mounts a handler in a Hono app.

import type { Context, MiddlewareHandler } from "hono";
import type { Handler } from "../http/handler.ts";

/**
 * A handler as middleware: `app.use(toMiddleware(engine.ingress))`, before whatever reads bodies. Paths that are not the handler's go on to
 * the rest of the app. A body that was read before is refused with 503 `body_consumed`, unless it was read as bytes (`c.req.arrayBuffer()`).
 */
export function toMiddleware(handler: Handler): MiddlewareHandler {
  const { route } = handler;
  return async (context, next) => {
    if (route !== undefined && !new URL(context.req.url).pathname.includes(route)) return next();
    return handler(await withBytes(context));
  };
}

/** Hono keeps what was read of a body, and makes other forms of it. Only bytes that were read as such are as they came. */
async function withBytes({ req }: Context): Promise<Request> {
  const { raw, bodyCache } = req;
  if (!raw.bodyUsed || Object.keys(bodyCache)[0] !== "arrayBuffer") return raw;
  return new Request(raw.url, { method: raw.method, headers: raw.headers, body: await req.arrayBuffer() });
}
