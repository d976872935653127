// Runs a hook's schema over what arrived. What it returns is what is stored.

import type { SchemaIssue, StandardSchema } from "../core/definition.ts";
import type { Issue } from "../core/errors.ts";
import { limits } from "../core/limits.ts";
import { textOf } from "../core/thrown.ts";

export type Verdict = { readonly type: "valid"; readonly value: unknown } | Invalid;

export interface Invalid {
  readonly type: "invalid";
  readonly issues: readonly Issue[];
}

/** A schema that has a fault of its own: it threw, or what it returned is no verdict. */
export type Judged = Verdict | { readonly type: "broken"; readonly why: string; readonly cause: unknown };

/** Schemas may be asynchronous, and are the author's: whatever one does, this does not throw. */
export async function judge(schema: StandardSchema, value: unknown): Promise<Judged> {
  try {
    return verdictOf(await schema["~standard"].validate(value));
  } catch (cause) {
    return { type: "broken", why: `it threw ${textOf(cause)}`, cause };
  }
}

function verdictOf(result: unknown): Judged {
  if (typeof result === "object" && result !== null) {
    const { issues } = result as { readonly issues?: unknown };
    if (Array.isArray(issues)) return { type: "invalid", issues: issues.slice(0, limits.issuesTold).map(plainIssue) };
    if (issues === undefined && "value" in result) return { type: "valid", value: result.value };
  }
  return { type: "broken", why: "what it returned has neither issues nor a value", cause: null };
}

/** As a sender, or an error's `details`, can have it: names and numbers for a path. */
function plainIssue(issue: unknown): Issue {
  const { message, path } = (typeof issue === "object" && issue !== null ? issue : { message: issue }) as Partial<SchemaIssue>;
  const text = typeof message === "string" ? message : textOf(message ?? "It does not fit.");
  return Array.isArray(path) ? { message: text, path: path.map(plainKey) } : { message: text };
}

function plainKey(part: NonNullable<SchemaIssue["path"]>[number]): PropertyKey {
  const key = typeof part === "object" && part !== null ? part.key : part;
  return typeof key === "number" ? key : String(key);
}
