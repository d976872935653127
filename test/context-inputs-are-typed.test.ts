// What the compiler says of the context style: inputs and outputs are those of the workflow or step that a reference stands for.
//
// The compiler proves it; what stands outside of tests is never run.

import { expectTypeOf, test } from "vitest";
import { z } from "zod";
import {
  defineWorkflow,
  type FunctionWorkflow,
  remoteStep,
  Step,
  Workflow,
  type WorkflowCtx,
  type WorkflowEngine,
  type WorkflowInput,
  type WorkflowOutput,
} from "../src/runtime/context.ts";
import type { RunHandle } from "../src/engine/run-handle.ts";

interface Order {
  readonly id: string;
  readonly total: number;
}

@Workflow({ name: "typed-checkout" })
class Checkout {
  readonly psp: object;
  constructor(psp: object) {
    this.psp = psp;
  }
  async run(_ctx: WorkflowCtx, order: Order): Promise<{ id: string }> {
    return { id: order.id };
  }
}
@Workflow({ name: "typed-daily" })
class Daily {
  run(): number {
    return 1;
  }
}
const approve = defineWorkflow({ name: "typed-approve" }, async (_ctx, request: { by: string }) => request.by.length > 0);
const tick = defineWorkflow({ name: "typed-tick" }, (ctx) => ctx.now());

class Payments {
  @Step()
  async charge(order: Order): Promise<{ charge: string }> {
    return { charge: order.id };
  }
  @Step()
  refund(_undo: { readonly input: Order; readonly output: { charge: string } }): void {}
  @Step()
  ship(_undo: { readonly input: { parcel: string }; readonly output: unknown }): void {}
  @Step()
  async count(): Promise<number> {
    return 1;
  }
  @Step()
  async find(id: string = "any"): Promise<string> {
    return id;
  }
  // @ts-expect-error -- a step takes one input
  @Step()
  async pay(_order: Order, cents: number): Promise<number> {
    return cents;
  }
}
const payments = new Payments();
const mail = remoteStep({
  name: "typed-mail",
  input: z.object({ to: z.string(), n: z.coerce.number<string>() }),
  output: z.object({ sent: z.boolean() }),
});

test("a workflow's input and output are read off its class or its function", () => {
  expectTypeOf<WorkflowInput<typeof Checkout>>().toEqualTypeOf<Order>();
  expectTypeOf<WorkflowOutput<typeof Checkout>>().toEqualTypeOf<{ id: string }>();
  expectTypeOf(approve).toEqualTypeOf<FunctionWorkflow<{ by: string }, boolean>>();
  expectTypeOf<WorkflowOutput<typeof approve>>().toEqualTypeOf<boolean>();
});

export async function starts(engine: WorkflowEngine): Promise<void> {
  expectTypeOf(await engine.start(Checkout, { id: "1", total: 2 })).toEqualTypeOf<RunHandle<{ id: string }>>();
  expectTypeOf(await engine.start(approve, { by: "ana" }, "id", { version: "1" })).toEqualTypeOf<RunHandle<boolean>>();
  expectTypeOf(await engine.start(Daily)).toEqualTypeOf<RunHandle<number>>();
  expectTypeOf(await engine.start(tick, undefined, "tick-1")).toEqualTypeOf<RunHandle<number>>();
  expectTypeOf(await engine.start("by-name", { any: "thing" })).toEqualTypeOf<RunHandle<unknown>>();
  expectTypeOf(await engine.start<number>("by-name")).toEqualTypeOf<RunHandle<number>>();
  const { run } = await engine.signalWithStart(approve, { by: "ana" }, "id", { token: "t" });
  expectTypeOf(run).toEqualTypeOf<RunHandle<boolean>>();
  // @ts-expect-error -- a total is a number
  await engine.start(Checkout, { id: "1", total: "2" });
  // @ts-expect-error -- it takes an order
  await engine.start(Checkout);
  // @ts-expect-error -- it takes a request
  await engine.start(approve, 5);
  // @ts-expect-error -- not a workflow
  await engine.start(Payments, 5);
  // @ts-expect-error -- it takes a request
  await engine.signalWithStart(approve, 5, "id", { token: "t" });
}

export async function children(ctx: WorkflowCtx): Promise<void> {
  expectTypeOf(await ctx.child(Checkout, { id: "1", total: 2 })).toEqualTypeOf<{ id: string }>();
  expectTypeOf(await ctx.child(Daily)).toEqualTypeOf<number>();
  expectTypeOf(await ctx.child<string>("by-name", 5)).toEqualTypeOf<string>();
  expectTypeOf(await ctx.startChild(approve, { by: "ana" }, "id")).toEqualTypeOf<string>();
  expectTypeOf(await ctx.all(approve, [{ by: "ana" }])).toEqualTypeOf<boolean[]>();
  expectTypeOf(await ctx.all([ctx.child(Daily), ctx.now()])).toEqualTypeOf<[number, number]>();
  // @ts-expect-error -- it takes a request
  await ctx.child(approve, { by: 5 });
  // @ts-expect-error -- each takes a request
  await ctx.all(approve, [{ by: "ana" }, { by: 5 }]);
}

export async function steps(ctx: WorkflowCtx): Promise<void> {
  const order: Order = { id: "1", total: 2 };
  expectTypeOf(await ctx.step("local", () => 5)).toEqualTypeOf<number>();
  expectTypeOf(await ctx.step("local", async () => "x", { compensate: (text) => text.length })).toEqualTypeOf<string>();
  expectTypeOf(await ctx.step(payments.charge, order, { compensate: payments.refund })).toEqualTypeOf<{ charge: string }>();
  expectTypeOf(await ctx.step(mail, { to: "ana", n: "5" })).toEqualTypeOf<{ sent: boolean }>();
  expectTypeOf(await ctx.step<number>("by-name", { any: "thing" }, { compensate: "undo" })).toEqualTypeOf<number>();
  await ctx.step(payments.charge, order, { compensate: ({ input, output }) => `${input.total} ${output.charge}` });
  await ctx.step(payments.charge, order, { compensate: remoteStep({ name: "takes-anything" }) });
  expectTypeOf(await ctx.step(payments.count)).toEqualTypeOf<number>();
  expectTypeOf(await ctx.step(payments.find)).toEqualTypeOf<string>();
  expectTypeOf(await ctx.step(payments.find, "id")).toEqualTypeOf<string>();
  await ctx.step(payments.count, undefined, { retries: 1, compensate: ({ output }) => output.toFixed() });
  // @ts-expect-error -- it takes an order
  await ctx.step(payments.charge);
  // @ts-expect-error -- it takes two
  await ctx.step(payments.pay, order);
  // @ts-expect-error -- a total is a number
  await ctx.step(payments.charge, { id: "1", total: "2" });
  // @ts-expect-error -- what it undoes took an order, no parcel
  await ctx.step(payments.charge, order, { compensate: payments.ship });
  // @ts-expect-error -- the schema takes a text
  await ctx.step(mail, { to: "ana", n: 5 });
  // @ts-expect-error -- there is no such option
  await ctx.step(payments.charge, order, { retry: 5 });
  // @ts-expect-error -- the output is a number
  await ctx.step("local", () => 5, { compensate: (text: string) => text });
}

export async function waits(ctx: WorkflowCtx, engine: WorkflowEngine): Promise<void> {
  const schema = z.object({ n: z.number() });
  expectTypeOf(await ctx.waitForSignal<Order>("t")).toEqualTypeOf<Order>();
  expectTypeOf(await ctx.onUpdate("u", { schema })).toEqualTypeOf<{ n: number }>();
  expectTypeOf(await ctx.webhook({ schema }).wait()).toEqualTypeOf<{ n: number }>();
  expectTypeOf(await ctx.sideEffect(async () => 5)).toEqualTypeOf<number>();
  expectTypeOf(await engine.getEvent<number>("r", "k")).toEqualTypeOf<number | undefined>();
  const won = await ctx.race({ text: ctx.waitForSignal<string>("t"), late: ctx.sleep(1) });
  if (won.key === "text") expectTypeOf(won.value).toEqualTypeOf<string>();
  // @ts-expect-error -- a schema's output is what is judged
  await ctx.onUpdate("u", { schema, validate: (n: string) => n });
}

export function declares(): void {
  class Wrong {
    // @ts-expect-error -- a step is a method
    @Step() field = 5;
  }
  expectTypeOf(new Wrong().field).toEqualTypeOf<number>();
}
