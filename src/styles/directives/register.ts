// Has Node compile what it loads: `ringback/register`.

import Module from "node:module";
import { extname } from "node:path";
import { Emitter } from "./register/emit.ts";
import { type ImportHooks, importHooks } from "./register/import.ts";
import { patchRequire } from "./register/require.ts";

const slot: unique symbol = Symbol.for("ringback/registered") as never;
/** There from 22.15 and 23.5 on: hooks in the thread that loads. */
const { registerHooks } = Module as { readonly registerHooks?: (hooks: ImportHooks) => unknown };

/** Once in a thread, however many copies are asked to: false where it has been done. */
export function register(): boolean {
  const global = globalThis as { [slot]?: true };
  if (global[slot]) return false;
  global[slot] = true;
  process.setSourceMapsEnabled(true);
  const emitter = new Emitter();
  patchRequire(emitter);
  if (registerHooks) registerHooks(importHooks(emitter));
  else Module.register(`./register/thread${extname(new URL(import.meta.url).pathname)}`, import.meta.url);
  return true;
}
