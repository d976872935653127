// A workflow with one webhook and what is done to it from outside, in order: the same has to come of it however often its engine crashes.

import { describe, expect, test } from "vitest";
import { defineWorkflow, type DurableWebhook, SignalTimeoutError, type WorkflowCtx } from "../../src/context.ts";
import { defaultMode, type Mode } from "../harness.ts";
import { type ContextWorld, createContextWorld } from "./world.ts";

/** Files cost: where counts are short, only engines that live have one. */
const crashingMode: Mode = process.env["RINGBACK_LONG"] === "1" ? defaultMode : "two-workers";

export interface Part {
  readonly ctx: WorkflowCtx;
  readonly hook: DurableWebhook<string>;
  /** Notes that the code has come here; a replay notes it once. */
  note(what: string): Promise<void>;
}

/** What is done: a payload is sent, time passes (milliseconds), or the run is asked to end. */
export type Act = { readonly send: string } | { readonly pass: number } | { readonly cancel: true };

export interface Played {
  readonly result: unknown;
  readonly notes: readonly string[];
  /** What nobody has read when the run ended. */
  readonly unread: number;
  readonly warnings: readonly string[];
}

export const send = (...values: string[]): Act[] => values.map((value) => ({ send: value }));
export const pass = (ms: number): Act => ({ pass: ms });
export const hour = 3_600_000;
export const isLate = (error: unknown): string => (error instanceof SignalTimeoutError ? "late" : `not that: ${String(error)}`);
export const nameOf = (error: unknown): string => (error as Error).name;

/** What it is, the code, what is done to it, and what it returns. */
export type Case = readonly [string, (part: Part) => Promise<unknown>, readonly Act[], unknown];

/** Cases that end alike in both lives, with all read and nothing to warn of. */
export function describeLives(cases: (all: (these: readonly Case[]) => void) => void): void {
  const lives = [
    ["an engine that lives", false],
    ["an engine that crashes between any two things", true],
  ] as const;
  describe.each(lives)("with %s", (_, isCrashing) => {
    cases((these) => {
      test.each(these)("%s", async (_name, code, acts, expected) => {
        const { result, unread, warnings } = await play(code, acts, isCrashing);
        expect(result).toEqual(expected);
        expect([unread, warnings]).toEqual([0, []]);
      });
    });
  });
}

/** Plays `code` through; with `isCrashing` every act is followed by a crash. */
export async function play(code: (part: Part) => Promise<unknown>, acts: readonly Act[], isCrashing: boolean): Promise<Played> {
  const notes: string[] = [];
  let token = "";
  const workflow = defineWorkflow({ name: "played" }, async (ctx) => {
    const hook = ctx.webhook<string>();
    await ctx.step("hand-out", () => void (token = hook.token));
    const note = (what: string): Promise<void> => ctx.step("note", () => void notes.push(what));
    return { value: await code({ ctx, hook, note }) };
  });
  const world = await createContextWorld({ workflows: [workflow] }, { mode: isCrashing ? crashingMode : defaultMode });
  const { runId } = await world.engine.start(workflow, undefined as never);
  await world.settled();
  for (const act of acts) {
    if (isCrashing) await world.restart();
    await perform(world, act, runId, token);
  }
  if (isCrashing) await world.restart();
  return { ...(await endOf(world, runId)), notes };
}

async function perform(world: ContextWorld, act: Act, runId: string, token: string): Promise<void> {
  if ("send" in act) await world.engine.signal(token, act.send);
  else if ("pass" in act) await world.advance(act.pass);
  else await world.engine.getRun(runId).cancel();
  await world.settled();
}

async function endOf(world: ContextWorld, runId: string): Promise<Omit<Played, "notes">> {
  const run = world.engine.getRun<{ value: unknown }>(runId);
  const state = await run.state;
  const ended = (await world.journal({ runId })).at(-1);
  if (ended?.kind !== "run_ended") return { result: `is ${state}: ${(await run.blocked)?.message ?? ""}`, unread: 0, warnings: [] };
  const result = state === "completed" ? (await run.returnValue)?.value : state;
  return { result, unread: ended.unread.length, warnings: ended.warnings };
}
