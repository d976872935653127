// At which custom tokens a delivery may come before its hook.

import { badArgument, kindOf } from "../core/argument.ts";

/** Whether a token fits one of the patterns of `createEngine({ early })`, in which `*` stands for any text. Throws `bad_argument`. */
export function earlyTokens(option: string | readonly string[]): (token: string) => boolean {
  const patterns = typeof option === "string" ? [option] : option;
  if (!Array.isArray(patterns) || patterns.some((pattern) => typeof pattern !== "string" || pattern === ""))
    throw badArgument(
      "early",
      option,
      `createEngine({ early }) takes patterns of custom tokens, such as "slack:*", got ${kindOf(option)}.`,
    );
  const parts = patterns.map((pattern: string) => pattern.split("*"));
  return (token) => parts.some((pieces) => fits(token, pieces));
}

/** Whether the text is the pieces in their order, with anything between two of them. */
function fits(text: string, [first = "", ...rest]: readonly string[]): boolean {
  const last = rest.pop();
  if (last === undefined) return text === first;
  if (!text.startsWith(first)) return false;
  let at = first.length;
  for (const piece of rest) {
    const found = text.indexOf(piece, at);
    if (found === -1) return false;
    at = found + piece.length;
  }
  return text.length - last.length >= at && text.endsWith(last);
}
