// The hooks for `import`. Node calls them in its own thread where it can, and in another where it cannot: each works both ways, with what
// the next hook gives as it is or as a promise.

import { pathToFileURL } from "node:url";
import { type Emitter, read } from "./emit.ts";
import { fileOf, formatOf, isInstalled, isTypeScript, languageOf } from "./language.ts";
import { fileFor, isPath, typedFor } from "./locate.ts";

type Soon<T> = T | Promise<T>;

export interface Resolved {
  readonly url: string;
}
export interface ResolveContext {
  readonly parentURL?: string;
  readonly conditions?: readonly string[];
}
export interface Loaded {
  readonly format?: string | null;
  readonly source?: unknown;
  readonly shortCircuit?: boolean;
}

export interface ImportHooks {
  resolve(specifier: string, context: ResolveContext, next: (specifier: string, context: ResolveContext) => Soon<Resolved>): Soon<Resolved>;
  load(url: string, context: object, next: (url: string, context: object) => Soon<Loaded>): Soon<Loaded>;
}

export function importHooks(emitter: Emitter): ImportHooks {
  /** The file that the process was started with. */
  let main: string | null = null;
  return {
    resolve(specifier, context, next) {
      const parent = fileOf(context.parentURL);
      const isRequired = context.conditions?.includes("require") === true; // Node's newer hooks hear of both; that one is done elsewhere
      if (isRequired || (parent !== null && isInstalled(parent))) return next(specifier, context);
      const path = parent !== null && isPath(specifier) ? fileOf(new URL(specifier, context.parentURL).href) : null;
      const own = path !== null && parent !== null && isTypeScript(parent) ? typedFor(path) : null;
      const found =
        own !== null
          ? next(pathToFileURL(own).href, context)
          : attempt(
              () => next(specifier, context),
              (error) => {
                const meant = path ?? fileOf((error as { readonly url?: string }).url);
                const file = meant === null ? null : fileFor(meant);
                if (file === null) throw error;
                return next(pathToFileURL(file).href, context);
              },
            );
      return context.parentURL === undefined
        ? after(found, (resolved) => {
            main ??= resolved.url;
            return resolved;
          })
        : found;
    },
    load(url, context, next) {
      const file = fileOf(url);
      const language = file === null ? null : languageOf(file);
      if (file === null || language === null) return next(url, context);
      if (language.isForeign) {
        const text = read(file);
        const format = formatOf(file, text, language);
        if (format === "module") return { format, source: emitter.emit(file, text, format, language), shortCircuit: true };
        // `require` loads it, as the process's own file too, so that there is one of it.
        if (url === main) return { format, source: null, shortCircuit: true };
        return { format: "module", source: facade(file, emitter.emit(file, text, format, language)), shortCircuit: true };
      }
      return after(next(url, context), (loaded) => {
        const { format, source } = loaded;
        if (format !== "module" || source == null || !emitter.concerns(file, textOf(source))) return loaded;
        // From the file: another loader may have changed what it gives.
        return { ...loaded, source: emitter.emit(file, read(file), format, language) };
      });
    },
  };
}

/** A module with what `require` gives for the file, under the names that the compiler lists. */
function facade(file: string, code: string): string {
  const listed = /\n0 && \(module\.exports = \{([^}]*)\}\);/.exec(code)?.[1] ?? "";
  const names = [...listed.matchAll(/^ {2}([\w$]+),?$/gm)].map((match) => match[1] as string).filter((name) => name !== "default");
  const values = names.map((name, index) => `const _${index} = _.${name}; export { _${index} as ${name} };`);
  return [
    'import { createRequire } from "node:module";',
    `const _ = createRequire(import.meta.url)(${JSON.stringify(file)}); export default _;`,
    ...values,
  ].join(" ");
}

function textOf(source: unknown): string {
  return typeof source === "string" ? source : Buffer.from(source as Uint8Array).toString("utf8");
}

function after<T, R>(value: Soon<T>, go: (value: T) => Soon<R>): Soon<R> {
  return value instanceof Promise ? value.then(go) : go(value);
}

function attempt<T>(work: () => Soon<T>, failed: (error: unknown) => Soon<T>): Soon<T> {
  try {
    const value = work();
    return value instanceof Promise ? value.catch(failed) : value;
  } catch (error) {
    return failed(error);
  }
}
