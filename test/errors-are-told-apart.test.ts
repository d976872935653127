// Errors are recognised by `X.is()` and `instanceof`, under our names and the Workflow DevKit's, from whatever copy of the package.

import { expect, test, vi } from "vitest";
import * as errors from "../src/errors.ts";
import { createHook, sleep, step, workflow } from "../src/index.ts";
import { createWorld } from "./harness.ts";

const { HookClosedError, HookConflictError, HookNotFoundError, RingbackError } = errors;

const caught = async (call: () => unknown): Promise<any> => {
  try {
    await call();
  } catch (error) {
    return error;
  }
  throw new Error("It did not throw.");
};

test("every class of the Workflow DevKit's `workflow/errors` is there to import", () => {
  // As `workflow` 4.8.9 exports them, then those that its 5.x line and `@workflow/errors` add.
  const names =
    "EntityConflictError HookConflictError HookNotFoundError PreconditionFailedError RunExpiredError RunNotSupportedError StepNotRegisteredError ThrottleError TooEarlyError WorkflowError WorkflowNotRegisteredError WorkflowRunCancelledError WorkflowRunFailedError WorkflowRunNotCompletedError WorkflowRunNotFoundError WorkflowRuntimeError WorkflowWorldError CorruptedEventLogError MaxEventsExceededError ReplayDivergenceError RuntimeDecryptionError SerializationError FatalError RetryableError";
  const exported: Record<string, unknown> = { ...errors };
  for (const name of names.split(" ")) {
    const found = exported[name] as typeof errors.WorkflowError;
    expect([typeof found.is, found.is(undefined), found.is(new Error("x")), {} instanceof found], name).toEqual([
      "function",
      false,
      false,
      false,
    ]);
  }
});

test("a class is for its own errors: another's are told apart", () => {
  const conflict = new HookConflictError("taken", { details: { token: "order:1", holder: "run-1" } });
  expect([HookConflictError.is(conflict), RingbackError.is(conflict), errors.WorkflowError.is(conflict)]).toEqual([true, true, true]);
  expect([HookNotFoundError.is(conflict), errors.RunFailedError.is(conflict), errors.ThrottleError.is(conflict)]).toEqual([
    false,
    false,
    false,
  ]);
  expect([conflict.token, conflict.conflictingRunId]).toEqual(["order:1", "run-1"]);
  // What is closed is not found either, and knows more.
  const closed = new HookClosedError("over", { details: { token: "t", run: "r", by: "ended", at: new Date(0) } });
  expect([
    HookNotFoundError.is(closed),
    closed instanceof HookNotFoundError,
    HookClosedError.is(closed),
    closed.code,
    closed.token,
  ]).toEqual([true, true, true, "hook_closed", "t"]);
  expect(HookClosedError.is(new HookNotFoundError("?", { details: { token: "t" } }))).toBe(false);
  expect([RingbackError.is(closed, "hook_closed"), RingbackError.is(closed, "hook_not_found")]).toEqual([true, false]);
  expect([closed, 1, null].filter((value) => RingbackError.is(value))).toEqual([closed]);
});

test("names that stand for codes: instanceof and is() agree", () => {
  const journal = new RingbackError("too_large", "x", { details: { what: "journal", limit: 1, actual: 2 } });
  const value = new RingbackError("too_large", "x", { details: { what: "the result", limit: 1, actual: 2 } });
  expect([errors.MaxEventsExceededError.is(journal), errors.MaxEventsExceededError.is(value)]).toEqual([true, false]);
  expect([journal instanceof errors.MaxEventsExceededError, value instanceof errors.MaxEventsExceededError]).toEqual([true, false]);
  const away = new RingbackError("store_unavailable", "x", { details: { store: "s" } });
  expect([errors.WorkflowWorldError.is(away), errors.WorkflowRuntimeError.is(away)]).toEqual([true, false]);
});

test("errors of another copy of the package, and of another realm, are recognised", async () => {
  vi.resetModules();
  const copy = await import("../src/runtime/errors.ts"); // its own classes, which no entry of a second copy hands on (RT1)
  expect(copy.HookNotFoundError).not.toBe(HookNotFoundError);
  const closed = new copy.HookClosedError("over", { details: { token: "t", run: "r", by: "ended", at: new Date(0) } });
  expect([HookNotFoundError.is(closed), HookClosedError.is(closed), HookConflictError.is(closed)]).toEqual([true, true, false]);
  expect(errors.FatalError.is(new copy.FatalError("no"))).toBe(true);
  expect(errors.RetryableError.is(new copy.RetryableError("later"))).toBe(true);
  const { runInNewContext } = await import("node:vm");
  expect(errors.FatalError.is(runInNewContext("Object.assign(new Error('x'), { fatal: true })"))).toBe(true);
  expect(errors.RetryableError.is(runInNewContext("Object.assign(new Error('x'), { name: 'RetryableError' })"))).toBe(true);
  expect(errors.FatalError.is({ fatal: true })).toBe(false);
  const hostile = new Proxy({}, { getPrototypeOf: () => { throw new Error("hostile"); }, get: () => { throw new Error("hostile"); } }); // biome-ignore format: one thought
  expect([errors.FatalError.is(hostile), RingbackError.is(hostile), HookNotFoundError.is(hostile)]).toEqual([false, false, false]);
});

test("calls throw what the Workflow DevKit's throw, with its fields", async () => {
  const waits = workflow("waits", async () => {
    using hook = createHook<string>({ token: "order:1" });
    return await hook;
  });
  const loses = workflow("loses", async () => {
    const error: unknown = await createHook({ token: "order:1" }).then(null, (thrown: unknown) => thrown);
    return HookConflictError.is(error) && [error.token, error.conflictingRunId];
  });
  const fails = workflow("fails", async () => {
    throw Object.assign(new RangeError("far"), { code: "E1" });
  });
  const misuses = workflow("misuses", async () => step.run("one", async () => 1).then(() => sleep("never")));
  const other = workflow("other", async () => 1);
  const world = await createWorld([waits, loses, fails, misuses]);
  const { engine } = world;
  const unknown = await caught(() => engine.resumeHook("order:2", 1));
  expect([HookNotFoundError.is(unknown), unknown.token]).toEqual([true, "order:2"]);
  const holder = await world.start(waits);
  expect(await (await world.start(loses)).returnValue).toEqual(["order:1", holder.runId]);
  await engine.resumeHook("order:1", "go");
  expect(await holder.returnValue).toBe("go");
  // "Resume or start" asks whether anybody waits; why nobody does, the class and its code tell.
  const over = await caught(() => engine.resumeHook("order:1", "go"));
  expect([HookNotFoundError.is(over), HookClosedError.is(over), over.details.by]).toEqual([true, true, "disposed"]);

  const failed = await world.start(fails);
  const failure = await caught(() => failed.returnValue);
  expect(errors.WorkflowRunFailedError.is(failure)).toBe(true);
  expect([failure.runId, failure.cause.code, failure.cause instanceof RangeError, failure.errorCode]).toEqual([
    failed.runId,
    "E1",
    true,
    errors.RUN_ERROR_CODES.USER_ERROR,
  ]);
  const misused = await caught(async () => (await world.start(misuses)).returnValue);
  expect([misused.cause.code, misused.errorCode]).toEqual(["bad_argument", "RUNTIME_ERROR"]);

  const parked = await world.start(waits);
  await parked.cancel();
  const cancelled = await caught(() => parked.returnValue);
  expect([errors.WorkflowRunCancelledError.is(cancelled), cancelled.runId]).toEqual([true, parked.runId]);
  const nobody = await caught(() => engine.getRun("nobody").status);
  expect([errors.WorkflowRunNotFoundError.is(nobody), nobody.runId]).toEqual([true, "nobody"]);
  const unregistered = await caught(() => engine.start(other));
  expect([errors.WorkflowNotRegisteredError.is(unregistered), unregistered.workflowName]).toEqual([true, "other"]);
});
