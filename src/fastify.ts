// `ringback/fastify`: a handler in a Fastify app.

export { toPlugin } from "./adapters/fastify.ts";
