// Functions with a directive that came to run time as their author wrote them: no tool has compiled their file.

import { Session } from "node:inspector";
import { findSourceMap } from "node:module";
import { fileURLToPath } from "node:url";
import { RingbackError } from "../core/errors.ts";

const head = /^[^{]*\{(?:\s|\/\/[^\n]*\n|\/\*[\s\S]*?\*\/)*(["'])use (workflow|step)\1/;
const slot: unique symbol = Symbol.for("ringback/inspected") as never;

/** The name under which this copy is installed: its own, or an alias. */
const installedAs: string = /node_modules[\\/]((?:@[^\\/]+[\\/])?[^\\/]+)[\\/]dist[\\/]/.exec(import.meta.url)?.[1] ?? "ringback";

/** The directive that a function still has, since nothing made it a workflow or a step; null for all other values. */
export function directiveLeftIn(value: unknown): "use workflow" | "use step" | null {
  if (typeof value !== "function") return null;
  const kind = head.exec(Function.prototype.toString.call(value))?.[2];
  return kind === undefined ? null : kind === "step" ? "use step" : "use workflow";
}

export function notCompiled(value: { readonly name: string }, directive: string): RingbackError<"not_compiled"> {
  const name = value.name || "anonymous";
  const place = placeOf(value);
  const message = `Function ${name}${place === null ? "" : ` of ${place}`} says "${directive}", but its file was not compiled, so it would run as plain code. Start the process with "node --import ${installedAs}/register", or put the plugin (${installedAs}/vite, ${installedAs}/next …) into the tool that builds this file, and see that it takes this file in.`;
  return new RingbackError("not_compiled", message, { details: { function: name, directive, file: place } });
}

/** `file:line`, as the platform's own inspector tells it; null where it does not. For errors alone: it costs milliseconds. */
function placeOf(value: unknown): string | null {
  const session = new Session();
  try {
    session.connect();
    const urls = new Map<string, string>();
    session.on("Debugger.scriptParsed", ({ params }) => urls.set(params.scriptId, params.url));
    session.post("Debugger.enable");
    let place: string | null = null;
    Reflect.set(globalThis, slot, value);
    session.post("Runtime.evaluate", { expression: 'globalThis[Symbol.for("ringback/inspected")]' }, (_, found) => {
      const objectId = found?.result.objectId;
      if (objectId === undefined) return;
      session.post("Runtime.getProperties", { objectId, ownProperties: true }, (_error, { internalProperties = [] }) => {
        const at = internalProperties.find(({ name }) => name === "[[FunctionLocation]]")?.value?.value as
          | { readonly scriptId: string; readonly lineNumber: number; readonly columnNumber: number }
          | undefined;
        const url = at && urls.get(at.scriptId);
        if (at && url) place = authored(url, at);
      });
    });
    return place;
  } catch {
    return null;
  } finally {
    Reflect.deleteProperty(globalThis, slot);
    session.disconnect();
  }
}

/** Another tool may have compiled the file, and left a map. */
function authored(url: string, { lineNumber, columnNumber }: { readonly lineNumber: number; readonly columnNumber: number }): string {
  const file = url.startsWith("file:") ? fileURLToPath(url) : url;
  const entry = findSourceMap(url)?.findEntry(lineNumber, columnNumber) as { readonly originalLine?: number } | undefined;
  return `${file}:${(entry?.originalLine ?? lineNumber) + 1}`;
}
