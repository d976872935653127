// Mounts a handler in an Express app (4 or 5), or in whatever else has middleware of this shape.

import type { ServerResponse } from "node:http";
import type { Handler } from "../http/handler.ts";
import { isOwn, listen, originForm, type Received } from "./listen.ts";

/**
 * A handler as middleware: `app.use(toMiddleware(engine.ingress))`, before any body parser. Paths that are not the handler's go on to the
 * rest of the app. A body that a parser has read before is refused with 503 `body_consumed`, unless the parser kept the raw bytes
 * (`express.raw()`, or a `rawBody`).
 */
export function toMiddleware(handler: Handler): (request: Received, response: ServerResponse, next: () => void) => void {
  return (request, response, next) => {
    const target = originForm(request.originalUrl ?? request.url);
    if (isOwn(handler, target)) listen(handler, request, response, target);
    else next();
  };
}
