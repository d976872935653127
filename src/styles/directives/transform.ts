// The compile step: turns functions with a directive into calls of `ringback/compiled`, and says what in workflow code will not replay.
//
// TR1. Only text is put in; every character of the author's keeps its line, and the map leads from each token to its own. Only the form for
//     browsers leaves out (transform/browser.ts).
// TR2. The same module gives the same text, in whatever build: ids depend on the module's path and names alone.

import { browserForm } from "./transform/browser.ts";
import { mayConcern } from "./transform/directive.ts";
import { Edits } from "./transform/edit.ts";
import { Frames } from "./transform/frame.ts";
import { defaultPackages } from "./transform/import.ts";
import { Linter } from "./transform/lint.ts";
import { refused, type Warning } from "./transform/notice.ts";
import { Rewriter } from "./transform/rewrite.ts";
import { parse, type Source, visit, type Visitor } from "./transform/source.ts";

export type { Place, Warning } from "./transform/notice.ts";

/** A module to compile. */
export interface ModuleToCompile {
  readonly code: string;
  /** Its path, for messages and the map; the ending tells the language. */
  readonly file: string;
  /** Whether it is loaded by `import` or by `require`, where its host knows. Else its text shows it. */
  readonly isEsm?: boolean;
  /** What ids begin with: its path within its package, without the ending, such as `src/order`. */
  readonly module: string;
  /** Ids to use in place of those that would be derived: so a function that was moved or renamed keeps its runs. */
  readonly ids?: { readonly [derived: string]: string };
  /** Where compiled code finds its runtime, if the module itself imports nothing of the package. Default `ringback/compiled`. */
  readonly runtime?: string;
  /** Names under which the package is installed. Default `workflow` and `ringback`. */
  readonly packages?: readonly string[];
  /** The module may be loaded again with other code, as dev servers do. */
  readonly isReloading?: boolean;
  /** For a browser, which runs no workflows: functions with directives throw there, and what only they use is left out. Default false. */
  readonly isForBrowser?: boolean;
}

/** What a module declares, by id. */
export interface Declared {
  readonly workflows: readonly string[];
  readonly steps: readonly string[];
  readonly hooks: readonly string[];
}

export interface Compiled {
  readonly code: string;
  /** A source map, version 3, from the compiled text to the given one. */
  readonly map: { readonly version: number; readonly sources: string[]; readonly names: string[]; readonly mappings: string };
  readonly declared: Declared;
  readonly warnings: readonly Warning[];
}

/**
 * Compiles a module; null where it holds nothing to compile, which costs a search of its text. Throws `bad_directive`, with the place, for
 * a directive that is misspelt, stands where it does nothing, or marks what cannot be a workflow or a step.
 */
export function compile(given: ModuleToCompile): Compiled | null {
  if (!mayConcern(given.code) || isCompiled(given)) return null;
  const source = parse(given.code, given.file, given.isEsm ?? null);
  if (!source) return null;
  if (given.isForBrowser === true) {
    const { text, warnings } = browserForm(source, given.packages ?? defaultPackages);
    return text.hasChanged() ? { ...output(text, given), declared: { workflows: [], steps: [], hooks: [] }, warnings } : null;
  }
  const frames = new Frames(source);
  const edits = new Edits(source);
  const rewriter = new Rewriter(source, frames, edits, given);
  const linter = new Linter(source, frames);
  walkThrough(source, {
    enter(node, path) {
      frames.enter(node, path);
    },
    refer(name, node, declared, path) {
      rewriter.refer(name, node, declared, path);
      linter.refer(name, node, declared, path);
    },
    leave(node, path) {
      const frame = frames.leave(node);
      rewriter.leave(node, path, frame);
      edits.finish(node);
    },
  });
  if (!edits.text.hasChanged()) return null;
  return { ...output(edits.text, given), declared: rewriter.declared, warnings: [...rewriter.warnings, ...linter.warnings] };
}

/** What a tool has put out may come to the next, with its directives still in it. */
function isCompiled({ code, packages = defaultPackages, runtime }: ModuleToCompile): boolean {
  return [...packages.map((name) => `${name}/compiled`), ...(runtime === undefined ? [] : [runtime])].some(
    (name) => code.includes(`"${name}"`) || code.includes(`'${name}'`),
  );
}

function output(text: Edits["text"], { file }: ModuleToCompile): Pick<Compiled, "code" | "map"> {
  return { code: text.toString(), map: text.generateMap({ source: file, includeContent: true, hires: "boundary" }) };
}

/** A file that nests deeper than the stack is refused by name; `a + b + …` nests, too. */
function walkThrough(source: Source, visitor: Visitor): void {
  try {
    visit(source, visitor);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const message = "Something in this file nests too deeply to be compiled. Put the functions with a directive into a file of their own.";
    throw refused(source, 0, message);
  }
}
