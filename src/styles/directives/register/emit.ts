// From an author's file to the JavaScript that the running Node takes: directives first, then types, JSX and `using`, by a real compiler.
//
// RG1. A position in what Node runs leads, through one map, to the author's own file, line and column.

import { existsSync, readFileSync, writeSync } from "node:fs";
import { basename, dirname, extname, join } from "node:path";
import { clearTimeout, setTimeout } from "node:timers";
import { fileURLToPath, pathToFileURL } from "node:url";
import remapping, { type EncodedSourceMap } from "@jridgewell/remapping";
import * as esbuild from "esbuild";
import { mayConcern } from "../transform/directive.ts";
import { Identities } from "../transform/identity.ts";
import { placeText, type Warning } from "../transform/notice.ts";
import { compile } from "../transform.ts";
import { type Format, isInstalled, type Language } from "./language.ts";

/** The compiler is a process of its own, which ends when nothing has been loaded for so long; an entry in the process table stays. */
const idleMs = 1_000;
const inlineMap = "//# sourceMappingURL=data:application/json;base64,";
const ownMap = /\/\/# sourceMappingURL=(\S+)\s*$/;
/** Where compiled code finds its runtime in a file that imports nothing of the package: the copy that this is part of. */
const runtime: URL = new URL(`../../../compiled${extname(new URL(import.meta.url).pathname)}`, import.meta.url);

export class Emitter {
  readonly #identities = new Identities();
  readonly #configs = new Map<string, string | null>();
  readonly #told = new Set<string>();
  #idle: NodeJS.Timeout | null = null;

  /** Whether JavaScript needs more than Node: it may hold directives, or what this Node does not know yet. Costs a search of the text. */
  concerns(file: string, text: string): boolean {
    return mayConcern(text) || (!isInstalled(file) && /\busing\s+[\w$[{]/.test(text));
  }

  /** Throws `bad_directive`, or a `SyntaxError`; each message begins with the place. */
  emit(file: string, text: string, format: Format, { loader }: Language): string {
    const given = ownMap.exec(text);
    const plain = given ? text.slice(0, given.index) : text;
    const [map, code] = this.#lower(file, this.#withDirectives(file, plain, format), format, loader);
    const { mappings, names } = JSON.parse(map) as EncodedSourceMap;
    const chained = withGiven({ version: 3, sources: [pathToFileURL(file).href], names, mappings }, given?.[1]);
    return `${code}${inlineMap}${Buffer.from(chained).toString("base64")}`;
  }

  #withDirectives(file: string, text: string, format: Format): string {
    if (!mayConcern(text)) return text;
    const compiled = compile({
      code: text,
      file,
      isEsm: format === "module",
      ...this.#identities.of(file),
      runtime: format === "module" ? runtime.href : fileURLToPath(runtime),
    });
    if (!compiled) return text;
    for (const warning of compiled.warnings) this.#tell(warning);
    return `${compiled.code}\n${inlineMap}${Buffer.from(JSON.stringify(compiled.map)).toString("base64")}`;
  }

  /** The map and the code. */
  #lower(file: string, contents: string, format: Format, loader: Language["loader"]): readonly [string, string] {
    const config = isInstalled(file) ? null : this.#configFor(dirname(file));
    this.#rest();
    return build({
      stdin: { contents, sourcefile: basename(file), resolveDir: dirname(file), loader },
      outfile: file,
      absWorkingDir: dirname(file),
      ...(config === null ? { tsconfigRaw: {} } : { tsconfig: config }),
      format: format === "module" ? "esm" : "cjs",
      target: `node${process.versions.node}`,
    });
  }

  /** The author's `tsconfig.json`: how JSX, decorators and class fields are meant. */
  #configFor(folder: string): string | null {
    const known = this.#configs.get(folder);
    if (known !== undefined) return known;
    const own = join(folder, "tsconfig.json");
    const parent = dirname(folder);
    const found = existsSync(own) ? own : parent === folder ? null : this.#configFor(parent);
    this.#configs.set(folder, found);
    return found;
  }

  /** Once for each place, however often its file is loaded. */
  #tell(warning: Warning): void {
    const line = `ringback: ${placeText(warning)}: ${warning.message}\n`;
    if (this.#told.has(line)) return;
    this.#told.add(line);
    try {
      writeSync(2, line); // at once: the thread that loads modules has no stderr of its own
    } catch {
      process.stderr.write(line);
    }
  }

  #rest(): void {
    if (this.#idle) clearTimeout(this.#idle);
    this.#idle = setTimeout(() => void esbuild.stop(), idleMs).unref();
  }
}

/** A file that another tool has made leads on to what it was made of, by the map that it names. */
function withGiven(map: EncodedSourceMap, address: string | undefined): string {
  if (address === undefined) return JSON.stringify(map);
  const [file] = map.sources as [string];
  try {
    const data = /^data:[^,]*;base64,(.*)$/.exec(address)?.[1];
    const text = data === undefined ? read(fileURLToPath(new URL(address, file))) : Buffer.from(data, "base64").toString("utf8");
    return remapping(map, (source) => (source === file ? text : null), true).toString();
  } catch {
    return JSON.stringify(map); // there is none
  }
}

function build(options: esbuild.BuildOptions): readonly [string, string] {
  try {
    const { outputFiles } = esbuild.buildSync({
      ...options,
      write: false,
      bundle: false,
      platform: "node",
      charset: "utf8",
      sourcemap: "external",
      sourcesContent: false,
      logLevel: "silent",
    });
    const [map, code] = outputFiles;
    return [map?.text ?? "{}", code?.text ?? ""];
  } catch (error) {
    throw readable(error, options.outfile ?? "");
  }
}

/** One line with the place, in place of the compiler's own trace. */
function readable(error: unknown, file: string): unknown {
  const [first] = (error as Partial<esbuild.BuildFailure>).errors ?? [];
  if (!first) return error;
  const place = first.location ? `${file}:${first.location.line}:${first.location.column + 1}` : file;
  return new SyntaxError(`${place}: ${first.text}`);
}

export function read(file: string): string {
  return readFileSync(file, "utf8");
}
