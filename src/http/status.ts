// How HTTP says what became of a delivery. The only file that knows status codes.

import { type ErrorCode, RingbackError } from "../core/errors.ts";
import type { Answer } from "../core/event.ts";
import type { Disposition, Receipt } from "../core/receipt.ts";
import type { Reply } from "../engine/deliver.ts";
import { bodyConsumed } from "../ingress/capture.ts";
import type { BodyFault } from "./handler.ts";

const statuses: { readonly [disposition in Disposition]: number } = {
  accepted: 202,
  buffered: 202,
  duplicate: 202,
  ignored: 200,
  closed: 410,
  invalid: 422,
  unknown: 404,
};
const empty = new Uint8Array();
const retryAfterSeconds = "5";
const json: readonly string[] = ["Content-Type", "application/json"];

/** The sender's answer. A repeat differs from the first answer in `Ringback-Disposition` alone. */
export function answerFor(reply: Reply): Answer {
  switch (reply.type) {
    case "answered": {
      const { answer, receipt } = reply;
      return {
        status: answer.status,
        headers: [...answer.headers, "Ringback-Disposition", receipt.disposition, "Ringback-Delivery", receipt.id ?? ""],
        body: answer.body,
      };
    }
    case "refused":
      if (reply.receipt.disposition === "invalid") return invalid(reply.receipt);
      return { status: statuses[reply.receipt.disposition], headers: ["Ringback-Disposition", reply.receipt.disposition], body: empty };
    case "method":
      return answerForMethod(reply.allow);
    case "too_many": {
      const answer = problem(429, "too_many_requests", "Too many requests at once; send it again later, with the same key.");
      return { ...answer, headers: [...answer.headers, "Retry-After", String(Math.ceil(reply.waitMs / 1_000))] };
    }
    case "key_reused":
      return problem(422, "key_reused", "This Idempotency-Key came before with another body.");
  }
}

/** The code that stands in the answer to a body that cannot be taken. */
export function codeOfBody(fault: BodyFault): string {
  return fault === "consumed" ? "body_consumed" : fault;
}

/** The code that stands in an answer without a disposition; null for the others. */
export function codeOf(reply: Reply): string | null {
  switch (reply.type) {
    case "method":
      return "method_not_allowed";
    case "too_many":
      return "too_many_requests";
    case "key_reused":
      return reply.type;
    default:
      return null;
  }
}

export function codeOfError(error: unknown): ErrorCode {
  return RingbackError.is(error) ? error.code : "store_unavailable";
}

/** What a sender is told when something went wrong on our side, or with what it sent. Never 404: a provider would give up. */
export function answerForError(error: unknown): Answer {
  if (RingbackError.is(error, "too_large")) return problem(413, error.code, error.message);
  if (RingbackError.is(error, "too_deep") || RingbackError.is(error, "invalid_payload")) return problem(422, error.code, error.message);
  const message = RingbackError.is(error, "body_consumed") ? error.message : "Send it again later; with the same key it is taken once.";
  const answer = problem(503, codeOfError(error), message);
  return { ...answer, headers: [...answer.headers, "Retry-After", retryAfterSeconds] };
}

/** The sender may correct it: it is told what is wrong, and where. */
function invalid({ disposition, issues = [] }: Receipt): Answer {
  const body = new TextEncoder().encode(JSON.stringify({ code: "invalid_payload", issues }));
  return { status: statuses[disposition], headers: ["Content-Type", "application/json", "Ringback-Disposition", disposition], body };
}

export const notFound: Answer = { status: 404, headers: ["Ringback-Disposition", "unknown"], body: empty };
export const noContent: Answer = { status: 204, headers: [], body: empty };

/** What a sender is told whose body cannot be taken. One that is read before us is our side's slip: it may be mended before a repeat. */
export function answerForBody(fault: BodyFault, limitBytes: number): Answer {
  switch (fault) {
    case "too_large":
      return problem(413, fault, `The request body has more than ${limitBytes} bytes.`);
    case "too_slow":
      return problem(408, fault, "The request body did not come in time.");
    case "consumed":
      return answerForError(bodyConsumed());
  }
}

/** What an admin is told whom nobody let in, whatever was asked for. */
export const forbidden: Answer = problem(403, "forbidden", "This request may not use the admin handler.");
export const noSuchRoute: Answer = problem(404, "no_such_route", "The admin handler has no such route.");
export const notJson: Answer = problem(415, "not_json", "Send Content-Type: application/json.");

export function answerForMethod(allow: readonly string[]): Answer {
  return { status: 405, headers: ["Allow", allow.join(", ")], body: empty };
}

export function jsonAnswer(value: unknown): Answer {
  return { status: 200, headers: json, body: encode(value) };
}

/** A probe goes by the status. */
export function healthAnswer(health: unknown): Answer {
  const isWell = (health as { readonly ok: boolean }).ok;
  return { status: isWell ? 200 : 503, headers: json, body: encode(health) };
}

const adminStatuses: { readonly [code in ErrorCode]?: number } = {
  bad_argument: 400,
  run_not_found: 404,
  hook_not_found: 404,
  delivery_not_found: 404,
  run_open: 409,
  hook_closed: 410,
  too_large: 413,
  too_deep: 422,
  invalid_payload: 422,
  unserialisable: 422,
};

/** What an admin is told when something went wrong: who is let in may read why. */
export function answerForAdminError(error: unknown): Answer {
  if (!RingbackError.is(error)) return problem(500, "internal_error", "The engine failed; its log says how.");
  const { code, message, details } = error;
  const status = adminStatuses[code] ?? 503;
  return { status, headers: status === 503 ? [...json, "Retry-After", retryAfterSeconds] : json, body: encode({ code, message, details }) };
}

function problem(status: number, code: string, message: string): Answer {
  return { status, headers: json, body: encode({ code, message }) };
}

function encode(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
