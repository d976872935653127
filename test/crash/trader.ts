// A provider's side of a `trade` run: what it sends, what it was told, and what must be true of it when all is over.

import { expect } from "vitest";
import type { Recorded } from "../../src/core/event.ts";
import { systemClock } from "../../src/engine/clock.ts";
import { sqliteStore } from "../../src/store/sqlite/store.ts";
import { leaks } from "../leak.ts";
import type { CrashWorld, Entry, Reply } from "./driver.ts";

/** A delivery and its first answer. */
export interface Sent {
  readonly run: string;
  readonly kind: string;
  readonly key: string;
  readonly first: Reply;
}

const kinds = ["plain", "fixed", "manual", "direct"] as const;

/** Starts a run, delivers all it waits for in an order of chance's, and resolves with what it returned. */
export async function trade(
  world: CrashWorld,
  run: string,
  count: number,
  chance: () => number,
): Promise<{ sent: Sent[]; taken: string[] }> {
  await world.value(`/start/trade/${run}/${count}`);
  await world.noted((entry) => entry.run === run && entry.step === "hand out");
  const all = kinds.flatMap((kind) => Array.from({ length: count }, (_, n) => ({ kind, key: `${run}-${kind}-${n}`, place: chance() })));
  all.sort((a, b) => a.place - b.place);
  const sent = await Promise.all(all.map(async ({ kind, key }) => ({ run, kind, key, first: await deliver(world, run, kind, key) })));
  return { sent, taken: await world.value<string[]>(`/result/${run}`) };
}

/** The payload of a delivery is its key. */
export async function deliver(world: CrashWorld, run: string, kind: string, key: string): Promise<Reply> {
  if (kind !== "direct") return world.ask(pathOf(world, run, kind), { headers: { "idempotency-key": key }, body: key });
  const reply = await world.ask(`/resume/direct:${run}/${key}`, { body: key });
  const { id, disposition } = JSON.parse(reply.body) as { id?: string; disposition?: string };
  return { status: reply.status, disposition, headers: {}, body: id ?? reply.body };
}

/** Where the run's callbacks of this kind go. */
export function pathOf(world: CrashWorld, run: string, kind: string): string {
  const entry = world.entries().find((found) => found.run === run && found.step === "hand out") as Entry;
  return new URL((entry.value as Record<string, string>)[kind] as string).pathname;
}

/** What each kind of address answers. */
function expected({ run, kind, key }: Sent): Partial<Reply> {
  if (kind === "plain") return { status: 202, body: "" };
  if (kind === "fixed")
    return {
      status: 201,
      body: `thanks, ${run}`,
      headers: expect.objectContaining({ "x-order": run, "content-type": "text/plain;charset=UTF-8" }),
    };
  if (kind === "manual") return { status: 200, body: JSON.stringify({ taken: key }), headers: expect.objectContaining({ "x-taken": key }) };
  return { status: 200, body: expect.stringMatching(/^dlv_/) };
}

/** G1, G2: every delivery was answered as its address answers, and a repeat gets the same. */
export async function checkRepeats(world: CrashWorld, sent: readonly Sent[]): Promise<void> {
  for (const one of sent) {
    expect(one.first).toMatchObject(expected(one));
    expect(["accepted", "duplicate"]).toContain(one.first.disposition);
    const again = await deliver(world, one.run, one.kind, one.key);
    expect(again).toEqual({ ...one.first, disposition: "duplicate" });
  }
}

/** G1, G2: nothing that was acknowledged is lost, nothing is taken twice. */
export function checkTaken(taken: readonly string[], sent: readonly Sent[]): void {
  expect([...taken].sort()).toEqual(sent.map((one) => one.key).sort());
}

/** G3: one key for all attempts of a step, each attempt begun once, none after the one whose outcome was committed. */
export function checkAttempts(entries: readonly Entry[], journals: ReadonlyMap<string, readonly Recorded[]>): void {
  const begun = new Set<string>();
  const keys = new Map<string, string>();
  for (const { run, step, attempt, key } of entries) {
    expect(begun.has(`${key} ${attempt}`), `attempt ${attempt} of ${key} (${step}) began twice`).toBe(false);
    begun.add(`${key} ${attempt}`);
    expect(keys.get(key) ?? step).toBe(step);
    keys.set(key, step);
    const position = Number(key.slice(run.length + 1));
    const done = journals.get(run)?.find((event) => event.kind === "step_completed" && event.position === position);
    expect(
      done?.kind === "step_completed" ? attempt <= done.attempt : false,
      `attempt ${attempt} of ${key} (${step}) began after its end`,
    ).toBe(true);
  }
}

/** The journals of these runs, read when no process has the store. */
export async function journalsOf(world: CrashWorld, runs: readonly string[]): Promise<Map<string, readonly Recorded[]>> {
  const store = sqliteStore({ path: world.store, clock: systemClock });
  await store.open({ role: "ingress" });
  const journals = new Map<string, readonly Recorded[]>();
  for (const id of runs) {
    const row = await store.run({ id });
    expect(row).toMatchObject({ status: "completed" });
    if (row) journals.set(id, await store.journal(row.run, 0));
  }
  await store.close();
  return journals;
}

/** No token that was handed out stands in a file of the store, or was printed. */
export function checkSecrets(world: CrashWorld): void {
  const urls = world
    .entries()
    .filter((entry) => entry.step === "hand out")
    .flatMap((entry) => Object.values(entry.value as Record<string, string>));
  expect(leaks(urls, world.artefacts())).toEqual([]);
}
