// Values of portable workflows in the engine's journal: written as their own states have them, so that they come back as they do there.

import type { Classes } from "../../core/serialise-class.ts";
import type { PortableResult } from "../../core/portable.ts";
import { textOf } from "../../core/thrown.ts";
import { read, write } from "../portable/value.ts";

/** A value on its way into the journal. What is read from there is the value itself. */
class Kept {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** What a run fails with whose code came to an error. */
export class PortableFailure extends Error {
  declare readonly error: unknown;
}

export function registerKept(classes: Classes): void {
  classes.register("ringback/Portable", { class: Kept, serialise: ({ text }) => text, parse: (text: string) => read(text) as Kept });
  classes.register("ringback/PortableFailure", { class: PortableFailure });
}

/** Throws a `TypeError` where the value cannot be kept. */
export function kept(value: unknown, what: string): unknown {
  return new Kept(write(value, what));
}

/** A result as the end of a run: its value, or an error to throw that has the words of the result's. */
export function endingOf(result: PortableResult): unknown {
  if (result.ok) return kept(result.value, "The result of the workflow");
  const { error } = result;
  const { name, message } = wordsOf(error);
  const failure = new PortableFailure(message, causeOf(result));
  Object.assign(failure, { name, error: kept(error, "The error of the workflow") });
  throw failure;
}

/** The result that a run has failed with; null where its code had no part in it. */
export function resultOf(failure: unknown): PortableResult | null {
  if (!(failure instanceof PortableFailure)) return null;
  const { error } = failure;
  return Object.hasOwn(failure, "cause") ? { ok: false, error, cause: failure.cause } : { ok: false, error };
}

function wordsOf(error: unknown): { readonly name: string; readonly message: string } {
  if (error instanceof Error) return error;
  if (typeof error !== "object" || error === null) return { name: "Error", message: textOf(error) };
  const { type = "Error", message } = error as { readonly type?: unknown; readonly message?: unknown };
  return { name: textOf(type), message: typeof message === "string" ? message : jsonOf(error) };
}

/** JSON has no words for a BigInt or a cycle, which a result may hold. */
function jsonOf(error: object): string {
  try {
    return JSON.stringify(error);
  } catch {
    return write(error, "The error of the workflow");
  }
}

/** What cannot be kept is left out: it is for people. */
function causeOf({ cause }: { readonly cause?: unknown }): ErrorOptions {
  if (cause === undefined) return {};
  try {
    return { cause: kept(cause, "The cause of the error") };
  } catch {
    return {};
  }
}
