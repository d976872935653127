// The public handler: callbacks come in here, and nothing else does.

import { RingbackError } from "../core/errors.ts";
import type { Answer } from "../core/event.ts";
import { toResponse } from "../core/request.ts";
import type { Reply } from "../engine/deliver.ts";
import type { EngineCore, EngineParts } from "../engine/engine.ts";
import type { DoorName } from "../engine/observer.ts";
import { bodyConsumed, type Capture, captureRequest } from "../ingress/capture.ts";
import type { BodyFault, PlainHandler } from "./handler.ts";
import { answerFor, answerForBody, answerForError, codeOf, codeOfBody, codeOfError, noContent, notFound } from "./status.ts";

/** The route of minted webhook tokens. */
export const webhookRoute = "/.well-known/workflow/v1/webhook/";
/** How long a body may take to come. */
const bodyMs = 15_000;

/** The public handler, in the web's standard form and in the plain one. */
export interface Ingress extends PlainHandler {
  readonly route: string;
  readonly basePath: string;
}

type IngressParts = Pick<EngineParts, "bodyBytes"> & Pick<EngineCore, "logger">;

/** What stands before the route is the business of whoever mounted the handler, or of a proxy: the token alone is the authority. */
export function createIngress(engine: () => EngineCore | Promise<EngineCore>, parts: IngressParts, basePath: string): Ingress {
  const { bodyBytes } = parts;
  const refuse = (fault: BodyFault): Answer => refuseBody(fault, parts);
  const handle: Ingress["handle"] = (request, answered) => {
    const token = tokenIn(request.path);
    if (token === null) return answered(notFound);
    if (request.method === "OPTIONS") return answered(noContent);
    const enter = (core: EngineCore): void => {
      const { door, report } = core;
      const fail = (error: unknown): void => {
        answered(answerForError(error));
        if (report.isWatched) report.refused("ingress", codeOfError(error));
      };
      const reply = (reply: Reply): void => {
        answered(answerFor(reply));
        if (report.isWatched) tellRefused(core, "ingress", reply);
      };
      try {
        door.callback(token, request, { reply, fail });
      } catch (error) {
        fail(error);
      }
    };
    const core = engine();
    if (core instanceof Promise) core.then(enter, (error: unknown) => answered(answerForError(error)));
    else enter(core);
  };
  const ingress = async (request: Request): Promise<Response> => {
    const read = await readRequest(request, bodyBytes);
    return toResponse(typeof read === "string" ? refuse(read) : await new Promise((resolve) => handle(read, resolve)));
  };
  return Object.assign(ingress, { handle, route: webhookRoute, basePath, bodyBytes, refuse });
}

/** `resumeWebhook`: the same answers for a request that server code hands over, also where the engine cannot be opened. */
export async function forward(opened: () => EngineCore | Promise<EngineCore>, token: string, request: Request): Promise<Response> {
  let engine: EngineCore;
  try {
    engine = await opened();
  } catch (error) {
    return toResponse(answerForError(error));
  }
  return engine.alive.during(forwardTo(engine, "resumeWebhook", request, (read) => engine.door.forwarded(token, read)));
}

/** Reads a request that server code hands over, delivers it, and says what became of it. */
export async function forwardTo(
  engine: EngineCore,
  door: DoorName,
  request: Request,
  deliver: (read: Capture) => Promise<Reply>,
): Promise<Response> {
  const { logger, report } = engine;
  const { bodyBytes } = engine.parts;
  const read = await readRequest(request, bodyBytes);
  if (typeof read === "string") {
    if (report.isWatched) report.refused(door, codeOfBody(read));
    return toResponse(refuseBody(read, { bodyBytes, logger }));
  }
  try {
    const reply = await deliver(read);
    if (report.isWatched) tellRefused(engine, door, reply);
    return toResponse(answerFor(reply));
  } catch (error) {
    if (report.isWatched) report.refused(door, codeOfError(error));
    return toResponse(answerForError(error));
  }
}

/** A body that is gone is nothing that the sender can mend. */
function refuseBody(fault: BodyFault, { bodyBytes, logger }: IngressParts): Answer {
  if (fault === "consumed") logger.slip(fault, `a callback was answered with 503: ${bodyConsumed().message}`);
  return answerForBody(fault, bodyBytes);
}

/** A request with its body in hand, or why it cannot be. A sender that hung up is told what it cannot hear. */
export async function readRequest(request: Request, bodyBytes: number): Promise<Capture | BodyFault> {
  const patience = new AbortController();
  // Not `AbortSignal.timeout`: it would hold what was read until it fires, long after the answer.
  const timer = setTimeout(() => patience.abort(), bodyMs);
  try {
    return await captureRequest(request, bodyBytes, patience.signal);
  } catch (error) {
    if (RingbackError.is(error, "too_large")) return "too_large";
    return RingbackError.is(error, "body_consumed") ? "consumed" : "too_slow";
  } finally {
    clearTimeout(timer);
  }
}

/** What became of a delivery was told when it was committed. */
function tellRefused({ report }: EngineCore, door: DoorName, reply: Reply): void {
  const code = codeOf(reply);
  if (code !== null) report.refused(door, code);
}

function tokenIn(path: string): string | null {
  const at = path.indexOf(webhookRoute);
  if (at < 0) return null;
  const token = path.slice(at + webhookRoute.length);
  if (token === "" || token.includes("/")) return null;
  if (!token.includes("%")) return token;
  try {
    return decodeURIComponent(token);
  } catch {
    return null;
  }
}
