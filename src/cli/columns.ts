// Text laid out for a screen: rows under each other, and what others wrote made harmless.

import { stripVTControlCharacters } from "node:util";

/** Rows, every column as wide as its widest cell; the last one as it comes. Colours take no room. */
export function columns(rows: readonly (readonly string[])[], gap = 2): string[] {
  const widths: number[] = [];
  for (const row of rows) for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, lengthOf(cell));
  return rows.map((row) =>
    row
      .map((cell, at) => (at === row.length - 1 ? cell : cell + " ".repeat((widths[at] ?? 0) - lengthOf(cell) + gap)))
      .join("")
      .trimEnd(),
  );
}

/** Ids, names and errors come from anywhere: what would steer the terminal, or break the line, is shown as its number. */
export function plain(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (char) =>
    char === "\n" ? " " : `\\u${(char.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`,
  );
}

function lengthOf(cell: string): number {
  return stripVTControlCharacters(cell).length;
}
