// The project as the tidy rules see it: paths and texts. The real one is read from disk; a canary is a few texts in memory.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse, type Source } from "./source.ts";

/** What breaks a rule, and where. */
export interface Violation {
  readonly file: string;
  readonly line: number;
  readonly message: string;
}

/** One law of the codebase. */
export interface Rule {
  readonly name: string;
  check(project: Project): Violation[];
}

const code = /\.(ts|mts|tsx|js|mjs)$/;
const ignored = new Set(["node_modules", "dist", "coverage", ".git", ".ringback"]);

export class Project {
  readonly #files: ReadonlyMap<string, string>;
  readonly #parsed: Map<string, Source> = new Map();

  constructor(files: ReadonlyMap<string, string>) {
    this.#files = files;
  }

  /** Paths from the project's root, with forward slashes, sorted. */
  paths(under = ""): string[] {
    return [...this.#files.keys()].filter((path) => path.startsWith(under)).sort();
  }

  has(path: string): boolean {
    return this.#files.has(path);
  }

  text(path: string): string {
    const text = this.#files.get(path);
    if (text === undefined) throw new Error(`The project has no file ${path}.`);
    return text;
  }

  /** Parsed program files. */
  sources(under = ""): Source[] {
    return this.paths(under).flatMap((path) => (code.test(path) ? [this.source(path)] : []));
  }

  source(path: string): Source {
    let source = this.#parsed.get(path);
    if (source === undefined) this.#parsed.set(path, (source = parse(path, this.text(path))));
    return source;
  }
}

/** Reads every text file under `root`, git or no git, so that a file not yet added is judged too. */
export function readProject(root: string): Project {
  const files = new Map<string, string>();
  const visit = (folder: string): void => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      if (ignored.has(entry.name)) continue;
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory()) visit(path);
      else if (entry.isFile()) {
        const bytes = readFileSync(join(root, path));
        if (!bytes.includes(0)) files.set(path, bytes.toString("utf8"));
      }
    }
  };
  visit("");
  return new Project(files);
}
