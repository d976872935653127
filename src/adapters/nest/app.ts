// One app's engine, from the making of its container to its end.
//
// NL1. All code that the app has for runs is registered before anything can ask the engine to run it, and before it is opened.
// NL2. A closing app ends its steps while what they use is there, and takes callbacks for as long as it listens.

import { Logger } from "@nestjs/common";
import type { ApplicationConfig, DiscoveryService, HttpAdapterHost } from "@nestjs/core";
import { badArgument } from "../../core/argument.ts";
import { WorkflowEngine } from "../../context.ts";
import { createEngine, type Engine, type EngineOptions } from "../../index.ts";
import { checkConstructors, discover } from "./discover.ts";
import { mount } from "./door.ts";
import { defaultPath, type DurableModuleOptions, rootOf } from "./option.ts";
import { optionsToken } from "./token.ts";

export class DurableApp {
  readonly engine: Engine;
  readonly workflowEngine: WorkflowEngine;
  readonly #discovery: DiscoveryService;
  readonly #graceMs: number;
  #closesAt: number | null = null;

  constructor(options: DurableModuleOptions, discovery: DiscoveryService, host: HttpAdapterHost, config: ApplicationConfig) {
    if (discovery.getProviders().filter(({ token }) => token === optionsToken).length > 1)
      throw badArgument(
        "imports",
        options,
        "This app imports DurableModule twice. It has one engine: call forRoot() once, in the root module.",
      );
    checkConstructors(discovery);
    const { workflows = [], path = defaultPath, admin, transport, shutdownTimeoutMs = 10_000 } = options;
    const logger = options.logger ?? new Logger("Ringback");
    this.engine = createEngine({ ...engineOptions(options), logger });
    this.workflowEngine = new WorkflowEngine(this.engine, { workflows });
    this.#discovery = discovery;
    this.#graceMs = shutdownTimeoutMs;
    if (transport !== undefined && logger !== false)
      logger.warn(
        "ringback: DurableModule's option transport has no effect: steps run where their runs do, and the store carries the rest",
      );
    const { ingress } = this.engine;
    const doors = { ingress, root: rootOf(path), admin: admin ? { handler: this.engine.admin, root: rootOf(admin.path) } : null };
    // A testing module has its adapter only when an app is made of it; a context without HTTP never has one.
    host.init$.subscribe(() => {
      if (host.httpAdapter) mount(host.httpAdapter, { ...doors, prefix: () => config.getGlobalPrefix() });
    });
  }

  /** The module is global, so that its hook comes before those of the modules that may start runs in theirs (NL1). */
  onModuleInit(): void {
    const { workflows, steps } = discover(this.#discovery);
    this.workflowEngine.registerSteps(...steps);
    this.workflowEngine.register(...workflows);
  }

  onApplicationBootstrap(): Promise<void> {
    return this.engine.open();
  }

  /** No step begins any more; deliveries are taken on (NL2). */
  async onModuleDestroy(): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => void (timer = setTimeout(resolve, this.#leftMs())));
    await Promise.race([this.engine.core.steps.drain(), late]);
    clearTimeout(timer);
  }

  /** By now the app listens no more. */
  onApplicationShutdown(): Promise<void> {
    return this.engine.close({ graceMs: this.#leftMs() });
  }

  #leftMs(): number {
    this.#closesAt ??= Date.now() + this.#graceMs;
    return Math.max(0, this.#closesAt - Date.now());
  }
}

/** An app that makes no URLs needs no base URL, in production either. */
function engineOptions(options: DurableModuleOptions): EngineOptions {
  const { workflows: _workflows, path: _path, shutdownTimeoutMs: _grace, transport: _transport, drive, admin, ...rest } = options;
  const { NODE_ENV, RINGBACK_BASE_URL } = process.env;
  const isWithout = !rest.webhookUrl && rest.baseUrl === undefined && !RINGBACK_BASE_URL && NODE_ENV === "production";
  return {
    ...rest,
    ...(drive === undefined ? {} : { role: drive ? "worker" : "ingress" }),
    ...(admin?.authorize ? { admin: { authorize: admin.authorize } } : {}),
    ...(isWithout ? { baseUrl: null } : {}),
  };
}
