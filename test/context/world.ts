// Engines of the context style, in every mode of the functional suite.

import type { Engine, EngineOptions } from "../../src/wiring.ts";
import { WorkflowEngine, type WorkflowEngineOptions } from "../../src/context.ts";
import { createWorld, type Mode, type World } from "../harness.ts";

export interface ContextWorld extends Omit<World, "engine" | "start" | "restart"> {
  /** The engine to use next. */
  readonly engine: WorkflowEngine;
  /** Sends a body as a provider would. */
  post(url: string | undefined, body: unknown, headers?: Record<string, string>): Promise<Response>;
  /** Drops every engine as a crash would, and opens new ones, with other code where it is given. */
  restart(code?: WorkflowEngineOptions, options?: Partial<EngineOptions>): Promise<void>;
  /** Gives engines that `world.restart` has opened their code. */
  again(): void;
  readonly world: World;
}

/** Where webhooks of these engines are called. */
export const publicUrl = (token: string): string => `https://api.example/durable/api/webhooks/${token}`;

export async function createContextWorld(
  code: WorkflowEngineOptions,
  options: Partial<EngineOptions> & { mode?: Mode } = {},
): Promise<ContextWorld> {
  const world = await createWorld([], { webhookUrl: publicUrl, ...options });
  let now = code;
  let engines = new Map<Engine, WorkflowEngine>();
  const wrap = (): void => {
    engines = new Map(world.engines.map((engine) => [engine, new WorkflowEngine(engine, now)]));
  };
  wrap();
  return {
    ...world,
    world,
    get engines() {
      return world.engines;
    },
    get store() {
      return world.store;
    },
    get engine() {
      return engines.get(world.engine) as WorkflowEngine;
    },
    again: wrap,
    async post(url, body, headers = {}) {
      const token = String(url).slice(publicUrl("").length);
      const isText = typeof body === "string";
      const init = {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: isText ? body : JSON.stringify(body),
      };
      const response = await world.engine.ingress(new Request(`https://api.example/.well-known/workflow/v1/webhook/${token}`, init));
      await world.settled();
      return response;
    },
    async restart(code, options) {
      now = code ?? now;
      await world.restart(options);
      wrap();
      await world.settled();
    },
  };
}
