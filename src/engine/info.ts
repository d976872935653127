// Runs, hooks and refused deliveries as lists and look-ups show them. No minted token is told to who has not asked for it.

import { legible } from "../core/envelope.ts";
import type { Payload } from "../core/event.ts";
import { deliveryId } from "../core/receipt.ts";
import { hookIdOf } from "../core/run-id.ts";
import { type RunStateName, runStateName } from "../core/run-row.ts";
import type { HeldReason, HeldRow, HookRow, RunRow } from "../store/port.ts";
import type { EngineCore } from "./engine.ts";

/** A hook as lists and look-ups show it. A minted token is shown only to who named it, or asked for tokens. */
export interface HookInfo {
  /** The run it belongs to. */
  readonly runId: string;
  /** Its place in its run, as text: the same in every process, and no secret. */
  readonly hookId: string;
  /** The workflow of that run. */
  readonly workflowName: string;
  /** A custom token, or the one that was asked for; null for other minted ones. */
  readonly token: string | null;
  /** The public URL, where the token is shown and the hook has one; else null. */
  readonly url: string | null;
  /** What its run calls it, where it was opened with a `name`. */
  readonly name: string | null;
  /** Whether its payloads are requests. */
  readonly isWebhook: boolean;
  /** Whether a schema judges what is delivered: a process that delivers to it must have the code that the schema stands in. */
  readonly hasSchema: boolean;
  /** What the workflow said of it; undefined where it said nothing, an error (`unknown_class`, `missing_key`) where it cannot be read here. */
  readonly metadata: unknown;
  /** Whether it takes deliveries; `lost` where another run held the custom token. */
  readonly state: "open" | "closed" | "lost";
  /** By the store's clock. */
  readonly createdAt: Date;
  /** When its `timeout` closes it; null where it has none. */
  readonly expiresAt: Date | null;
  /** Until when the custom token is its run's, unless it was disposed of; null where it is not reserved. */
  readonly reservedUntil: Date | null;
}

/** A run as lists show it. */
export interface RunInfo {
  /** The id given at `start`, or made there. */
  readonly runId: string;
  /** What it is a run of. */
  readonly workflowName: string;
  /** One of seven: pending, running, waiting, completed, failed, cancelled, blocked. */
  readonly state: RunStateName;
  /** Its labels, by name. */
  readonly attributes: { readonly [name: string]: string };
  /** Whether this engine has the run's code. A run whose code no engine has waits, or is set aside, and keeps what is delivered to it. */
  readonly isRegistered: boolean;
  /** By the store's clock. */
  readonly createdAt: Date;
  /** When it ended, however it did; null while it has not. */
  readonly completedAt: Date | null;
}

/** A delivery that was refused, or that no hook claimed in time. It can be delivered again, by its id, while it is kept. */
export interface RefusedDelivery {
  /** For `redeliver()`; accepted, it keeps it. */
  readonly deliveryId: string;
  /** `closed`, `invalid`, `key_reused`, or `unclaimed`: it came early, and no hook did. */
  readonly reason: Exclude<HeldReason, "early">;
  /** Why, in words. */
  readonly detail: string | null;
  /** By the store's clock. */
  readonly receivedAt: Date;
  /** Then it is removed. */
  readonly keptUntil: Date;
  /** The run whose minted token it came to; null for a custom token. */
  readonly runId: string | null;
  /** The custom token it came to; null for a minted one, which is a secret. */
  readonly token: string | null;
  /** The method of a request; null where it was a value. */
  readonly method: string | null;
  /** The size of its body, in bytes, or of its text, in characters. */
  readonly size: number;
}

export async function runInfo({ parts }: EngineCore, row: RunRow): Promise<RunInfo> {
  return {
    runId: row.id,
    workflowName: row.workflow,
    state: runStateName(row),
    attributes: await parts.store.attributes(row.run),
    isRegistered: parts.registry.codeOf(row) !== null,
    createdAt: new Date(row.createdAt),
    completedAt: row.endedAt === null ? null : new Date(row.endedAt),
  };
}

export function hookInfo(engine: EngineCore, hook: HookRow, withToken: boolean): HookInfo {
  const { created } = hook;
  const { address, position, purpose, url } = created;
  return {
    runId: hook.runId,
    hookId: hookId(hook),
    workflowName: hook.workflow,
    token:
      address.type === "custom"
        ? address.token
        : withToken
          ? engine.tokens.mint({ kid: address.kid, runKey: hook.runKey, position, generation: address.generation, purpose })
          : null,
    url: withToken && url !== null ? engine.host.revealText(url) : null,
    name: address.type === "minted" && created.name !== "" ? created.name : null,
    isWebhook: purpose === "webhook",
    hasSchema: created.hasSchema,
    metadata: metadataOf(engine, created.metadata),
    state: hook.state.type,
    createdAt: new Date(created.at),
    expiresAt: created.expiresAt == null ? null : new Date(created.expiresAt),
    reservedUntil: created.reservedUntil === undefined ? null : new Date(created.reservedUntil),
  };
}

export function hookId(hook: HookRow): string {
  return hookIdOf(hook.runId, hook.created.position);
}

/** A delivery that was accepted, and a list of many hooks, do not fail for one that this process cannot read. */
export function metadataOf(engine: EngineCore, metadata: string | null): unknown {
  try {
    return metadata === null ? undefined : engine.host.parse(metadata);
  } catch (error) {
    return error;
  }
}

export async function refusedInfo({ parts }: EngineCore, row: HeldRow): Promise<RefusedDelivery> {
  const { delivery, reason, detail, at, until, address, payload } = row;
  const runId = "token" in address ? null : ((await parts.store.run({ key: address.runKey }))?.id ?? null);
  return {
    deliveryId: deliveryId(delivery),
    reason: reason as RefusedDelivery["reason"],
    detail: detail && legible(detail),
    receivedAt: new Date(at),
    keptUntil: new Date(until),
    runId,
    token: "token" in address ? address.token : null,
    ...shapeOf(payload),
  };
}

function shapeOf(payload: Payload): Pick<RefusedDelivery, "method" | "size"> {
  return payload.type === "value"
    ? { method: null, size: payload.value.length }
    : { method: payload.head.method, size: payload.body.length };
}
