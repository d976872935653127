// `ringback/express`: a handler in an Express app.

export { toMiddleware } from "./adapters/express.ts";
