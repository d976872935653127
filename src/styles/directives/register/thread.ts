// The hooks for `import` in the thread that Node has for them, where it cannot call them in its own.

import { Emitter } from "./emit.ts";
import { type ImportHooks, importHooks } from "./import.ts";

const hooks: ImportHooks = importHooks(new Emitter());
export const resolve: ImportHooks["resolve"] = hooks.resolve;
export const load: ImportHooks["load"] = hooks.load;
