// What the proofs of examples stand on: an engine on a SQLite file under a manual clock, third parties that answer, what was printed.

import { createEngine, type Engine, type EngineOptions, type Workflow } from "../../src/index.ts";
import { createManualClock, type ManualClock, settled } from "../../src/testing.ts";

export { deepStrictEqual as equal, match, rejects } from "node:assert/strict";

/** All that `console.log` and `console.error` were given, as text. */
export const printed: string[] = [];
const seen: (() => void)[] = [];

export function print(line: string): void {
  printed.push(line);
  for (const look of seen.splice(0)) look();
}

/** The first printed line that fits, as soon as there is one. */
export async function shown(pattern: RegExp): Promise<RegExpExecArray> {
  for (;;) {
    for (const line of printed) {
      const found = pattern.exec(line);
      if (found) return found;
    }
    await new Promise<void>((look) => seen.push(look));
  }
}

/** `signal` is the caller's own: one that a request makes of it may be collected, and then tells nobody. */
type Answer = (request: Request, signal: AbortSignal) => Response | Promise<Response>;
const parties = new Map<string, Answer>();

/** Lets a third party of an example answer: `outside("psp.example", …)`. Without it, each answers 200 with `{}`. */
export function outside(host: string, answer: Answer): void {
  parties.set(host, answer);
}

export async function answerOf(request: Request, signal: AbortSignal): Promise<Response> {
  return (await parties.get(new URL(request.url).host)?.(request, signal)) ?? Response.json({});
}

export interface World {
  readonly engine: Engine;
  readonly clock: ManualClock;
  /** Until all that can be done is done; what waits for the clock or the outside stays. */
  settled(): Promise<void>;
  /** Moves the clock, then settles. */
  advance(ms: number): Promise<void>;
}

export async function world(workflows: readonly Workflow<any[], any>[], options: Partial<EngineOptions> = {}): Promise<World> {
  const clock = createManualClock();
  const engine = createEngine({ store: "sqlite:proof.db", baseUrl: "https://app.example", clock, workflows, ...options });
  await engine.open();
  return {
    engine,
    clock,
    settled: () => settled(engine),
    async advance(ms) {
      clock.advance(ms);
      await settled(engine);
    },
  };
}
