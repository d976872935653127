// The one runtime of a process, however many copies of the package it loads: under npm aliases, in a bundle beside `node_modules`, in a
// test runner's second graph of modules.
//
// RT1. The first copy puts what it has at `globalThis[Symbol.for("ringback/1")]`, patches the realm, and stays. A copy that comes later
//      changes nothing in the process: its entries hand on what the first one has.
// RT2. A name that the first copy lacks, being older, throws when it is used, not when it is loaded. Another protocol throws at load.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { RingbackError } from "../core/errors.ts";
import { installRealm } from "../engine/realm.ts";
import * as ownApi from "./api.ts";
import * as ownContext from "./context.ts";
import * as ownCompiled from "./compiled.ts";
import * as ownErrors from "./errors.ts";
import * as ownIndex from "./index.ts";
import * as ownRuntime from "./runtime.ts";

/** What entries hand on, by entry. */
interface Parts {
  readonly index: typeof ownIndex;
  readonly api: typeof ownApi;
  readonly errors: typeof ownErrors;
  readonly compiled: typeof ownCompiled;
  readonly context: typeof ownContext;
  readonly runtime: typeof ownRuntime;
}

/** What stands on the global. Every version to come finds it at this place, and in it `protocol` and `describe` with these meanings. */
interface Runtime {
  /** Which parts there are, and that names keep their meaning. A version that breaks with them has another. */
  readonly protocol: number;
  /** Name, version and place of the copy, for people. */
  describe(): string;
  readonly parts: Parts;
}

const place: unique symbol = Symbol.for("ringback/1") as never;
const own: Runtime = {
  protocol: 1,
  describe,
  parts: { index: ownIndex, api: ownApi, errors: ownErrors, compiled: ownCompiled, context: ownContext, runtime: ownRuntime },
};
const first: Runtime = takeFirst();

export const index: typeof ownIndex = part("index");
export const api: typeof ownApi = part("api");
export const errors: typeof ownErrors = part("errors");
export const compiled: typeof ownCompiled = part("compiled");
export const context: typeof ownContext = part("context");
export const runtime: typeof ownRuntime = part("runtime");

function takeFirst(): Runtime {
  const there = (globalThis as { readonly [place]?: Runtime })[place];
  if (there?.protocol === own.protocol) return there;
  if (there) throw otherProtocol(there);
  installRealm();
  Object.defineProperty(globalThis, place, { value: own });
  return own;
}

function part<P extends keyof Parts>(name: P): Parts[P] {
  if (first === own) return own.parts[name];
  const theirs: Readonly<Record<string, unknown>> = { ...first.parts[name] };
  const values = Object.keys(own.parts[name]).map((each) => [each, each in theirs ? theirs[each] : lacking(each)]);
  return Object.fromEntries(values) as Parts[P];
}

/** Stands for a function or a class that the first copy lacks (RT2). Others may ask what it is; `instanceof` finds no instance of it. */
function lacking(name: string): unknown {
  const refuse = (): never => {
    const [runtime, copy] = [first.describe(), own.describe()];
    const message = `${name} is new in ${copy}, but this process runs on ${runtime}, which was loaded first and does not have it. Bring both to one version ("npm ls ringback" finds them, "npm dedupe" may do it), or import the newer one first.`;
    throw new errors.RingbackError("runtime_too_old", message, { details: { name, runtime, copy } });
  };
  const get = (target: object, key: PropertyKey): unknown =>
    typeof key === "symbol" || key === "then" || key in target ? Reflect.get(target, key) : refuse();
  return new Proxy(function absent() {}, { apply: refuse, construct: refuse, get });
}

function otherProtocol(there: Runtime): RingbackError {
  const message = `${own.describe()} cannot work beside ${there.describe()}, which was loaded first: they speak protocols ${own.protocol} and ${there.protocol}. One process runs on one major version: bring both to one ("npm ls ringback" finds them).`;
  return new RingbackError("unknown_protocol", message, { details: { found: there.protocol, known: own.protocol } });
}

/** A bundle may know nothing of where its parts came from: then it is told of by its file, or not at all. */
function describe(): string {
  try {
    const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
    const { name, version } = JSON.parse(text) as { readonly name: string; readonly version: string };
    if (name === "ringback") return `ringback ${version} (${fileURLToPath(new URL("../..", import.meta.url))})`;
  } catch {
    // Not where npm puts it.
  }
  const file = import.meta.url as string | undefined;
  return `a bundled copy of ringback${file === undefined ? "" : ` (${file})`}`;
}
