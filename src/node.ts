// `ringback/node`: serving with `node:http`.

export { type Served, type ServeOptions, serve, toListener } from "./adapters/node.ts";
