// The code blocks of a Markdown page, and what comments that no reader sees say about them.
//
// Before a block: `<!-- sample: compiled only, REASON -->`, `<!-- sample: goes on -->` (from the block before, as one module with it) or
// `<!-- sample: unchecked, REASON -->`. After a block: `<!-- proof`, a program that imports the block as "sample" and holds it to what the
// page says, `-->`. Without a mark, a block stands and runs alone.

/** One line of a module, and where in its page it stands. */
export interface Line {
  readonly text: string;
  readonly at: number;
}

export interface Block {
  readonly file: string;
  /** Of its first line of code. */
  readonly line: number;
  readonly language: string;
  /** With the lines of the blocks it goes on from. */
  readonly lines: readonly Line[];
  readonly mark: "run" | "compiled only" | "unchecked";
  readonly proof: readonly Line[] | null;
}

export interface Page {
  readonly blocks: readonly Block[];
  /** Marks and fences that say nothing: `file:line what`. */
  readonly faults: readonly string[];
}

type Mark = { readonly word: "compiled only" | "unchecked" | "goes on"; readonly at: number };

const fence = /^(\s*)```(\S*)\s*$/;
const sampleMark = /^<!-- sample: (.*) -->$/;
const withReason = /^(compiled only|unchecked), \S.{5,}$/;

export function readPage(file: string, text: string): Page {
  const lines = text.split("\n");
  const blocks: Block[] = [];
  const faults: string[] = [];
  const fault = (at: number, what: string): void => void faults.push(`${file}:${at} ${what}`);
  let mark: Mark | null = null;
  let last: Block | null = null;
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index] as string;
    const at = index + 1;
    const opening = fence.exec(line);
    if (opening) {
      const end = closing(lines, index, opening[1] ?? "");
      if (end < 0) fault(at, "a block without an end");
      const own = take(lines, index + 1, end < 0 ? lines.length : end, opening[1] ?? "");
      const before: Block | null = mark?.word === "goes on" ? (blocks.at(-1) ?? null) : null;
      if (mark?.word === "goes on" && before === null) fault(mark.at, "goes on from no block");
      last = {
        file,
        line: at + 1,
        language: opening[2] ?? "",
        lines: [...(before?.lines ?? []), ...own],
        mark: mark === null || mark.word === "goes on" ? "run" : mark.word,
        proof: null,
      };
      blocks.push(last);
      mark = null;
      index = end < 0 ? lines.length : end;
    } else if (line.startsWith("<!-- sample")) {
      const said = sampleMark.exec(line)?.[1] ?? "";
      const word = said === "goes on" ? said : withReason.exec(said)?.[1];
      if (mark) fault(mark.at, "a mark without a block");
      mark = word === undefined ? null : { word: word as Mark["word"], at };
      if (word === undefined) fault(at, "a mark that is not known, or has no reason");
    } else if (line.startsWith("<!-- proof")) {
      const end = lines.indexOf("-->", index);
      if (last === null || end < 0 || line !== "<!-- proof") fault(at, last === null ? "a proof of no block" : "a proof without an end");
      else blocks[blocks.indexOf(last)] = { ...last, proof: take(lines, index + 1, end, "") };
      last = null;
      if (end > 0) index = end;
    } else if (line.trim() !== "") {
      if (mark) fault(mark.at, "a mark without a block");
      mark = last = null;
    }
  }
  if (mark) fault(mark.at, "a mark without a block");
  return { blocks, faults };
}

function closing(lines: readonly string[], from: number, indent: string): number {
  return lines.findIndex((line, index) => index > from && line.trimEnd() === `${indent}\`\`\``);
}

function take(lines: readonly string[], from: number, to: number, indent: string): Line[] {
  return lines
    .slice(from, to)
    .map((line, index) => ({ text: line.startsWith(indent) ? line.slice(indent.length) : line, at: from + index + 1 }));
}

interface Link {
  readonly at: number;
  readonly path: string;
  readonly anchor: string | null;
  readonly isFromRoot: boolean;
}

const named = /`((?:src|test|docs|bench|examples|script)\/[\w./-]+)`/g;

/**
 * Links of a page to places in the project, with the line; addresses elsewhere are not looked at. Paths named in code marks, from the root;
 * what has `//` in it is the id of a workflow.
 */
export function linksOf(text: string): Link[] {
  const found: Link[] = [];
  let isCode = false;
  for (const [index, line] of text.split("\n").entries()) {
    if (fence.test(line)) isCode = !isCode;
    if (isCode) continue;
    for (const [, path = ""] of line.matchAll(named))
      if (!path.includes("//")) found.push({ at: index + 1, path, anchor: null, isFromRoot: true });
    for (const [, target = ""] of line.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [path = "", anchor = null] = target.split("#");
      found.push({ at: index + 1, path, anchor, isFromRoot: false });
    }
  }
  return found;
}

/** The anchors that a page's headings make, as code hosts spell them. */
export function anchorsOf(text: string): Set<string> {
  const headings = [...text.matchAll(/^#+ (.*)$/gm)].map((match) => match[1] as string);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, "")
        .trim()
        .replaceAll(" ", "-"),
    ),
  );
}
