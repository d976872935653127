// Runs a hook's schema over what arrived. What it returns is what is stored.

import type { SchemaIssue, StandardSchema } from "../core/definition.ts";

export type Verdict =
  | { readonly type: "valid"; readonly value: unknown }
  | { readonly type: "invalid"; readonly issues: readonly SchemaIssue[] };

/** Schemas may be asynchronous; one that throws has a fault of its own, which is the caller's to see. */
export async function judge(schema: StandardSchema, value: unknown): Promise<Verdict> {
  const result = await schema["~standard"].validate(value);
  return result.issues ? { type: "invalid", issues: result.issues } : { type: "valid", value: result.value };
}
