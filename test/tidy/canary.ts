// A small project that must break a rule at exactly these places, or a near miss that must not. A pattern that quietly fits nothing is
// found by these.

import type { Rule } from "./project.ts";

export interface Canary {
  readonly rule: Rule;
  readonly what: string;
  readonly files: Readonly<Record<string, string>>;
  /** `file:line` of each violation; none for a near miss. */
  readonly at: readonly string[];
}

/** One file of one line, which must break the rule. */
export function bad(rule: Rule, file: string, text: string): Canary {
  return { rule, what: `${file}: ${text}`, files: { [file]: text }, at: [`${file}:1`] };
}

/** One file, which must not break the rule. */
export function good(rule: Rule, file: string, text: string): Canary {
  return { rule, what: `${file}: ${text}`, files: { [file]: text }, at: [] };
}

export function many(rule: Rule, what: string, files: Record<string, string>, at: readonly string[]): Canary {
  return { rule, what, files, at };
}
