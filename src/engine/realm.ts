// Where workflow code meets the process: turns as whole macrotasks, the guard, patched globals, stray rejections. This file and its
// folder alone touch ticks, async context and globals. Everything is per process, installed once (RT1), and costs one variable check
// outside turns. The invariants M1 to M5 stand where they are held: turn, guard, context, stray, guard.

import { useInstant } from "../core/own-error.ts";
import { useCaller, useGuard, useScopes } from "../core/turn.ts";
import { allows } from "./realm/guard.ts";
import { callingInTurn, callingScope, callingStep, inScope } from "./realm/context.ts";
import { patchGlobals } from "./realm/globals.ts";
import { watchErrors } from "./realm/stray.ts";
import { holdTicks } from "./realm/turn.ts";

export { afresh, callingRun, callingStep, inStep, type StepContext } from "./realm/context.ts";
export { durably, here, onMisuse } from "./realm/guard.ts";
export { asMisuse, takeTurn, takeTurns } from "./realm/turn.ts";

/** Puts the realm's patches in place: once in a process, by the copy of the package that was loaded first (RT1). */
export function installRealm(): void {
  useScopes({ get: callingScope, run: inScope });
  useCaller(callingInTurn);
  useGuard(allows);
  useInstant(() => callingStep()?.now() ?? Date.now());
  holdTicks();
  watchErrors();
  patchGlobals(callingInTurn);
}
