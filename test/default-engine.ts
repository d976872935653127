// Lets the free functions (`resumeHook`, `approval.resume` …), which host code calls without an engine in hand, speak to a test's engines.

import "../src/wiring.ts"; // first: it says how the default engine is made, too
import { useDefaultApi } from "../src/engine/default.ts";
import type { Engine } from "../src/wiring.ts";
import type { World } from "./harness.ts";

let current: World | null = null;

// The runtime keeps the default engine it was given first; this one asks whichever engine is next.
useDefaultApi(
  () =>
    new Proxy({} as Engine, {
      get: (_, name) => {
        const { engine } = defaultWorld();
        const member = engine[name as keyof Engine];
        return typeof member === "function" ? member.bind(engine) : member;
      },
    }),
);

/** From now on the free functions of this process speak to the engines of `world`. */
export function asDefault(world: World): World {
  current = world;
  return world;
}

export function defaultWorld(): World {
  if (!current) throw new Error("No world has been made the default.");
  return current;
}
