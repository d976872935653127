// `DurableModule` runs the workflows of a Nest app, with what its container has, and goes with the app's life.

import { Body, Controller, Injectable, Module, type ModuleMetadata, Param, Post } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { describe, expect, onTestFinished, test } from "vitest";
import { DurableModule, FatalError, Step, Workflow, WorkflowEngine, type WorkflowCtx } from "../src/nest.ts";
import { database, pathOf, platforms, settings, started } from "./nest/app.ts";

interface Paid {
  readonly status: "paid" | "failed";
  readonly ref: string;
}

@Injectable()
class Psp {
  readonly urls: (string | undefined)[] = [];
  create(url: string | undefined): void {
    this.urls.push(url);
  }
}

@Injectable()
class Stock {
  @Step()
  async reserve(item: string): Promise<string> {
    return `${item} reserved`;
  }
}

@Workflow({ name: "checkout", version: "1" })
class Checkout {
  readonly psp: Psp;
  readonly stock: Stock;
  constructor(psp: Psp, stock: Stock) {
    this.psp = psp;
    this.stock = stock;
  }
  async run(ctx: WorkflowCtx, order: { item: string }): Promise<{ ref: string; stock: string }> {
    const hook = ctx.webhook<Paid>();
    await ctx.step("start-payment", () => this.psp.create(hook.url));
    const result = await hook.wait();
    if (result.status !== "paid") throw new FatalError(`payment ${result.ref} failed`, "payment_failed");
    return { ref: result.ref, stock: await ctx.step(this.stock.reserve, order.item) };
  }
}

@Controller("orders")
class Orders {
  readonly engine: WorkflowEngine;
  constructor(engine: WorkflowEngine) {
    this.engine = engine;
  }
  @Post(":id")
  async start(@Param("id") id: string, @Body() body: { item: string }): Promise<{ run: string }> {
    return { run: (await this.engine.start(Checkout, body, id)).runId };
  }
}

@Controller("webhooks")
class Webhooks {
  readonly engine: WorkflowEngine;
  constructor(engine: WorkflowEngine) {
    this.engine = engine;
  }
  @Post(":token")
  async receive(@Param("token") token: string, @Body() body: unknown): Promise<{ ok: boolean }> {
    await this.engine.signal(token, body);
    return { ok: true };
  }
}

@Module({ providers: [Stock], exports: [Stock] })
class StockModule {}
@Module({ imports: [StockModule], providers: [Psp, Checkout], controllers: [Orders] })
class OrderModule {}

describe("a class that is named in the module's workflows", () => {
  @Workflow({ name: "bare" })
  class Bare {
    run(): string {
      return "made by the engine";
    }
  }
  @Workflow({ name: "injected" })
  class Injected {
    readonly stock: Stock;
    constructor(stock: Stock) {
      this.stock = stock;
    }
    run(ctx: WorkflowCtx): Promise<string> {
      return ctx.step(this.stock.reserve, "pen");
    }
  }
  test.each<[string, ModuleMetadata["providers"]]>([
    ["a provider, too", [Stock, Injected]],
    ["what a factory makes", [Stock, { provide: "any", inject: [Stock], useFactory: (stock: Stock) => new Injected(stock) }]],
  ])("and is %s, is called as the container made it; one that takes nothing needs no provider", async (_, providers = []) => {
    const imports = [DurableModule.forRoot({ ...settings, workflows: [Injected, Bare] })];
    const app = await NestFactory.createApplicationContext(
      { module: class Root {}, imports, providers },
      { logger: false, abortOnError: false },
    );
    onTestFinished(() => app.close());
    const engine = app.get(WorkflowEngine);
    expect(await (await engine.start(Bare, undefined)).returnValue).toBe("made by the engine");
    expect(await (await engine.start(Injected, undefined)).returnValue).toBe("pen reserved");
  });
});

describe.each(platforms)("on %s", (_, adapter) => {
  test("a workflow with injected services, started by a controller, is called back, after a restart", async () => {
    const store = database();
    const shop = () => {
      @Module({ imports: [DurableModule.forRoot({ ...settings, store }), OrderModule], controllers: [Webhooks] })
      class Shop {}
      return Shop;
    };
    const before = await started(shop(), adapter());
    expect(await (await before.post("/orders/o-1", { item: "pen" })).json()).toEqual({ run: "o-1" });
    await before.post("/orders/o-2", { item: "ink" });
    const urls = before.app.get(Psp).urls;
    await expect.poll(() => urls.length).toBe(2);
    await before.app.close();
    const after = await started(shop(), adapter());
    const engine = after.app.get(WorkflowEngine);
    expect((await after.post(pathOf(urls[0]), { status: "paid", ref: "p-1" })).status).toBe(202);
    expect(await engine.getRun("o-1").returnValue).toEqual({ ref: "p-1", stock: "pen reserved" });
    const own = await after.post(`/webhooks/${pathOf(urls[1]).split("/").at(-1)}`, { status: "failed", ref: "p-2" });
    expect([own.status, await own.json()]).toEqual([201, { ok: true }]);
    await expect(engine.getRun("o-2").returnValue).rejects.toMatchObject({ cause: { code: "payment_failed" } });
    expect(after.app.get(Psp).urls).toEqual([]);
  });
});
