// What the compiler knows of portable workflows: which errors a run may end with, what a hook brings, and which way on was forgotten.

import { describe, expect, expectTypeOf, test } from "vitest";
import { z } from "zod";
import {
  createWorkflow,
  type DefinedHook,
  defineHook,
  err,
  type Err,
  type ErrorsOf,
  type HookTimedOut,
  match,
  ok,
  type PendingApproval,
  type PendingHook,
  pendingApproval,
  pendingHook,
  type Result,
  TaggedError,
  UnexpectedError,
} from "../src/portable.ts";

class NotFound extends TaggedError("NotFound")<{ id: string }> {}
class RefusedByNobody extends TaggedError("RefusedByNobody") {}
class Refused extends TaggedError("Refused")<{ why: string }> {}

const deps = {
  find: async (id: string): Promise<Result<{ name: string }, NotFound>> => (id ? ok({ name: id }) : err(new NotFound({ id }))),
  pay: async () => pendingHook<{ ref: string }>("h"),
  ship: () => (Math.random() > 2 ? err("NO_STOCK") : ok(7)),
};
type Always = PendingHook | PendingApproval | UnexpectedError;

test("errors are inferred from what a workflow is made of, and payloads from what a hook declares", async () => {
  expectTypeOf<ErrorsOf<typeof deps>>().toEqualTypeOf<NotFound | PendingHook | "NO_STOCK">();
  const workflow = createWorkflow("typed", deps);
  const result = await workflow.run(async ({ step, deps: d }) => {
    const found = await step("find", () => d.find("a"));
    expectTypeOf(found).toEqualTypeOf<{ name: string }>();
    const paid = await step("pay", () => d.pay(), { key: "hook:h" });
    expectTypeOf(paid).toEqualTypeOf<{ ref: string }>();
    // @ts-expect-error -- no function of this workflow returns this error
    await step("other", () => err("OTHER" as const));
    return found.name;
  });
  expectTypeOf(result).toEqualTypeOf<Result<string, NotFound | "NO_STOCK" | Always>>();
});

test("the errors grow with a function that is added, and shrink with one that is taken away", async () => {
  const refuse = async (): Promise<Result<number, Refused | "DECLINED">> => ok(1);
  const wider = await createWorkflow("wider", { ...deps, refuse }).run(() => 1);
  expectTypeOf(wider).toEqualTypeOf<Result<number, NotFound | "NO_STOCK" | Refused | "DECLINED" | Always>>();
  const { find } = deps;
  const narrower = await createWorkflow("narrower", { find }).run(() => 1);
  expectTypeOf(narrower).toEqualTypeOf<Result<number, NotFound | Always>>();
  const bare = await createWorkflow("bare", {}).run(() => 1);
  expectTypeOf(bare).toEqualTypeOf<Result<number, Always>>();
  // A function that returns no result, and one that never returns, add none.
  const plain = await createWorkflow("plain", { add: (a: number, b: number) => a + b, log: () => {} }).run(() => 1);
  expectTypeOf(plain).toEqualTypeOf<Result<number, Always>>();
  const own = createWorkflow("own", { find }, { catchUnexpected: () => "BROKEN" as const });
  expectTypeOf(await own.run(() => 1)).toEqualTypeOf<Result<number, NotFound | "BROKEN" | PendingHook | PendingApproval>>();
});

test("each form of step has the type of what it comes to", async () => {
  await createWorkflow("forms", { ...deps, approve: async () => pendingApproval("a") }).run(async ({ step, deps: d }) => {
    expectTypeOf(step("plain", () => ok(1))).toEqualTypeOf<Promise<number>>();
    expectTypeOf(step("started", d.find("a"))).toEqualTypeOf<Promise<{ name: string }>>();
    expectTypeOf(step.try("try", () => JSON.stringify(1), { error: "NO_STOCK" })).toEqualTypeOf<Promise<string>>();
    expectTypeOf(step.retry("retry", () => d.find("a"), { attempts: 2 })).toEqualTypeOf<Promise<{ name: string }>>();
    const all = step.all("all", { found: () => d.find("a"), paid: () => d.pay(), shipped: () => d.ship() });
    expectTypeOf(all).toEqualTypeOf<Promise<{ found: { name: string }; paid: { ref: string }; shipped: number }>>();
    const raced = step.race("race", { paid: () => d.pay(), shipped: () => d.ship() });
    expectTypeOf(raced).toEqualTypeOf<Promise<{ ref: string } | number>>();
    expectTypeOf(step.map("map", ["a", "b"], (id) => d.find(id))).toEqualTypeOf<Promise<{ name: string }[]>>();
    expectTypeOf(step.sleep("sleep", 0)).toEqualTypeOf<Promise<void>>();
    // @ts-expect-error -- no function of this workflow returns this error
    void step.try("other", () => 1, { error: "OTHER" });
  });
});

test("a hook brings what it declares, and anything where it declares nothing", () => {
  expectTypeOf(pendingHook<{ ref: string }>("h")).toEqualTypeOf<Err<PendingHook, { ref: string }>>();
  expectTypeOf(pendingHook("h").error).toEqualTypeOf<PendingHook>();
  void createWorkflow("any", { wait: async () => pendingHook("h") }).run(async ({ step, deps: d }) => {
    expectTypeOf(await step("wait", () => d.wait())).toBeAny();
  });
});

test("a kind of hook brings what its schema makes of it, and a wait with a limit may end with its error", async () => {
  const paid = defineHook("inferred-payment", { schema: z.object({ ref: z.string(), cents: z.coerce.number() }) });
  const { hookId } = paid.create();
  expectTypeOf(paid.pending(hookId)).toEqualTypeOf<Err<PendingHook, { ref: string; cents: number }>>();
  const workflow = createWorkflow("kinds", {
    wait: async () => paid.pending(hookId),
    soon: async () => paid.pending(hookId, { timeout: "3d" }),
  });
  const result = await workflow.run(async ({ step, deps: d }) => {
    const payment = await step("wait", () => d.wait());
    expectTypeOf(payment).toEqualTypeOf<{ ref: string; cents: number }>();
    return payment.cents;
  });
  expectTypeOf(result).toEqualTypeOf<Result<number, HookTimedOut | Always>>();
  expectTypeOf(createWorkflow({ wait: async () => paid.pending(hookId) }).run(() => 1)).resolves.toEqualTypeOf<Result<number, Always>>();
  expectTypeOf<typeof defineHook<string>>().returns.toEqualTypeOf<DefinedHook<string>>();
});

test("an option that is undefined is one that was not given", async () => {
  const told: string[] = [];
  const onEvent = ({ kind }: { readonly kind: string }): void => void told.push(kind);
  const workflow = createWorkflow("options", deps, { onEvent, catchUnexpected: () => "BROKEN" as const });
  const nothing = {
    resumeState: undefined,
    input: undefined,
    deps: undefined,
    onEvent: undefined,
    checkpoint: undefined,
    clock: undefined,
  };
  const result = await workflow.run(async ({ step }) => {
    const options = { key: undefined, retry: undefined, compensate: undefined };
    await step("a", () => ok(1), options);
    const { key } = options;
    await step.retry("b", () => ok(1), {
      attempts: 1,
      key,
      backoff: undefined,
      initialDelay: undefined,
      maxDelay: undefined,
      shouldRetry: undefined,
    });
    await step.map("c", [1], () => ok(1), { concurrency: undefined, key });
    await step.sleep("d", 0, { key });
    await step.withFallback("e", () => ok(1), { fallback: () => ok(2), on: undefined, key });
    throw new RefusedByNobody(undefined, { message: undefined, cause: undefined });
  }, nothing);
  pendingHook("h", { metadata: undefined, timeout: undefined });
  pendingApproval("a", { reason: undefined, metadata: undefined });
  defineHook("inferred-any", { schema: undefined });
  expect(result).toMatchObject({ ok: false, error: "BROKEN" });
  expect(told.at(-1)).toBe("run_ended");
});

describe("match", () => {
  type Failure = NotFound | Refused | "NO_STOCK" | Always;
  const of = (error: Failure): Result<number, Failure> => err(error);
  const way = (result: Result<number, Failure>) =>
    match(result, {
      ok: (value) => value,
      NotFound: ({ id }) => `no ${id}`,
      Refused: ({ why }) => why,
      NO_STOCK: (error) => ({ error }),
      PENDING_HOOK: ({ hookId }) => hookId,
      PENDING_APPROVAL: ({ stepKey }) => stepKey,
      UnexpectedError: ({ cause }) => cause === 1,
    });

  test("has a way on for the value, and one for each tag, string and type", () => {
    expectTypeOf(way).returns.toEqualTypeOf<number | string | boolean | { error: "NO_STOCK" }>();
    const errors = [new NotFound({ id: "a" }), new Refused({ why: "late" }), "NO_STOCK", new UnexpectedError(1)] as const;
    expect([way(ok(5)), ...errors.map((error) => way(of(error)))]).toEqual([5, "no a", "late", { error: "NO_STOCK" }, true]);
    expect([way(pendingHook("h")), way(pendingApproval("boss"))]).toEqual(["h", "boss"]);
  });

  test("of two ways takes one", () => {
    const two = (result: Result<number, "E">) => match(result, { ok: (value) => value, err: (error) => error });
    expectTypeOf(two).returns.toEqualTypeOf<number | "E">();
    expect([two(ok(1)), two(err("E"))]).toEqual([1, "E"]);
  });

  test("gives `err` all that has no way of its own", () => {
    const some = (result: Result<number, Failure | { code: number }>) =>
      match(result, { ok: () => null, NotFound: () => 404, err: (rest) => rest });
    expectTypeOf(some).returns.toEqualTypeOf<null | number | Refused | "NO_STOCK" | Always | { code: number }>();
    expect([some(of(new NotFound({ id: "a" }))), some(of("NO_STOCK")), some(err({ code: 7 }))]).toEqual([404, "NO_STOCK", { code: 7 }]);
    // Errors that are called as the ways on are: their own way is `err`.
    const called = (error: "ok" | "err") => match(err(error) as Result<number, "ok" | "err">, { ok: () => 1, err: (rest) => rest });
    expect([called("ok"), called("err")]).toEqual(["ok", "err"]);
  });

  test("misses none: a way that is forgotten, or that nothing takes, is a compile error, and throws where it is not compiled", () => {
    const result = of("NO_STOCK") as Result<number, NotFound | "NO_STOCK" | { code: number }>;
    // @ts-expect-error -- NO_STOCK is missing, and what has no tag
    expect(() => match(result, { ok: () => 1, NotFound: () => 2 })).toThrow('match needs an arm "NO_STOCK".');
    // @ts-expect-error -- the same
    expect(() => match(err({ code: 1 }) as typeof result, { ok: () => 1, NotFound: () => 2, NO_STOCK: () => 3 })).toThrow(
      'match needs an arm "err".',
    );
    // @ts-expect-error -- there is no way on for a value
    expect(() => match(ok(1) as typeof result, { err: () => 1 })).toThrow('match needs an arm "ok".');
    // @ts-expect-error -- no error of the result is called so
    expect(match(result, { ok: () => 1, err: () => 2, NO_STOKC: () => 3 })).toBe(2);
    // A name that every object has is no way on.
    expect(match(err("toString") as Result<number, "toString">, { ok: () => 1, err: (error: unknown) => error } as never)).toBe("toString");
  });

  test("of an error alone is TaggedError.match", () => {
    const error = new NotFound({ id: "1" }) as NotFound | Refused;
    const text = TaggedError.match(error, { NotFound: ({ id }) => id, Refused: ({ why }) => why });
    expectTypeOf(text).toEqualTypeOf<string>();
    // @ts-expect-error -- Refused is missing
    expectTypeOf(() => TaggedError.match(error, { NotFound: ({ id }: NotFound) => id })).toBeFunction();
  });
});
