// An engine under a manual clock, for the programs of this folder.

import { createEngine, type Engine, type EngineOptions } from "../../src/wiring.ts";
import { createManualClock, type ManualClock } from "../../src/testing/manual-clock.ts";
import { settled as allSettled } from "../../src/testing/settled.ts";

export interface World {
  readonly engine: Engine;
  readonly clock: ManualClock;
  settled(): Promise<void>;
  advance(ms: number): Promise<void>;
}

export async function openWorld(options: Partial<EngineOptions> = {}, clock: ManualClock = createManualClock()): Promise<World> {
  const keys = "t1=00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
  const engine = createEngine({ store: "memory:", keys, clock, leaseMs: 1e12, baseUrl: null, logger: false, ...options });
  await engine.open();
  const settled = (): Promise<void> => allSettled(engine);
  const advance = (ms: number): Promise<void> => {
    clock.advance(ms);
    return settled();
  };
  return { engine, clock, settled, advance };
}
