// Which files a process loads, by import or by require: those are watched.
//
// Two ways, because of two faults. Node before 22.15 has no hooks for both kinds of loading, but reports what it loads on the channel to its
// parent, as it does under `node --watch`; from 24 on that report also reaches the app's own worker threads, which do not expect it.

import module from "node:module";
import { fileURLToPath } from "node:url";

type Resolve = (specifier: string, context: unknown) => { readonly url: string };
interface Hooks {
  registerHooks?(hooks: { resolve(specifier: string, context: unknown, next: Resolve): { readonly url: string } }): unknown;
}
const { registerHooks } = module as Hooks;

/** What the environment of the process needs, where it is Node that reports. */
export const reportingEnvironment: NodeJS.ProcessEnv = registerHooks ? {} : { WATCH_REPORT_DEPENDENCIES: "1" };

/** In the process itself: tells each file, once. What it gives is told of an error in loading, for the file that was not there. */
export function followLoads(loaded: (file: string) => void): (error: unknown) => void {
  const known = new Set<string>();
  const note = (url: unknown): void => {
    const file = typeof url === "string" ? fileOf(url) : null;
    if (file === null || known.has(file)) return;
    known.add(file);
    loaded(file);
  };
  // It may come, and as what it is compiled from.
  const missed = (error: unknown): void => {
    const { url } = error as { readonly url?: unknown };
    if (typeof url !== "string") return;
    for (const each of [url, url.replace(/\.([cm]?)js$/, ".$1ts"), `${url}.ts`]) note(each);
  };
  registerHooks?.({
    resolve(specifier, context, next) {
      try {
        const found = next(specifier, context);
        note(found.url);
        return found;
      } catch (error) {
        missed(error);
        throw error;
      }
    },
  });
  return missed;
}

/** Beside the process: the files of Node's own report, paths of what was required and URLs of what was imported. */
export function reportedFiles(message: unknown): string[] {
  const { "watch:require": required = [], "watch:import": imported = [] } = (message ?? {}) as Record<string, unknown>;
  const all = [required, imported].flat().filter((each): each is string => typeof each === "string");
  return all.map(fileOf).filter((file) => file !== null);
}

/** Loaders put queries behind file URLs. */
function fileOf(address: string): string | null {
  if (address.startsWith("file://")) return fileURLToPath(address.replace(/[?#].*$/, ""));
  return address.includes(":") && !/^[a-z]:[\\/]/i.test(address) ? null : address;
}
