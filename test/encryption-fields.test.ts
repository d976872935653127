// Every field of every kind of event is a value, and encrypted, or stands here as one that a store may read (VM1).

import { describe, expect, test } from "vitest";
import type { Answer, EventKind, HookCreated, Payload, RunEvent } from "../src/core/event.ts";
import { mapEvent, type ValueMap } from "../src/core/value-map.ts";

/** All that is given to it is gone. */
const removing: ValueMap = {
  value: () => "",
  args: () => "",
  prose: () => "",
  outcome: () => "",
  payload: (): Payload => ({ type: "value", value: "" }),
  answer: (): Answer => ({ status: 200, headers: [], body: new Uint8Array() }),
};

const call = { turn: 1, position: 2, name: "name", digest: "digest" };
const seen = { seen: 1, unread: [1], abandoned: [2], warnings: ["warning"] };
const created: Required<HookCreated> = {
  kind: "hook_created",
  ...call,
  purpose: "webhook",
  address: { type: "custom", token: "token", hash: "hash" },
  url: "url",
  payload: "json",
  methods: ["method"],
  response: { mode: "static", answer: { status: 200, headers: ["header", "value"], body: new TextEncoder().encode("body") } },
  metadata: "metadata",
  definition: "definition",
  hasSchema: true,
  timeout: { at: 1 },
  expiresAt: 1,
  reserve: { at: 1 },
  reservedUntil: 1,
};
const head = { method: "method", url: "url", search: "search", headers: ["header", "value"] };

const events: { readonly [K in EventKind]: Required<Extract<RunEvent, { kind: K }>> } = {
  run_started: {
    kind: "run_started",
    workflow: "workflow",
    codeId: "codeId",
    args: "args",
    seed: "seed",
    token: "token",
    attributes: { name: "label" },
  },
  run_continued: {
    kind: "run_continued",
    codeId: "codeId",
    args: "args",
    seed: "seed",
    lastPosition: 1,
    carried: [{ created, unread: [1] }],
    names: [{ name: "name", position: 1, purpose: "hook", address: created.address, url: "url" }],
    closed: [1],
    awaited: ["run"],
    attributes: ["name"],
    ...seen,
  },
  hook_created: created,
  hook_registered: { kind: "hook_registered", position: 1 },
  hook_conflicted: { kind: "hook_conflicted", position: 1, holder: "run" },
  hook_received: {
    kind: "hook_received",
    position: 1,
    payload: { type: "request", head, body: new Uint8Array(1) },
    key: "key",
    delivery: 1,
  },
  hook_failed: { kind: "hook_failed", position: 1, reason: "timeout" },
  hook_disposed: { kind: "hook_disposed", ...call, hook: 1 },
  timer_set: { kind: "timer_set", ...call, due: { at: 1 }, dueAt: 1 },
  timer_fired: { kind: "timer_fired", position: 1 },
  timer_cancelled: { kind: "timer_cancelled", ...call, timer: 1 },
  step_scheduled: { kind: "step_scheduled", ...call, input: "input" },
  step_completed: { kind: "step_completed", position: 1, attempt: 1, result: "result" },
  step_failed: { kind: "step_failed", position: 1, attempt: 1, error: "error" },
  step_retrying: { kind: "step_retrying", position: 1, attempt: 1, error: "error", dueAt: 1 },
  step_restarted: { kind: "step_restarted", position: 1, attempt: 1 },
  child_scheduled: {
    kind: "child_scheduled",
    ...call,
    start: { id: "run", key: "runKey", workflow: "workflow", codeId: "codeId", args: "args", seed: "seed" },
  },
  child_started: { kind: "child_started", position: 1, runId: "run" },
  child_refused: { kind: "child_refused", position: 1, runId: "run", reason: "run_conflict", token: "token", holder: "run" },
  child_awaited: { kind: "child_awaited", ...call, runId: "run" },
  child_ended: { kind: "child_ended", position: 1, outcome: { type: "completed", result: "result" } },
  cancel_requested: { kind: "cancel_requested", compensate: true },
  conflict_asked: { kind: "conflict_asked", ...call, hook: 1 },
  patch_taken: { kind: "patch_taken", ...call },
  signal_aborted: { kind: "signal_aborted", ...call, steps: [[1, 0]], reason: "reason" },
  url_read: { kind: "url_read", ...call, url: "url" },
  attributes_set: { kind: "attributes_set", ...call, changes: { name: "label" } },
  value_published: { kind: "value_published", ...call, value: "value" },
  step_attributes_set: { kind: "step_attributes_set", position: 1, attempt: 1, changes: { name: "label" } },
  run_blocked: {
    kind: "run_blocked",
    reason: "misuse",
    codeId: "codeId",
    message: "message",
    diff: { turn: 1, position: 1, expected: "expected", found: "found", site: "site" },
  },
  run_unblocked: { kind: "run_unblocked" },
  run_ended: { kind: "run_ended", turn: 1, outcome: { type: "failed", error: "error" }, ...seen },
};

/** Names, ids, addresses, words of the engine's own; a hook's own URL, whose token is sealed; what code and journal call an operation. */
const readable: ReadonlySet<string> = new Set(
  "kind workflow codeId seed name token hash url methods definition purpose payload type mode key id holder runId reason expected found site awaited attributes".split(
    " ",
  ),
);
/** Of what neither a sender nor a user wrote: a span, a date, a number. */
const ownDigests: ReadonlySet<EventKind> = new Set([
  "hook_disposed",
  "timer_set",
  "timer_cancelled",
  "child_awaited",
  "conflict_asked",
  "patch_taken",
  "url_read",
  "attributes_set",
]);

/** The names of the fields under which text or bytes are left. */
function fieldsOf(value: unknown, name: string): string[] {
  if (typeof value === "string" || value instanceof Uint8Array) return value.length === 0 ? [] : [name];
  if (Array.isArray(value)) return value.flatMap((one) => fieldsOf(one, name));
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([field, one]) => fieldsOf(one, field));
}

describe("what stays readable of an event", () => {
  test.each(Object.values(events) as RunEvent[])("$kind", (event) => {
    const places = { id: "run", key: "runKey", scope: () => "scope", awaited: () => "run" };
    const left = fieldsOf(mapEvent(event, places, removing), "").filter((field) => !readable.has(field));
    expect(left).toEqual(ownDigests.has(event.kind) ? ["digest"] : []);
  });
});
