// What the transform tells its user: a refusal ends the build, a warning does not. Each says where.

import { RingbackError } from "../../../core/errors.ts";

/** A place in a file, as editors count: lines and columns from 1. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** Something in workflow code that will not replay, or an id that will not last. */
export interface Warning extends Place {
  /** One sentence or two, with what to do; without the place. */
  readonly message: string;
}

interface Text {
  readonly code: string;
  readonly file: string;
}

/** Where `offset` stands. */
export function placeOf({ code, file }: Text, offset: number): Place {
  const before = code.slice(0, offset);
  const start = before.lastIndexOf("\n") + 1;
  let line = 1;
  for (let at = before.indexOf("\n"); at !== -1; at = before.indexOf("\n", at + 1)) line++;
  return { file, line, column: offset - start + 1 };
}

export function refused(text: Text, offset: number, message: string): RingbackError<"bad_directive"> {
  const place = placeOf(text, offset);
  return new RingbackError("bad_directive", `${placeText(place)}: ${message}`, { details: { ...place } });
}

export function placeText({ file, line, column }: Place): string {
  return `${file}:${line}:${column}`;
}
