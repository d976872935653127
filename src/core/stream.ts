// Streams of runs as values: what stands in a journal for one is whose it is, and its name.

import { badArgument, kindOf } from "./argument.ts";
import { limits, tooLarge } from "./limits.ts";
import { assertKeyText } from "./run-row.ts";

/** A stream of a run, as a value refers to it. */
export interface StreamReference {
  readonly kind: "readable" | "writable";
  /** The id of the run whose stream it is. */
  readonly run: string;
  /** `=` and the namespace that the author gave; `$` and a place, for one that was passed as a value. */
  readonly name: string;
  /** Of a readable one, the number of the first chunk; below 0: so many from the end. */
  readonly from: number;
}

const references = new WeakMap<object, StreamReference>();

/** From here on `stream` stands for that stream, wherever it is stored. */
export function refer(stream: object, reference: StreamReference): void {
  references.set(stream, reference);
}

export function streamReferenceOf(value: object): StreamReference | null {
  return references.get(value) ?? null;
}

/** A reference as one text: few places hold one, and all read it whole. */
export function writeReference({ kind, run, name, from }: StreamReference): string {
  return JSON.stringify([kind === "readable" ? "r" : "w", run, name, from]);
}

export function readReference(text: string): StreamReference {
  const [kind, run, name, from] = JSON.parse(text) as [string, string, string, number];
  return { kind: kind === "r" ? "readable" : "writable", run, name, from };
}

/** The name of a run's stream under this namespace; without one, of its own. It stands in the store as it is. Throws `bad_argument`, `too_large`. */
export function nameOfNamespace(call: string, namespace: unknown, sealText: (text: string) => string): string {
  if (namespace === undefined) return "=";
  if (typeof namespace !== "string")
    throw badArgument("namespace", namespace, `${call} takes a namespace as text, got ${kindOf(namespace)}.`);
  assertKeyText("namespace", namespace);
  const bytes = new TextEncoder().encode(namespace).length;
  if (bytes > limits.nameBytes) throw tooLarge("A stream's namespace", limits.nameBytes, bytes);
  if (sealText(namespace) === namespace) return `=${namespace}`;
  const message = `${call} got a namespace that holds a minted token, and what you call a stream by is no secret. Choose another.`;
  throw badArgument("namespace", namespace, message);
}

/** A stream as messages call it. */
export function streamLabel({ run, name }: Pick<StreamReference, "run" | "name">): string {
  return name.length > 1 && name.startsWith("=") ? `stream ${JSON.stringify(name.slice(1))} of run ${run}` : `the stream of run ${run}`;
}
