// A callback on a route of the app's own, for a hook that has no public URL: its body is the payload.

import { toResponse } from "../core/request.ts";
import { accepted, type Receipt } from "../core/receipt.ts";
import type { Reply } from "../engine/deliver.ts";
import type { EngineCore } from "../engine/engine.ts";
import { bodyValue, deliveryKey } from "../ingress/capture.ts";
import { forwardTo } from "./ingress.ts";
import { answerForError, answerForMethod } from "./status.ts";

/** Those that carry a payload. */
const methods = ["POST", "PUT", "PATCH"];

/**
 * Delivers a request's body, JSON or a form, to a custom token, under the key that its headers have; what comes before its hook is kept. The
 * answer is that of the public route. Never rejects.
 */
export async function deliverBody(opened: () => EngineCore | Promise<EngineCore>, token: string, request: Request): Promise<Response> {
  if (!methods.includes(request.method)) return toResponse(answerForMethod(methods));
  let engine: EngineCore;
  try {
    engine = await opened();
  } catch (error) {
    return toResponse(answerForError(error));
  }
  const { door, alive } = engine;
  const deliver = forwardTo(engine, "signal", request, async ({ headers, body }) => {
    const sending = { key: deliveryKey(headers), early: true, seal: null };
    return replyOf((await door.signal("signal", token, bodyValue(headers, body), sending)).receipt);
  });
  return alive.during(deliver);
}

function replyOf(receipt: Receipt): Reply {
  return receipt.id === undefined ? { type: "refused", receipt } : { type: "answered", receipt, answer: accepted };
}
