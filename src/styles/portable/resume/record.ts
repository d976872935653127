// What is kept of a portable run, and of a hook, as text; read back only where this version knows it.

import type { Serialised } from "../../../core/event.ts";
import type { ResumeSaving, ResumeStore } from "../../../core/resume-store.ts";
import { BadState, parse, type ResumeState } from "../state.ts";

/** A callback that was taken: what tells a repeat of it from another one. */
export interface Taken {
  readonly key: string | null;
  /** Of the payload. */
  readonly digest: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

export interface Answered extends Taken {
  readonly hookId: string;
  /** The run has come to rest since: whoever waited for its end was told that it goes on. */
  readonly hasRested?: true;
}

/** The truth about a run. */
export interface RunRecord {
  readonly kind: "ResumeRun";
  readonly version: 1;
  readonly state: ResumeState;
  /** Who works at it; null where it rests, or has ended. */
  readonly owner: string | null;
  /** Until then others leave it to its owner. */
  readonly until: number;
  readonly answers: readonly Answered[];
  /** When it is to be run again though nothing has come. */
  readonly wakeAt?: number | null;
  /** Of a run that has ended. */
  readonly result?: Serialised;
  readonly endedAt?: number;
}

/** A payload that came before its hook was known. */
export interface Early extends Taken {
  readonly value: Serialised;
}

/** Where a hook is. Never the truth about it: its run's record is. */
export interface HookRecord {
  readonly kind: "ResumeHook";
  readonly version: 1;
  /** The run that waits for it; absent where none has come to it. */
  readonly runId?: string;
  readonly early: readonly Early[];
}

interface Kinds {
  readonly ResumeRun: RunRecord;
  readonly ResumeHook: HookRecord;
}

/** As it was read, or written, last. */
export interface Kept<R = RunRecord> {
  readonly record: R;
  readonly version: number;
}

/** Throws `BadState` for what this version does not write. */
export async function load<K extends keyof Kinds>(store: ResumeStore, kind: K, id: string): Promise<Kept<Kinds[K]> | null> {
  const kept = await store.load(`${kind}/${id}`);
  if (kept === null) return null;
  const record = JSON.parse(kept.text) as { readonly [field in keyof RunRecord | keyof HookRecord]?: unknown } | null;
  const list = kind === "ResumeRun" ? parse(record?.state) && record?.answers : record?.early;
  if (record?.kind !== kind || record?.version !== 1 || !Array.isArray(list))
    throw new BadState({ reason: kind }, { message: `A record of the store is no ${kind} of version 1.` });
  return { record: record as unknown as Kinds[K], version: kept.version };
}

export function save(
  store: ResumeStore,
  id: string,
  record: RunRecord | HookRecord,
  expected: number | null,
  more?: Omit<ResumeSaving, "expected">,
): Promise<number | null> {
  return store.save(`${record.kind}/${id}`, JSON.stringify(record), { expected, ...more });
}
