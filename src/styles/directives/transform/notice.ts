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

/** A file's text, which knows where its lines begin once somebody has asked. */
export class Text {
  readonly code: string;
  readonly file: string;
  #starts: readonly number[] | null = null;

  constructor(code: string, file: string) {
    this.code = code;
    this.file = file;
  }

  /** Where `offset` stands. */
  placeOf(offset: number): Place {
    this.#starts ??= [0, ...[...this.code.matchAll(/\n/g)].map(({ index }) => index + 1)];
    let [line, above] = [0, this.#starts.length];
    while (above - line > 1) {
      const middle = (line + above) >> 1;
      if ((this.#starts[middle] as number) <= offset) line = middle;
      else above = middle;
    }
    return { file: this.file, line: line + 1, column: offset - (this.#starts[line] as number) + 1 };
  }
}

export function refused(text: Text, offset: number, message: string): RingbackError<"bad_directive"> {
  const place = text.placeOf(offset);
  return new RingbackError("bad_directive", `${placeText(place)}: ${message}`, { details: { ...place } });
}

export function placeText({ file, line, column }: Place): string {
  return `${file}:${line}:${column}`;
}
