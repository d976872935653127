// What the dev command and the process that runs the app say to each other.

import type { HookInfo } from "../../api.ts";

export type ToApp = { readonly type: "ping" } | { readonly type: "stop" };

export type FromApp =
  /** Its event loop turns. While somebody debugs it, it may well stand still. */
  | { readonly type: "pong"; readonly isDebugged: boolean }
  /** The app's file is still not through. */
  | { readonly type: "loading" }
  /** A file that is part of it. */
  | { readonly type: "loaded"; readonly file: string }
  | { readonly type: "serving"; readonly url: string; readonly store: string; readonly isOwnServer: boolean }
  /** Hooks that were not open before. */
  | { readonly type: "hooks"; readonly hooks: readonly OpenHook[] }
  /** It cannot go on; a change of the code does not help. */
  | { readonly type: "failed"; readonly line: string; readonly code: number };

export type OpenHook = Pick<HookInfo, "hookId" | "runId" | "workflowName" | "isWebhook" | "hasSchema" | "token" | "url">;

/** Anybody may speak on the channel: the app, Node itself. */
export function isFromApp(message: unknown): message is FromApp {
  const types: readonly unknown[] = ["pong", "loading", "loaded", "serving", "hooks", "failed"] satisfies FromApp["type"][];
  return types.includes((message as { readonly type?: unknown } | null)?.type);
}
