// The admin handler: what a person or a tool may see and do, as JSON.
//
// AD1. Nothing is opened, read or told before the gate has let a request in; without a rule there is none that does.
// AD2. No minted token leaves: each answer is sealed as a whole.
// AD3. Pages of other sites cannot use it: there are no CORS headers, and what acts takes `application/json` alone, which no page may send
//      unasked, so that a rule which goes by cookies holds.

import { RingbackError } from "../core/errors.ts";
import type { Answer } from "../core/event.ts";
import { toResponse } from "../core/request.ts";
import { textOf } from "../core/thrown.ts";
import type { EngineCore, EngineParts } from "../engine/engine.ts";
import { parseJsonBody } from "../ingress/capture.ts";
import { type AdminEngine, adminRoutes, findRoute } from "./admin-route.ts";
import type { Gate } from "./admin-gate.ts";
import type { Handler } from "./handler.ts";
import { readRequest } from "./ingress.ts";
import { answerForAdminError, answerForBody, answerForMethod, forbidden, jsonAnswer, noSuchRoute, notJson } from "./status.ts";

/** Where the routes of the admin handler begin, whatever stands before. */
export const adminRoute = "/ringback/admin/v1/";

/** The admin handler, in the web's standard form. */
export interface Admin extends Handler {
  readonly route: string;
  readonly basePath: string;
}

/** What the handler works with. */
export interface AdminParts extends Pick<EngineParts, "bodyBytes">, Pick<EngineCore, "logger"> {
  readonly engine: AdminEngine;
  readonly gate: Gate;
  readonly basePath: string;
  readonly sealText: (text: string) => string;
}

export function createAdmin(parts: AdminParts): Admin {
  const { gate, logger, sealText } = parts;
  const admin = async (request: Request): Promise<Response> => {
    const refusal = await gate(request);
    if (refusal?.slip) logger.slip("admin", `engine.admin answered 403: ${refusal.slip}`);
    const answer = refusal ? forbidden : await allowed(request, parts).catch((error: unknown) => failed(error, parts));
    return sent(request, answer, sealText);
  };
  return Object.assign(admin, { route: adminRoute, basePath: parts.basePath });
}

async function allowed(request: Request, { engine, bodyBytes }: AdminParts): Promise<Answer> {
  const { pathname, searchParams: query } = new URL(request.url);
  const at = pathname.indexOf(adminRoute);
  const found = findRoute(adminRoutes, request.method, at < 0 ? "" : pathname.slice(at + adminRoute.length));
  if ("allow" in found) return found.allow.length > 0 ? answerForMethod(found.allow) : noSuchRoute;
  const { route, parameters } = found;
  const { answer, say = jsonAnswer } = route;
  const call = { engine, query, parameter: (name: string): string => parameters.get(name) ?? "" };
  if (route.method === "GET") return say(await answer({ ...call, body: undefined }));
  if (!/^application\/json *(?:;|$)/i.test(request.headers.get("content-type") ?? "")) return notJson;
  const read = await readRequest(request, bodyBytes);
  if (typeof read === "string") return answerForBody(read, bodyBytes);
  const body = read.body.length === 0 ? undefined : parseJsonBody(read.body);
  return say(await answer({ ...call, body }));
}

/** What is no error of the engine's is a fault of its own, or of the app's. */
function failed(error: unknown, { logger }: AdminParts): Answer {
  if (!RingbackError.is(error)) logger.slip("admin failed", `engine.admin failed: ${textOf(error)}`);
  return answerForAdminError(error);
}

function sent(request: Request, { status, headers, body }: Answer, sealText: (text: string) => string): Response {
  const sealed = new TextEncoder().encode(sealText(new TextDecoder().decode(body)));
  const guarded = [...headers, "Cache-Control", "no-store", "X-Content-Type-Options", "nosniff"];
  return toResponse({ status, headers: guarded, body: request.method === "HEAD" ? new Uint8Array() : sealed });
}
