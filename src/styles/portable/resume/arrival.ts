// Callbacks on their way into a run's record.

import { injectHookAsync, type InjectionError, SchemaUnavailable } from "../injection.ts";
import { err, ok, type Result } from "../result.ts";
import type { ResumeState, StateEvent } from "../state.ts";
import { read } from "../value.ts";
import type { Early, RunRecord } from "./record.ts";

/** A callback on its way: its hook, what tells it from others, and its payload. */
export type Arrival = Early & { readonly hookId: string };

/** RH2. The record with a callback's payload. The error is what refuses it. */
export async function answered(record: RunRecord, { hookId, value, key, digest, at }: Arrival): Promise<Result<RunRecord, InjectionError>> {
  const injected = await injectHookAsync(record.state, { hookId, value: read(value), at });
  if (!injected.ok) return err(injected.error);
  return ok({ ...record, state: injected.value, answers: [...record.answers, { hookId, key, digest, at }] });
}

export interface Heard {
  readonly record: RunRecord;
  /** Whether there was a schema for everything, and it did not throw: else it is left for the next time. */
  readonly isJudged: boolean;
}

/** The record with what came early for its waits. */
export async function withEarly(record: RunRecord, early: readonly Arrival[], onTrouble: (error: unknown) => void): Promise<Heard> {
  const heard = { record, isJudged: true };
  for (const arrival of early) {
    try {
      const given = await answered(heard.record, arrival);
      if (given.ok) heard.record = given.value;
      else if (given.error instanceof SchemaUnavailable) throw given.error;
    } catch (error) {
      heard.isJudged = false;
      onTrouble(error);
    }
  }
  return heard;
}

type Hook = StateEvent & { readonly kind: "hook_created"; readonly token: string };

export function hooksIn({ events }: ResumeState): Hook[] {
  return events.filter((event): event is Hook => event.kind === "hook_created" && event.token !== null);
}
