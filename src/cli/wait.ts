// What a run waits for, read off its timeline: open hooks, sleeps, steps without an outcome, children that run.

import type { HookInfo, TimelineEntry } from "../api.ts";

export interface Wait {
  readonly kind: "hook" | "webhook" | "sleep" | "step" | "child run";
  readonly position: number;
  readonly name: string | null;
  readonly since: Date;
  /** When it is over by itself, or a step's next attempt starts; null where nothing says so. */
  readonly until: Date | null;
  /** Why a step is tried again. */
  readonly error: string | null;
  /** A custom token, or the one that was asked for; null for other minted ones, and for what is no hook. */
  readonly token: string | null;
  /** A webhook's, where its token is shown. */
  readonly url: string | null;
}

type Kind = TimelineEntry["event"];
const begins: { readonly [event in Kind]?: Wait["kind"] } = {
  timer_set: "sleep",
  step_scheduled: "step",
  child_scheduled: "child run",
  child_awaited: "child run",
};
const ends: ReadonlySet<Kind> = new Set<Kind>([
  "timer_fired",
  "timer_cancelled",
  "step_completed",
  "step_failed",
  "child_ended",
  "child_refused",
]);

export function waitsOf(timeline: readonly TimelineEntry[], hooks: readonly HookInfo[]): Wait[] {
  const waits = new Map<number, Wait>();
  for (const entry of timeline) {
    const { event, position, at, name = null, dueAt = null, error = null } = entry;
    if (position === undefined) continue;
    const kind = begins[event];
    if (kind) waits.set(position, { kind, position, name, since: at, until: dueAt, error: null, token: null, url: null });
    else if (ends.has(event)) waits.delete(position);
    const begun = waits.get(position);
    if (begun && event === "step_retrying") waits.set(position, { ...begun, until: dueAt, error });
    if (begun && event === "step_restarted") waits.set(position, { ...begun, until: null });
  }
  const names = new Map(timeline.map(({ position, name }) => [position, name]));
  for (const hook of hooks) {
    if (hook.state !== "open") continue;
    const { isWebhook, createdAt: since, expiresAt: until, token, url } = hook;
    const position = Number(hook.hookId.slice(hook.hookId.lastIndexOf(":") + 1));
    waits.set(position, {
      kind: isWebhook ? "webhook" : "hook",
      position,
      name: names.get(position) ?? null,
      since,
      until,
      error: null,
      token,
      url,
    });
  }
  return [...waits.values()].sort((a, b) => a.position - b.position);
}
