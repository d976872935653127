// What the compiler knows of portable workflows.

import { expectTypeOf, test } from "vitest";
import {
  createWorkflow,
  err,
  type ErrorsOf,
  match,
  ok,
  type PendingApproval,
  type PendingHook,
  pendingHook,
  type Result,
  TaggedError,
  type UnexpectedError,
} from "../src/portable.ts";

class NotFound extends TaggedError("NotFound")<{ id: string }> {}
class Refused extends TaggedError("Refused")<{ why: string }> {}

const deps = {
  find: async (id: string): Promise<Result<{ name: string }, NotFound>> => (id ? ok({ name: id }) : err(new NotFound({ id }))),
  pay: async () => pendingHook<{ ref: string }>("h"),
  ship: () => (Math.random() > 2 ? err("NO_STOCK") : ok(7)),
};

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
  expectTypeOf(result).toEqualTypeOf<Result<string, NotFound | "NO_STOCK" | PendingHook | PendingApproval | UnexpectedError>>();
});

test("a forgotten tag is a compile error", () => {
  const error = new NotFound({ id: "1" }) as NotFound | Refused;
  const text = TaggedError.match(error, { NotFound: ({ id }) => id, Refused: ({ why }) => why });
  expectTypeOf(text).toEqualTypeOf<string>();
  // @ts-expect-error -- Refused is missing
  expectTypeOf(() => TaggedError.match(error, { NotFound: ({ id }: NotFound) => id })).toBeFunction();
  expectTypeOf(match(ok(1) as Result<number, "E">, { ok: (n) => n, err: (e) => e })).toEqualTypeOf<number | "E">();
});
