// The laws of reading over random programs and scripts, and over broken readers, which the laws must catch (H1–H6).
// `RINGBACK_LONG=1` runs all.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Mailbox, type Read } from "../src/core/mailbox.ts";
import { type Queued, ReadQueue } from "../src/core/read-queue.ts";
import type { MailboxMaker } from "./readers/driver.ts";
import { brokenLaw } from "./readers/law.ts";
import { randomProgram } from "./readers/random-program.ts";

const isLong = process.env["RINGBACK_LONG"] === "1" && (process.env["RINGBACK_TEST_MODE"] ?? "hot") === "hot";

test(
  "one reader per payload, none lost, none to a loser, nobody stranded, hot as cold",
  async () => {
    const numRuns = isLong ? 20_000 : 400;
    await fc.assert(
      fc.asyncProperty(randomProgram, async (program) => {
        expect(await brokenLaw(program)).toBeNull();
      }),
      { numRuns },
    );
  },
  isLong ? 1_800_000 : 60_000,
);

/** Sleeping reads stay in the queue until they are served. */
class KeepsSleepers extends ReadQueue {
  override get isEmpty(): boolean {
    return this.first() === null;
  }
  override first(): Queued | null {
    const first = super.first() as Read | null;
    if (!first?.outcome) return first;
    super.delete(first);
    return this.first();
  }
  override add(read: Queued, epoch: number): void {
    super.delete(read);
    super.add(read, epoch);
  }
  override delete(): void {}
}

/** A read that has slept is not let in again. */
class NeverWakesAgain extends ReadQueue {
  readonly #known = new WeakSet<Queued>();
  override add(read: Queued, epoch: number): void {
    if (!this.#known.has(read)) super.add(read, epoch);
    this.#known.add(read);
  }
}

let coin = 0;
/** Who is served depends on what happened in other runs. */
class Moody extends ReadQueue {
  override first(): Queued | null {
    const first = super.first();
    return ++coin % 2 === 0 ? (first?.after ?? first) : first;
  }
}

class GivesTwice extends Mailbox<string> {
  override receive(seq: number, open: () => string): void {
    super.receive(seq, open);
    super.receive(seq, open);
  }
}

class DropsWhatNobodyAwaits extends Mailbox<string> {
  override receive(seq: number, open: () => string): void {
    if (this.isAwaited) super.receive(seq, open);
  }
}

/** A read takes what is there at once, not as a turn of its own. */
class TakesAtOnce extends Mailbox<string> {
  override join(read: Read<string>): void {
    super.join(read);
    if (this.unreadCount > 0) this.handOver();
  }
}

describe("the laws catch", () => {
  const mutants: Record<string, [MailboxMaker, RegExp]> = {
    "a queue that keeps sleepers": [(run) => new Mailbox(run, new KeepsSleepers()), /^nobody got/],
    "a queue that wakes nobody again": [(run) => new Mailbox(run, new NeverWakesAgain()), /^stranded/],
    "a queue with a mood": [(run) => new Mailbox(run, new Moody()), /^hot and cold/],
    "a mailbox that gives a payload twice": [(run) => new GivesTwice(run), /^handed over twice/],
    "a mailbox that drops what nobody awaits": [(run) => new DropsWhatNobodyAwaits(run), /^delivered/],
    "a read that takes at once": [(run) => new TakesAtOnce(run), /^nobody got/],
  };
  const programs = fc.sample(randomProgram, { numRuns: 3_000, seed: 42 });
  test.each(Object.entries(mutants))("%s", async (_name, [makeMailbox, law]) => {
    const found = new Set<string>();
    for (const program of programs) {
      const broken = await brokenLaw(program, makeMailbox);
      if (broken) found.add(broken);
      if (broken && law.test(broken)) return;
    }
    expect.unreachable(`not found; other laws broken: ${[...found].slice(0, 3).join("; ")}`);
  });
});
