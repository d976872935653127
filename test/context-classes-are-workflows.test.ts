// Workflow classes: one instance for all runs, what they inherit, and what cannot be registered.

import { describe, expect, test } from "vitest";
import { defineWorkflow, Workflow, WorkflowEngine, type WorkflowCtx } from "../src/runtime/context.ts";
import { createContextWorld } from "./context/world.ts";

describe("a class", () => {
  test("serves many runs at once with one instance, and goes on when another of its methods has changed", async () => {
    const shop = (fee: string) => {
      @Workflow({ name: "shop" })
      class Shop {
        count = 0;
        async run(ctx: WorkflowCtx, n: number): Promise<string> {
          await ctx.step("count", () => void this.count++);
          await ctx.waitForSignal(`go:${n}`);
          return this.priced(n);
        }
        priced(n: number): string {
          return `${n} ${fee}`;
        }
      }
      return new Shop();
    };
    class Changed {
      async run(ctx: WorkflowCtx, n: number): Promise<string> {
        await ctx.step("count", () => {});
        await ctx.waitForSignal(`go:${n}`);
        return this.other(n);
      }
      other(n: number): string {
        return `${n} changed`;
      }
    }
    Workflow({ name: "shop" })(Changed);
    const first = shop("first");
    const world = await createContextWorld({ workflows: [first] });
    for (const n of [1, 2, 3]) await world.engine.start("shop", n, `run-${n}`);
    await world.settled();
    expect(first.count).toBe(3);
    await world.engine.signal("go:1", null);
    await world.settled();
    await world.restart({ workflows: [new Changed()] });
    for (const n of [2, 3]) await world.engine.signal(`go:${n}`, null);
    await world.settled();
    const results = [1, 2, 3].map((n) => world.engine.getRun(`run-${n}`).returnValue);
    expect(await Promise.all(results)).toEqual(["1 first", "2 changed", "3 changed"]);
  });

  test("that extends a workflow needs a name of its own, and runs what it inherits", async () => {
    @Workflow({ name: "greet" })
    class Greet {
      greeting = "hello";
      run(ctx: WorkflowCtx, name: string): Promise<string> {
        return ctx.step("greet", () => `${this.greeting} ${name}`);
      }
    }
    class Nameless extends Greet {}
    @Workflow({ name: "greet-loud" })
    class Loud extends Greet {
      override greeting = "HELLO";
    }
    const world = await createContextWorld({ workflows: [Greet, Loud] });
    const { engine } = world;
    expect(() => engine.register(Nameless)).toThrow(/takes a class with @Workflow.*Nameless, which has no @Workflow\(\)/);
    expect(() => engine.register(new Nameless())).toThrow(/Nameless, which has no @Workflow\(\)/);
    const runs = [await engine.start(Greet, "ana"), await engine.start(Loud, "bo")];
    await world.settled();
    expect(await Promise.all(runs.map((run) => run.returnValue))).toEqual(["hello ana", "HELLO bo"]);
  });

  test("is registered once, by an instance where its constructor takes something", async () => {
    @Workflow({ name: "needy" })
    class Needy {
      readonly psp: object;
      constructor(psp: object) {
        this.psp = psp;
      }
      run(): void {}
    }
    const world = await createContextWorld({ workflows: [] });
    const { engine } = world;
    expect(() => engine.register(Needy)).toThrow(/Class Needy takes 1 argument: give engine\.register\(\) an instance, new Needy\(…\)/);
    const needy = new Needy({});
    engine.register(needy, needy);
    expect(() => engine.register(new Needy({}))).toThrow(/"needy" is registered with another instance of Needy/);
    for (const odd of [undefined, null, 5, "checkout", {}, () => {}])
      expect(() => engine.register(odd as never)).toThrow(/engine\.register\(\) takes a class with @Workflow/);
  });
});

test("two of one name are refused, with the class and the place of each", async () => {
  @Workflow({ name: "order" })
  class Order {
    run(): void {}
  }
  @Workflow({ name: "order" })
  class Return {
    run(): number {
      return 1;
    }
  }
  const here = String.raw`\S+context-classes-are-workflows\.test\.ts:\d+`;
  const { engine } = await createContextWorld({ workflows: [Order] });
  expect(() => engine.register(Return)).toThrow(
    new RegExp(`"order" and have version "1": one at ${here} \\(class Order\\), one at ${here} \\(class Return\\)\\.`),
  );
  expect(() => engine.register(defineWorkflow({ name: "order" }, () => 2))).toThrow(
    new RegExp(`\\(class Order\\), one at ${here}\\. Give each its own version`),
  );
});

test("an engine is made of what createEngine returned", async () => {
  const world = await createContextWorld({ workflows: [] });
  for (const odd of [undefined, null, {}, { store: "memory:" }])
    expect(() => new WorkflowEngine(odd as never)).toThrow(/new WorkflowEngine\(\) takes what createEngine\(\) returned/);
  const { engine } = world.world;
  expect(() => new WorkflowEngine(engine, { workflow: [] } as never)).toThrow(/no option "workflow"\. Did you mean "workflows"/);
  expect(() => new WorkflowEngine(engine, { steps: {} } as never)).toThrow(/\{ steps \}\) takes an array, got object/);
  await expect(world.engine.start("nobody", 1)).rejects.toThrow(/Workflow "nobody" is not registered/);
  await expect(world.engine.start({} as never)).rejects.toThrow(/takes a class with @Workflow.*got object/);
});
