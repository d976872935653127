// What an earlier chapter of a run has left open: taken over at the beginning of the next one, and asked for whenever its code comes to it.
//
// CA1. What is open and was asked for in a chapter goes along into the next, and so does what holds payloads that nobody has read.
// CA2. A hook is judged as it was opened, in all chapters. Until the code of a chapter has said how, what comes there is not taken.

import type { SchemaResult, StandardSchema } from "../../core/definition.ts";
import type { HookPart } from "../../core/hook.ts";
import type { Run } from "../../core/run.ts";

const anything: StandardSchema = {
  "~standard": { version: 1, vendor: "ringback", validate: (value: unknown): SchemaResult<unknown> => ({ value }) },
};

/** All that came along, in a chapter's first turn. */
export function carriedInto(run: Run): readonly HookPart[] {
  return run.heritage?.takeAll(run) ?? [];
}

/** Whether it goes along once more (CA1). */
export function goesAlong({ mailbox }: HookPart, isAsked: boolean): boolean {
  return !mailbox.isClosed && (isAsked || mailbox.unreadCount > 0);
}

/** Code has come to a hook that was carried, and says how it is judged (CA2). */
export function adopt(part: HookPart, schema: StandardSchema | null): HookPart {
  const { hasSchema } = part.created;
  if (hasSchema !== (schema !== null))
    part.run.warn(
      `Hook ${part.label} came along from an earlier chapter, where it was opened ${hasSchema ? "with" : "without"} a schema or validator, and now it is opened ${hasSchema ? "without" : "with"} one: ${hasSchema ? "everything is let through" : "nothing is judged"} until it is closed.`,
    );
  if (hasSchema) part.schema = schema ?? anything;
  return part;
}
