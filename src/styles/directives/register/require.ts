// What `require` loads. Node has no hooks for it before 22.15, and other loaders take its place the same way, so all of them are done so.

import Module from "node:module";
import { dirname, resolve } from "node:path";
import { type Emitter, read } from "./emit.ts";
import { type Format, foreignEndings, formatOf, isInstalled, isTypeScript, languageOf } from "./language.ts";
import { fileFor, isPath, typedFor } from "./locate.ts";

interface Loading {
  readonly filename?: string | null;
}
type Compile = (this: Loading, content: string, filename: string, format?: string) => unknown;
type Resolve = (this: unknown, request: string, parent: Loading | null | undefined, ...rest: unknown[]) => string;

/** The parts of Node's loader that loaders replace. */
interface Loader {
  readonly _extensions: Record<string, (module: Loading, file: string) => void>;
  _resolveFilename: Resolve;
  readonly prototype: { _compile: Compile };
}

export function patchRequire(emitter: Emitter): void {
  const loader = Module as unknown as Loader;
  const { _resolveFilename: resolveFile, prototype } = loader;
  const { _compile: compile } = prototype;

  for (const ending of foreignEndings) {
    loader._extensions[ending] = (module, file) => {
      const language = languageOf(file);
      if (!language) return;
      const text = read(file);
      const format = formatOf(file, text, language);
      compile.call(module, emitter.emit(file, text, format, language), file, format);
    };
  }

  /** JavaScript, and what another loader has made of a file: its text is told apart by the directives, which all of them keep. */
  prototype._compile = function (content, filename, given) {
    const file = filename.replace(/[?#].*$/, "");
    const language = languageOf(file);
    if (!language || !emitter.concerns(file, content)) return compile.call(this, content, filename, given);
    const format: Format = given === "module" ? "module" : "commonjs";
    return compile.call(this, emitter.emit(file, read(file), format, language), filename, format);
  };

  loader._resolveFilename = function (request, parent, ...rest) {
    const from = parent?.filename;
    if (!from || isInstalled(from) || !isPath(request)) return resolveFile.call(this, request, parent, ...rest);
    const path = resolve(dirname(from), request);
    const own = isTypeScript(from) ? typedFor(path) : null;
    if (own !== null) return resolveFile.call(this, own, parent, ...rest);
    try {
      return resolveFile.call(this, request, parent, ...rest);
    } catch (error) {
      const file = (error as NodeJS.ErrnoException).code === "MODULE_NOT_FOUND" ? fileFor(path) : null;
      if (file === null) throw error;
      return resolveFile.call(this, file, parent, ...rest);
    }
  };
}
