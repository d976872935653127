// The documents that the package fulfils, where they lie beside the project, and the samples in them.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL("../../../shared/seeds/", import.meta.url));

/** Why the documents cannot be read here; null where they can. */
export const absence: string | null = existsSync(folder) ? null : "the documents are not beside this clone";

/** A document by the number that its file begins with. */
export function readDocument(number: string): string {
  const name = readdirSync(folder).find((file) => file.startsWith(`${number}_`));
  if (name === undefined) throw new Error(`There is no document ${number}.`);
  return readFileSync(`${folder}${name}`, "utf8");
}

/** What stands in the document's code fences, in order. */
export function fenced(text: string): readonly string[] {
  return [...text.matchAll(/^```typescript[^\n]*\n(.*?)^```$/gms)].map(([, code = ""]) => code);
}

/** What stands between two lines of a document that has lost its fences: after the first, before the second or the end. */
export function between(text: string, after: string, before: string | null): string {
  const lines = text.split(/\r?\n/);
  const start = lines.indexOf(after) + 1;
  const end = before === null ? lines.length : lines.indexOf(before, start);
  if (start === 0 || end === -1) throw new Error(`The document has no text between the lines "${after}" and "${before}".`);
  return lines.slice(start, end).join("\n");
}

/** The one piece of such a document that reads so, from its first line to its last. */
export function piece(text: string, sample: RegExp): string {
  const found = [...text.replaceAll("\r\n", "\n").matchAll(new RegExp(sample, "gm"))];
  if (found.length !== 1) throw new Error(`The document has ${found.length} pieces like ${sample}.`);
  return (found[0] as RegExpExecArray)[0];
}

/** Lines that look like code, outside the given parts of a document. */
export function codeOutside(text: string, parts: readonly string[]): readonly string[] {
  let rest = text.replaceAll("\r\n", "\n");
  for (const part of parts) rest = rest.replace(part, "");
  return rest.split("\n").filter((line) => /[{};]\s*$|^\s*(?:const|import|export|await|return|function)\b/.test(line));
}
