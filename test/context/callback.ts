// Callbacks in tests of the context style: where they go, and a workflow that waits for one.

import { defineWorkflow, type FunctionWorkflow } from "../../src/context.ts";

export const route = "/.well-known/workflow/v1/webhook/";
export const json = { "content-type": "application/json" };

/** A workflow that hands out its webhook's token and returns what comes. */
export function waiting(): { readonly waits: FunctionWorkflow<unknown, unknown>; readonly tokens: Map<string, string> } {
  const tokens = new Map<string, string>();
  const waits = defineWorkflow({ name: "waits" }, async (ctx) => {
    const hook = ctx.webhook();
    await ctx.step("hand out", () => void tokens.set(ctx.runId, hook.token));
    return hook.wait();
  });
  return { waits, tokens };
}

/** A callback as the public route gets it. */
export function request(token: string, headers: Record<string, string> = {}, body = "{}"): Request {
  return new Request(`https://api.example${route}${token}`, { method: "POST", headers: { ...json, ...headers }, body });
}
