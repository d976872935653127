// What became of a delivery that was not taken, a run that is not there, and a call that is not workflow code's, as the error the caller gets.

import { HookClosedError, HookNotFoundError, InvalidPayloadError, RingbackError, RunNotFoundError } from "../core/errors.ts";
import { shortened } from "../core/json.ts";
import type { ClosedBy, Receipt } from "../core/receipt.ts";
import type { RunHost } from "../core/run.ts";
import type { HookRow } from "../store/port.ts";

const closings: { readonly [by in ClosedBy]: string } = {
  disposed: "it was disposed",
  timeout: "it has timed out",
  cancelled: "its run was cancelled",
  ended: "its run has ended",
};

/** `hook` is null where none was found. */
export function refusal(host: Pick<RunHost, "sealText">, token: string, receipt: Receipt, hook: HookRow | null): RingbackError {
  // A whole URL, or an encoded token, is a common slip, and as secret.
  const shown = shortened(token.startsWith("wh:") ? `${token.split(":", 3).join(":")}:…` : host.sealText(token));
  if (receipt.disposition === "invalid") {
    const issues = receipt.issues ?? [];
    const message = `Hook "${shown}" refused the payload: ${issues.map((issue) => issue.message).join("; ")}. The wait stays open; deliver a corrected payload.`;
    return new InvalidPayloadError(message, { details: { issues } });
  }
  if (receipt.disposition === "closed" && hook) {
    const { by = "ended", at = new Date(0) } = receipt;
    const message = `Hook "${shown}" of run ${hook.runId} is closed: ${closings[by]} at ${at.toISOString()}. Use a new token for each wait.`;
    return new HookClosedError(message, { details: { token: shown, run: hook.runId, by, at } });
  }
  const message = `No hook has the token "${shown}". Check the token, and that the run has come to the hook.`;
  return new HookNotFoundError(message, { details: { token: shown } });
}

export function forbiddenInWorkflow(call: string, advice: string): RingbackError<"forbidden_in_workflow"> {
  return new RingbackError("forbidden_in_workflow", `${call} cannot be repeated by a replay. ${advice}`, { details: { call } });
}

export function runNotFound(run: string): RingbackError {
  return new RunNotFoundError(`No run "${run}" in this store.`, { details: { run } });
}
