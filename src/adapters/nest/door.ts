// Where callbacks come into a Nest app: below its pipeline, so that guards, pipes, interceptors, filters, versioning, middleware and body
// parsers of the app never see them, and the body is read byte for byte. What is not the engine's goes on as it came.
//
// ND1. A callback meets nothing of the app's, and the admin handler none but its own gate; neither is reached by the other's path.

import type { HttpAdapterHost } from "@nestjs/core";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Handler } from "../../http/handler.ts";
import { isOwn, listen, originForm } from "../listen.ts";
import { rootOf } from "./option.ts";

/** What a Nest app lets in. */
export interface Doors {
  readonly ingress: Handler & { readonly route: string };
  /** Where callbacks come in, with a slash at both ends. */
  readonly root: string;
  readonly admin: { readonly handler: Handler & { readonly route: string }; readonly root: string } | null;
  /** The app's global prefix, which may be set after the doors were mounted. */
  readonly prefix: () => string;
  /** The path of the base URL that webhooks' URLs begin with, as far as a proxy leaves it in requests. */
  readonly base: string;
}

/** A request of ours, and its path and query as the handler is to have them. */
export interface Found {
  readonly handler: Handler;
  readonly target: string;
}

type HttpAdapter = HttpAdapterHost["httpAdapter"];

interface FastifyLike {
  readonly use?: unknown;
  addHook(
    name: "onRequest",
    hook: (request: { raw: IncomingMessage }, reply: { raw: ServerResponse; hijack(): void }, done: () => void) => void,
  ): void;
}

/** Puts the doors before everything else that the app has. */
export function mount(adapter: HttpAdapter, doors: Doors): void {
  const middleware = (request: IncomingMessage, response: ServerResponse, next: () => void): void => {
    const found = find(doors, originForm(request.url));
    if (found) listen(found.handler, request, response, found.target);
    else next();
  };
  if (adapter.getType() !== "fastify") return void adapter.use(middleware);
  const instance = adapter.getInstance<FastifyLike>();
  // Middleware of the app runs in a hook that Nest has added already, so there the doors are the first of it; else a hook of our own is first.
  if (typeof instance.use === "function") adapter.use(middleware);
  instance.addHook("onRequest", ({ raw }, reply, done) => {
    const found = find(doors, originForm(raw.url));
    if (!found) return done();
    reply.hijack();
    listen(found.handler, raw, reply.raw, found.target);
  });
}

/** What a request is for; null where it is the app's. */
export function find({ ingress, root, admin, prefix, base }: Doors, target: string): Found | null {
  const cut = target.indexOf("?");
  const [asked, search] = cut < 0 ? [target, ""] : [target.slice(0, cut), target.slice(cut)];
  const token = below(asked, root, [prefix(), base])?.replace(/\/$/, "");
  if (token !== undefined && token !== "" && !token.includes("/")) return { handler: ingress, target: ingress.route + token + search };
  if (isOwn(ingress, target)) return { handler: ingress, target };
  if (admin === null || token !== undefined) return null;
  const rest = below(asked, admin.root, [prefix()]);
  return rest === null ? null : { handler: admin.handler, target: admin.handler.route + rest + search };
}

/** Where callbacks come in, as routes are written. */
export function publicPath(root: string, prefix: string): string {
  const before = rootOf(prefix).slice(0, -1);
  return `${before === "/" ? "" : before}${root}:token`;
}

/**
 * What of a path stands below `root`, where that is at its beginning, or behind one of the prefixes. Nobody has been asked who they are yet, so
 * a path that says `root` over and over is looked at once for each.
 */
function below(path: string, root: string, prefixes: readonly string[]): string | null {
  if (path.startsWith(root)) return path.slice(root.length);
  for (const prefix of prefixes) {
    const parts = rootOf(prefix).slice(1, -1).split("/");
    let at = 0;
    for (let each = 0; each < parts.length && at >= 0; each++) at = path.indexOf("/", at + 1);
    if (at >= 0 && path.startsWith(root, at) && isPrefix(path.slice(1, at).split("/"), parts)) return path.slice(at + root.length);
  }
  return null;
}

/** A prefix may have parameters (`:tenant/api`). */
function isPrefix(parts: readonly string[], wanted: readonly string[]): boolean {
  return parts.length === wanted.length && wanted.every((each, at) => each === parts[at] || (each.startsWith(":") && parts[at] !== ""));
}
