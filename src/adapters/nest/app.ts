// One app's engine, from the making of its container to its end.
//
// NL1. All code that the app has for runs is registered before anything can ask the engine to run it, and before it is opened.
// NL2. A closing app ends its steps while what they use is there, and takes callbacks for as long as it listens.

import { Logger } from "@nestjs/common";
import type { ApplicationConfig, DiscoveryService, HttpAdapterHost } from "@nestjs/core";
import { badArgument } from "../../core/argument.ts";
import { WorkflowEngine } from "../../context.ts";
import { createEngine, type Engine, type EngineOptions } from "../../index.ts";
import { checkConstructors, type Class, discover, isWorkflow } from "./discover.ts";
import { mount, publicPath } from "./door.ts";
import { baseOf, defaultPath, type DurableModuleOptions, rootOf } from "./option.ts";
import { optionsToken } from "./token.ts";

export class DurableApp {
  readonly engine: Engine;
  readonly workflowEngine: WorkflowEngine;
  readonly #discovery: DiscoveryService;
  readonly #listed: readonly Class[];
  readonly #options: DurableModuleOptions;
  /** Where callbacks come in; null where there is no HTTP. */
  #callbacks: (() => string) | null = null;
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
    // Which of the classes are providers, whose instances the container makes, is known when it has made all.
    this.#listed = Array.isArray(workflows) ? workflows.filter((each): each is Class => isWorkflow(each)) : [];
    const others = this.#listed.length === 0 ? workflows : workflows.filter((each) => !isWorkflow(each));
    this.workflowEngine = new WorkflowEngine(this.engine, { workflows: others });
    this.#options = options;
    this.#discovery = discovery;
    this.#graceMs = shutdownTimeoutMs;
    if (transport !== undefined && logger !== false)
      logger.warn(
        "ringback: DurableModule's option transport has no effect: steps run where their runs do, and the store carries the rest",
      );
    const { ingress } = this.engine;
    const root = rootOf(path);
    const prefix = (): string => config.getGlobalPrefix();
    const gated = admin ? { handler: this.engine.admin, root: rootOf(admin.path) } : null;
    // A testing module has its adapter only when an app is made of it; a context without HTTP never has one.
    host.init$.subscribe(() => {
      if (!host.httpAdapter) return;
      mount(host.httpAdapter, { ingress, root, admin: gated, prefix, base: baseOf(options)?.pathname ?? "" });
      this.#callbacks = () => publicPath(root, prefix());
    });
  }

  /** The module is global, so that its hook comes before those of the modules that may start runs in theirs (NL1). */
  onModuleInit(): void {
    const { workflows, steps } = discover(this.#discovery, this.#listed);
    this.workflowEngine.registerSteps(...steps);
    this.workflowEngine.register(...workflows);
    this.#warn(workflows.length + (this.#options.workflows?.length ?? 0) > 0);
  }

  onApplicationBootstrap(): Promise<void> {
    if (this.#callbacks && this.#options.logger !== false) new Logger("Ringback").log(`Mapped {${this.#callbacks()}, POST} for callbacks`);
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

  /** A URL that is undefined shows late: when the first provider is to call it. */
  #warn(hasWorkflows: boolean): void {
    const { webhookUrl, logger = new Logger("Ringback") } = this.#options;
    if (webhookUrl || baseOf(this.#options) !== undefined || !hasWorkflows || this.engine.core.parts.role !== "worker" || !logger) return;
    logger.warn(
      "ringback: hook.url is undefined: give DurableModule webhookUrl or baseUrl, or set RINGBACK_BASE_URL; baseUrl: null says that none is needed",
    );
  }

  #leftMs(): number {
    this.#closesAt ??= Date.now() + this.#graceMs;
    return Math.max(0, this.#closesAt - Date.now());
  }
}

/** An app that makes no URLs needs no base URL, in production either. */
function engineOptions(options: DurableModuleOptions): EngineOptions {
  const { workflows: _workflows, path, shutdownTimeoutMs: _grace, transport: _transport, drive, admin, ...rest } = options;
  const base = baseOf(options);
  const isWithout = !rest.webhookUrl && base === undefined && process.env["NODE_ENV"] === "production";
  return {
    ...rest,
    ...(base && !rest.webhookUrl ? { webhookUrl: urlsBelow(base, path) } : {}),
    ...(drive === undefined ? {} : { role: drive ? "worker" : "ingress" }),
    ...(admin?.authorize ? { admin: { authorize: admin.authorize } } : {}),
    ...(isWithout ? { baseUrl: null } : {}),
  };
}

function urlsBelow({ origin, pathname }: URL, path: string = defaultPath): (token: string) => string {
  const root = origin + pathname.replace(/\/$/, "") + rootOf(path);
  return (token) => root + token;
}
