// The public handler: callbacks come in here, and nothing else does.

import type { Answer } from "../core/event.ts";
import { toResponse } from "../core/request.ts";
import type { Reply } from "../engine/deliver.ts";
import type { EngineCore } from "../engine/engine.ts";
import type { DoorName } from "../engine/observer.ts";
import { type Capture, captureRequest } from "../ingress/capture.ts";
import { answerFor, answerForError, bodyTooLarge, codeOf, codeOfError, noContent, notFound } from "./status.ts";

export type { Answer } from "../core/event.ts";

/** The route of minted webhook tokens. */
export const webhookRoute = "/.well-known/workflow/v1/webhook/";

/** A handler in the web's standard form, and in the plain form that servers with the bytes in hand can call for less. */
export interface Ingress {
  (request: Request): Promise<Response>;
  /** Calls `answered` once. */
  readonly handle: (request: Capture, answered: (answer: Answer) => void) => void;
  /** The cap on bodies; whoever reads one for `handle` holds to it, and answers a larger one with `tooLarge`. */
  readonly bodyBytes: number;
  readonly tooLarge: Answer;
}

/** `basePath` is the path of the base URL: callbacks come in below it, or, behind a proxy that takes it off, without it. */
export function createIngress(engine: () => EngineCore | Promise<EngineCore>, bodyBytes: number, basePath: string): Ingress {
  const handle: Ingress["handle"] = (request, answered) => {
    const token =
      tokenIn(request.path) ?? (basePath !== "" && request.path.startsWith(basePath) ? tokenIn(request.path.slice(basePath.length)) : null);
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
    try {
      const capture = await captureRequest(request, bodyBytes);
      return toResponse(await new Promise((resolve) => handle(capture, resolve)));
    } catch (error) {
      return toResponse(answerForError(error));
    }
  };
  return Object.assign(ingress, { handle, bodyBytes, tooLarge: bodyTooLarge(bodyBytes) });
}

/** `resumeWebhook`: the same answers for a request that server code hands over. */
export async function forward(engine: EngineCore, token: string, request: Request): Promise<Response> {
  try {
    const reply = await engine.door.forwarded(token, await captureRequest(request, engine.parts.bodyBytes));
    if (engine.report.isWatched) tellRefused(engine, "resumeWebhook", reply);
    return toResponse(answerFor(reply));
  } catch (error) {
    if (engine.report.isWatched) engine.report.refused("resumeWebhook", codeOfError(error));
    return toResponse(answerForError(error));
  }
}

/** What became of a delivery was told when it was committed. */
function tellRefused({ report }: EngineCore, door: DoorName, reply: Reply): void {
  const code = codeOf(reply);
  if (code !== null) report.refused(door, code);
}

function tokenIn(path: string): string | null {
  if (!path.startsWith(webhookRoute)) return null;
  const token = path.slice(webhookRoute.length);
  if (token === "" || token.includes("/")) return null;
  if (!token.includes("%")) return token;
  try {
    return decodeURIComponent(token);
  } catch {
    return null;
  }
}
