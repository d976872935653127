// An app's engine is its own: it begins with the app, knows all its code before it runs any, and ends its steps before what they use is gone.

import { type BeforeApplicationShutdown, type DynamicModule, Inject, Injectable, Module, type OnModuleInit } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { Test } from "@nestjs/testing";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { createWebhook, type Engine, workflow } from "../src/index.ts";
import {
  DURABLE_ENGINE,
  DurableModule,
  type DurableModuleOptions,
  defineWorkflow,
  Step,
  Workflow,
  WorkflowEngine,
  type WorkflowCtx,
} from "../src/nest.ts";
import { database, minted, platforms, settings, started, waits } from "./nest/app.ts";

afterEach(() => {
  vi.unstubAllEnvs();
});

/** An app without HTTP. */
async function context(...imports: readonly NonNullable<DynamicModule["imports"]>[number][]) {
  const app = await NestFactory.createApplicationContext(
    { module: class Root {}, imports: [...imports] },
    { logger: false, abortOnError: false },
  );
  onTestFinished(() => app.close());
  return app;
}

const durable = (options: DurableModuleOptions): DynamicModule => DurableModule.forRoot({ ...settings, ...options });

/** A step that tells where it stands, and goes on when it is let. */
class Gate {
  open!: () => void;
  reach!: () => void;
  readonly opened: Promise<void> = new Promise((resolve) => void (this.open = resolve));
  readonly reached: Promise<void> = new Promise((resolve) => void (this.reach = resolve));
}

const double = defineWorkflow({ name: "double" }, (ctx, n: number) => ctx.step("double", () => n * 2));

test("in a context without HTTP", async () => {
  const app = await context(durable({ workflows: [double] }));
  expect(await (await app.get(WorkflowEngine).start(double, 2)).returnValue).toBe(4);
});

test("in a testing module that never makes an app", async () => {
  const made = await Test.createTestingModule({ imports: [durable({ workflows: [double] })] }).compile();
  await made.init();
  expect(await (await made.get(WorkflowEngine).start(double, 2)).returnValue).toBe(4);
  await made.close();
});

test("two apps in one process have an engine each", async () => {
  const mine = defineWorkflow({ name: "mine" }, () => "mine");
  const first = (await context(durable({ workflows: [mine] }))).get(WorkflowEngine);
  const second = (await context(durable({}))).get(WorkflowEngine);
  const run = await first.start(mine, undefined);
  expect(await run.returnValue).toBe("mine");
  await expect(second.start(mine, undefined)).rejects.toMatchObject({ code: "workflow_not_registered" });
  expect([(await first.listRuns()).length, (await second.listRuns()).length]).toEqual([1, 0]);
});

test("NL1: whoever starts runs while the app begins finds all its workflows", async () => {
  @Injectable()
  class Prices {
    of(item: string): number {
      return item.length;
    }
  }
  @Workflow({ name: "price" })
  class Price {
    @Inject(Prices) readonly prices!: Prices;
    run(ctx: WorkflowCtx, item: string): Promise<number> {
      return ctx.step("price", () => this.prices.of(item));
    }
  }
  const found: unknown[] = [];
  @Injectable()
  class Starter implements OnModuleInit {
    @Inject(WorkflowEngine) readonly engine!: WorkflowEngine;
    async onModuleInit(): Promise<void> {
      found.push(await (await this.engine.start("price", "pen" as never)).returnValue);
    }
  }
  const made = {
    module: class Price2 {},
    providers: [Prices, { provide: "price", useFactory: (prices: Prices) => Object.assign(new Price(), { prices }), inject: [Prices] }],
  };
  await context({ module: class First {}, providers: [Starter] }, made, durable({}));
  expect(found).toEqual([3]);
});

test("the engine below is injected, too, and runs plain workflows", async () => {
  const plain = workflow("nest plain", async (n: number) => n + 1);
  const engine = (await context(durable({}))).get<Engine>(DURABLE_ENGINE);
  expect(await (await engine.start(plain, [1])).returnValue).toBe(2);
});

@Injectable()
class Options {
  createDurableOptions(): DurableModuleOptions {
    return { ...settings, workflows: [double] };
  }
}

describe("options from the app's container", () => {
  @Module({ providers: [{ provide: "config", useValue: { workflows: [double] } }, Options], exports: ["config", Options] })
  class Config {}
  const doubled = async (options: Parameters<typeof DurableModule.forRootAsync>[0]): Promise<unknown> =>
    (await (await context(DurableModule.forRootAsync(options))).get(WorkflowEngine).start(double, 4)).returnValue;

  test("by a factory", async () => {
    const useFactory = async (config: DurableModuleOptions) => ({ ...settings, ...config });
    expect(await doubled({ imports: [Config], inject: ["config"], useFactory })).toBe(8);
  });
  test("by a class, made by the module or by another one", async () => {
    expect(await doubled({ useClass: Options })).toBe(8);
    expect(await doubled({ imports: [Config], useExisting: Options })).toBe(8);
  });
});

describe("a process that runs nothing", () => {
  test("starts and delivers what another one runs", async () => {
    const store = database();
    const door = await context(durable({ store, workflows: [double], drive: false }));
    const { runId } = await door.get(WorkflowEngine).start(double, 8);
    expect(await door.get(WorkflowEngine).getRun(runId).state).toBe("pending");
    const worker = await context(durable({ store, workflows: [double], drive: true }));
    expect(await worker.get(WorkflowEngine).getRun(runId).returnValue).toBe(16);
  });
});

describe("what is told", () => {
  test("goes to Nest's logger, and what has no effect is told once", async () => {
    const lines: unknown[] = [];
    const tell = (line: unknown, ...rest: unknown[]): void => void lines.push([line, rest.at(-1)]);
    const fails = defineWorkflow({ name: "fails" }, () => {
      throw new Error("for a reason");
    });
    const imports = [durable({ workflows: [fails], transport: { bull: "mq" } })];
    const logger = { log() {}, warn: tell, error: tell };
    const app = await NestFactory.createApplicationContext({ module: class Root {}, imports }, { logger });
    onTestFinished(() => app.close());
    await (await app.get(WorkflowEngine).start(fails, undefined, "f-1")).returnValue.catch(() => {});
    expect(lines).toEqual([
      [expect.stringMatching(/^ringback: DurableModule's option transport has no effect: /), "Ringback"],
      [expect.stringMatching(/^ringback: run f-1 \(fails\) failed: .*for a reason/), "Ringback"],
    ]);
  });

  const { webhookUrl: _, ...withoutUrl } = settings;
  const bare = defineWorkflow({ name: "bare" }, (ctx) => String(ctx.webhook().url));

  /** The lines that contain `part`, of an app with these options. */
  async function told(part: string, options: DurableModuleOptions, prefix?: string): Promise<unknown[]> {
    const lines: unknown[] = [];
    const tell = (line: unknown, ...rest: unknown[]): void => void (String(line).includes(part) && lines.push([line, rest.at(-1)]));
    const logger = { log: tell, warn: tell, error: tell };
    await started(DurableModule.forRoot(options), platforms[0]![1](), (app) => prefix && app.setGlobalPrefix(prefix), { logger });
    return lines;
  }

  test("where callbacks come in, once, as the app begins", async () => {
    const line = (path: string): unknown => [`Mapped {${path}, POST} for callbacks`, "Ringback"];
    expect(await told("callbacks", settings)).toEqual([line("/durable/api/webhooks/:token")]);
    expect(await told("callbacks", { ...settings, path: "/hooks/" }, "/:tenant/api")).toEqual([line("/:tenant/api/hooks/:token")]);
    expect(await told("callbacks", { ...settings, logger: false })).toEqual([]);
  });

  test("that webhooks have no URL, once, where there are workflows and nothing says that none is wanted", async () => {
    const said = expect.stringMatching(/hook\.url is undefined: give DurableModule webhookUrl or baseUrl/) as string;
    const options = { ...withoutUrl, workflows: [bare] };
    expect(await told("hook.url", options)).toEqual([[said, "Ringback"]]);
    for (const without of [withoutUrl, { ...options, baseUrl: null }, { ...options, baseUrl: "http://x" }, { ...options, drive: false }])
      expect(await told("hook.url", without)).toEqual([]);
    vi.stubEnv("RINGBACK_BASE_URL", "https://shop.example");
    expect(await told("hook.url", options)).toEqual([]);
  });

  test("an app that makes no URLs starts in production, and what asks for one is told what to set", async () => {
    vi.stubEnv("NODE_ENV", "production");
    const plain = workflow("plain", async () => createWebhook().url);
    const app = await context(DurableModule.forRoot({ ...withoutUrl, workflows: [bare] }));
    expect(await (await app.get(WorkflowEngine).start(bare, undefined)).returnValue).toBe("undefined");
    const run = await app.get<Engine>(DURABLE_ENGINE).start(plain, []);
    await expect(run.returnValue).rejects.toMatchObject({
      cause: {
        code: "base_url_required",
        message: expect.stringMatching(/has no base URL\. Set RINGBACK_BASE_URL, or the option baseUrl/),
      },
    });
  });
});

describe("NL2: an app that closes", () => {
  let step: Gate;
  const told: string[] = [];

  @Injectable()
  class Database implements BeforeApplicationShutdown {
    beforeApplicationShutdown(): void {
      told.push("the database is closed");
    }
  }
  @Injectable()
  class Payments {
    @Inject(Database) readonly database!: Database;
    @Step({ name: "pay" })
    async pay(): Promise<void> {
      step.reach();
      await step.opened;
      told.push("paid");
    }
    @Step({ name: "ship" })
    ship(): string {
      told.push("shipped");
      return "shipped";
    }
  }
  @Workflow({ name: "order" })
  class Order {
    @Inject(Payments) readonly payments!: Payments;
    async run(ctx: WorkflowCtx): Promise<unknown> {
      await ctx.step(this.payments.pay, undefined as never);
      return ctx.step(this.payments.ship, undefined as never);
    }
  }
  const root = (store: string): DynamicModule => ({
    module: class Root {},
    imports: [durable({ store, workflows: [waits] })],
    providers: [Database, Payments, Order],
  });

  test.each(platforms)("ends its steps before what they use is gone, and takes callbacks meanwhile, on %s", async (_, adapter) => {
    told.length = 0;
    step = new Gate();
    const store = database();
    const before = await started(root(store), adapter());
    const engine = before.app.get(WorkflowEngine);
    const { token, run } = await minted(engine);
    await engine.start(Order, undefined as never, "o-1");
    await step.reached;
    const closed = before.app.close();
    const late = await before.post(`/durable/api/webhooks/${token}`, { late: true });
    step.open();
    await closed;
    expect([late.status, told]).toEqual([202, ["paid", "the database is closed"]]);
    const after = (await started(root(store), adapter())).app.get(WorkflowEngine);
    expect(await after.getRun("o-1").returnValue).toBe("shipped");
    expect(await after.getRun(run.runId).returnValue).toEqual({ late: true });
    expect(told).toEqual(["paid", "the database is closed", "shipped"]);
  });

  test("waits no longer than it is told", async () => {
    step = new Gate();
    const app = await context({ ...root(database()), imports: [durable({ shutdownTimeoutMs: 0 })] });
    await app.get(WorkflowEngine).start(Order, undefined as never);
    await step.reached;
    await app.close();
    await expect(app.get(WorkflowEngine).start(Order, undefined as never)).rejects.toMatchObject({ code: "engine_closed" });
    step.open();
  });
});
