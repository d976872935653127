// What an editor shows of portable workflows: names and literals, not how the compiler found them.

import { afterAll, beforeAll, expect, test } from "vitest";
import { type LanguageService, openLanguageService } from "./portable/language-service.ts";

const code = `
import { createWorkflow, err, match, ok, pendingHook, type Result, TaggedError, UnexpectedError } from "ringback/portable";

class NotFound extends TaggedError("NotFound")<{ id: string }> {}
class Declined extends TaggedError("Declined")<{ why: string }> {}
interface Order { id: string; item: string }

const load = async (id: string): Promise<Result<Order, NotFound>> => (id ? ok({ id, item: "book" }) : err(new NotFound({ id })));
const charge = async (order: Order): Promise<Result<number, Declined | "NO_FUNDS">> => ok(order.id.length);
const paid = async () => pendingHook<{ ref: string }>("h");
const ship = () => (Math.random() > 2 ? err("NO_STOCK") : ok({ parcel: 7 }));
const log = (text: string) => void text;

const workflow = createWorkflow("order", { load, charge, paid, ship, log });
const result = await workflow.run(async ({ step, deps }) => {
  const order = await step("load", () => deps.load("o-1"));
  const cents = await step("charge", () => deps.charge(order));
  const payment = await step("paid", deps.paid);
  const both = await step.all("both", { again: () => deps.load("o-2"), shipped: () => deps.ship() });
  const first = await step.race("first", { paid: () => deps.paid(), shipped: () => deps.ship() });
  const each = await step.map("each", ["a"], (id) => deps.load(id));
  console.log(first);
  return { order, cents, payment, both, each };
});
const ended = await workflow.runWithState(() => "done" as const);
const few = await createWorkflow("few", { load }).run(() => 1);
const none = await createWorkflow("none").run(() => 1);
if (!few.ok) {
  const error = few.error;
  console.error(error);
}
const text = match(few, { ok: (count) => count, NotFound: (missing) => missing.id, err: (rest) => rest instanceof UnexpectedError });
export { ended, none, result, text };
`;

let service: LanguageService;
beforeAll(async () => {
  service = await openLanguageService(code);
});
afterAll(() => service.close());

/** The parts of a union in order: the compiler has them as it came upon them. */
function sorted(text: string): string {
  return text.replace(/(?:[\w"]+ \| )+[\w"]+/g, (union) => union.split(" | ").toSorted().join(" | "));
}
const shown = async (name: string, after = "const workflow"): Promise<string> => sorted(await service.hover(name, after));

const waits = "PendingApproval | PendingHook";
const errors = '"NO_FUNDS" | "NO_STOCK" | Declined | NotFound | PendingHook';
const allErrors = '"NO_FUNDS" | "NO_STOCK" | Declined | NotFound | PendingApproval | PendingHook | UnexpectedError';

test("code of a browser project has no errors", async () => {
  expect(await service.errors()).toEqual([]);
});

test("the result of a run has the names of its errors", async () => {
  const value =
    "{ order: Order; cents: number; payment: { ref: string; }; both: { again: Order; shipped: { parcel: number; }; }; each: Order[]; }";
  expect(await shown("result")).toBe(`const result: Result<${value}, ${allErrors}>`);
  expect(await shown("ended")).toBe(`const ended: RunWithState<"done", ${allErrors}>`);
  expect(await shown("few")).toBe(`const few: Result<number, NotFound | ${waits} | UnexpectedError>`);
  expect(await shown("none")).toBe(`const none: Result<number, ${waits} | UnexpectedError>`);
  expect(await shown("error", "if (!few.ok)")).toBe(`const error: NotFound | ${waits} | UnexpectedError`);
  expect(await shown("workflow")).toContain(`Workflow<${errors}, { readonly load: (id: string) => Promise<Result<Order, NotFound>>;`);
});

test("a step has what it comes to", async () => {
  expect(await shown("order", "const result")).toBe("const order: Order");
  expect(await shown("cents")).toBe("const cents: number");
  expect(await shown("payment")).toBe("const payment: { ref: string; }");
  expect(await shown("both")).toBe("const both: { again: Order; shipped: { parcel: number; }; }");
  expect(await shown("first")).toBe("const first: { ref: string; } | { parcel: number; }");
  expect(await shown("each")).toBe("const each: Order[]");
  expect(await shown("step")).toBe(`(parameter) step: Step<${errors}>`);
});

test("each way on of a match has what it is given", async () => {
  expect(await shown("count")).toBe("(parameter) count: number");
  expect(await shown("missing")).toBe("(parameter) missing: NotFound");
  expect(await shown("rest")).toBe(`(parameter) rest: ${waits} | UnexpectedError`);
  expect(await shown("text")).toBe("const text: boolean | number | string");
});
