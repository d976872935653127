// Attributes: labels of a run, text to text, by which people find it. They stand in lists, logs and an index as they are: no secrets.
//
// AT1. Changes count in the order of the journal, whoever made them: the run's code or its steps. What a run has is a fold of them.
// AT2. Names that begin with `$` are for what is built on the engine; `$parentRunId` and `$rootRunId` are the store's, set at a run's start.

import { badArgument, kindOf } from "./argument.ts";
import { RingbackError } from "./errors.ts";
import { limits, tooLarge } from "./limits.ts";
import type { Run } from "./run.ts";
import { isKeyText } from "./run-row.ts";

export type Attributes = { readonly [name: string]: string };
/** Null takes one away. */
export type AttributeChanges = { readonly [name: string]: string | null };

const lineage = ["$parentRunId", "$rootRunId"] as const;

/** What an author gives: a value of undefined takes the attribute away. */
export interface AttributeCall {
  readonly call: string;
  readonly given: unknown;
  readonly isReservedAllowed: boolean;
  readonly sealText: (text: string) => string;
}

/** Throws `bad_argument` or `too_large`. */
export function attributeChanges({ call, given, isReservedAllowed, sealText }: AttributeCall): AttributeChanges {
  if (typeof given !== "object" || given === null || Array.isArray(given))
    throw badArgument(
      "attributes",
      given,
      `${call} takes attributes as an object of texts, such as { order: "42" }, got ${kindOf(given)}.`,
    );
  const changes: { [name: string]: string | null } = {};
  for (const [name, value] of Object.entries(given)) {
    const shown = JSON.stringify(sealText(name).slice(0, 50));
    if (name === "" || name === "__proto__" || !isKeyText(name) || sealText(name) !== name)
      throw badArgument("attributes", name, `${call}: an attribute cannot be called ${shown}.`);
    if ((lineage as readonly string[]).includes(name) || (name.startsWith("$") && !isReservedAllowed))
      throw badArgument(
        "attributes",
        name,
        `${call}: names that begin with "$", such as ${shown}, are for what is built on the engine. Choose another.`,
      );
    if (bytesOf(name) > limits.attributeNameBytes) throw tooLarge("The name of an attribute", limits.attributeNameBytes, bytesOf(name));
    if (value === undefined) changes[name] = null;
    else if (typeof value !== "string" || !isKeyText(value))
      throw badArgument(
        "attributes",
        value,
        `${call}: attribute ${shown} takes text without a NUL or half a character, got ${kindOf(value)}.`,
      );
    else if (sealText(value) !== value)
      throw badArgument(
        "attributes",
        value,
        `${call}: attribute ${shown} holds a minted token, which is a secret; attributes stand in lists and logs.`,
      );
    else if (bytesOf(value) > limits.attributeBytes) throw tooLarge(`Attribute ${shown}`, limits.attributeBytes, bytesOf(value));
    else changes[name] = value;
  }
  return changes;
}

/** AT1 */
export function changedBy(attributes: Attributes, changes: AttributeChanges): Attributes {
  const after: { [name: string]: string } = { ...attributes };
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) delete after[name];
    else after[name] = value;
  }
  return after;
}

/** Refuses what would be one attribute too many. */
export function checkCount(names: readonly string[]): void {
  const actual = names.filter((name) => !(lineage as readonly string[]).includes(name)).length;
  const limit = limits.attributes;
  if (actual <= limit) return;
  const message = `A run takes ${limit} attributes, and this would make ${actual}. Take away what is not needed: { name: undefined }.`;
  throw new RingbackError("too_large", message, { details: { what: "attributes", limit, actual } });
}

/** Where a run that another one has begun comes from (AT2). */
export function lineageOf(parent: { readonly id: string; readonly attributes: Attributes }): Attributes {
  return { $parentRunId: parent.id, $rootRunId: parent.attributes["$rootRunId"] ?? parent.id };
}

/** Changes the run's attributes, in the order of its calls. */
export function callAttributes(run: Run, changes: AttributeChanges): Promise<void> {
  if (Object.keys(changes).length === 0) return Promise.resolve();
  const known = changedBy(Object.fromEntries([...(run.attributeNames ?? [])].map((name) => [name, ""])), changes);
  checkCount(Object.keys(known));
  const { position, turn, name, digest, recorded } = run.ask("attributes_set", "", JSON.stringify(changes));
  if (!recorded) run.asked.push({ kind: "attributes_set", turn, position, name, digest, changes });
  run.attributeNames = Object.keys(known);
  return Promise.resolve();
}

function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}
