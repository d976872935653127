// Who gets a hook's payload, on the whole engine: the sixty programs hot, evicted after every turn, restarted after every action, and
// with two workers (G6, G7, U3, W4).

import { describe, expect, test } from "vitest";
import { createWorld, modes } from "./harness.ts";
import { Played } from "./readers/on-engine.ts";
import { programs } from "./readers/programs.ts";

const isLong = process.env["RINGBACK_LONG"] === "1";
const nothing = async (): Promise<void> => {};

describe.each(isLong ? modes : (["hot", "evict"] as const))("%s", (mode) => {
  test.each(programs.map((program, index) => ({ ...program, index })))("$name", async (program) => {
    const played = new Played(program, program.index);
    const world = await createWorld([played.workflow], { mode });
    const { result, unread } = await played.play(world, nothing);
    await played.end(world);
    expect(result).toEqual(program.expected);
    expect(unread).toEqual(program.unread ?? []);
  });
});

const restarted = isLong ? (["hot", "two-workers"] as const) : (["two-workers"] as const);
describe.each(restarted)("restarted after every action (%s)", (mode) => {
  test.each(programs.map((program, index) => ({ ...program, index })))("$name", async (program) => {
    const played = new Played(program, program.index);
    const world = await createWorld([played.workflow], { mode });
    const { result, unread } = await played.play(world, () => world.restart({}, false));
    await played.end(world);
    expect(result).toEqual(program.expected);
    expect(unread).toEqual(program.unread ?? []);
  });
});
