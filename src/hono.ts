// `ringback/hono`: a handler in a Hono app.

export { toMiddleware } from "./adapters/hono.ts";
