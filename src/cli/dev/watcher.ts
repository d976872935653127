// Tells when one of some files has other content than before. Folders are watched, not files: editors put a new file in an old one's place.

import { createHash } from "node:crypto";
import { type FSWatcher, readFileSync, watch } from "node:fs";
import { dirname, join, sep } from "node:path";

/** Editors write in several goes. */
const settleMs = 50;

export class Watcher {
  readonly #folders = new Map<string, FSWatcher>();
  /** What each file held last; null where it is not there. */
  readonly #contents = new Map<string, string | null>();
  readonly #changed: (file: string) => void;
  readonly #pending = new Set<string>();
  #timer: NodeJS.Timeout | null = null;

  constructor(changed: (file: string) => void) {
    this.#changed = changed;
  }

  /** Files of installed packages do not change. */
  add(file: string): void {
    if (this.#contents.has(file) || file.includes(`${sep}node_modules${sep}`)) return;
    this.#contents.set(file, contentOf(file));
    const folder = dirname(file);
    if (this.#folders.has(folder)) return;
    try {
      const watching = watch(folder, { persistent: false }, (_event, name) => this.#touched(folder, name));
      watching.on("error", () => this.#folders.delete(folder));
      this.#folders.set(folder, watching);
    } catch {
      // The folder is gone, or the system has no watches left: the file is run, and not watched.
    }
  }

  close(): void {
    if (this.#timer) clearTimeout(this.#timer);
    for (const watching of this.#folders.values()) watching.close();
    this.#folders.clear();
  }

  /** Some systems do not say which file it was. */
  #touched(folder: string, name: string | null): void {
    const files = name === null ? [...this.#contents.keys()].filter((file) => dirname(file) === folder) : [join(folder, name)];
    for (const file of files) if (this.#contents.has(file)) this.#pending.add(file);
    if (this.#pending.size === 0) return;
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#compare(), settleMs);
  }

  #compare(): void {
    const files = [...this.#pending];
    this.#pending.clear();
    let first: string | null = null;
    for (const file of files) {
      const content = contentOf(file);
      if (content === this.#contents.get(file)) continue;
      this.#contents.set(file, content);
      first ??= file;
    }
    if (first !== null) this.#changed(first);
  }
}

function contentOf(file: string): string | null {
  try {
    return createHash("sha256").update(readFileSync(file)).digest("base64");
  } catch {
    return null;
  }
}
