import { describe, expect, test } from "vitest";
import { createSerialiser } from "../src/core/serialise.ts";
import { limits } from "../src/core/limits.ts";
import { step, workflow } from "../src/index.ts";
import { createWorld, modesOfLength } from "./harness.ts";

function refuse(): never {
  throw new Error("not to be read");
}

function withGetters(...keys: string[]): Error {
  const error = new RangeError("readable");
  for (const key of keys) Object.defineProperty(error, key, { get: refuse, enumerable: true });
  return error;
}

function revoked(target: object): object {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}

const traps = ["get", "getPrototypeOf", "ownKeys", "getOwnPropertyDescriptor", "has"] as const;
const every = ["stack", "code", "message", "name", "constructor", "cause"];
/** Makers, since a value that was thrown once may be kept. */
const errors: { readonly [name: string]: () => unknown } = {
  ...Object.fromEntries(every.map((key) => [`an error whose ${key} throws`, () => withGetters(key)])),
  "an error whose everything throws": () => withGetters(...every),
  "an error whose texts are no texts": () =>
    Object.assign(new Error("x"), { message: { toString: refuse }, name: Symbol("name"), stack: Object.create(null) }),
  "an error whose getter throws a revoked proxy": () =>
    Object.defineProperty(new Error("x"), "code", {
      enumerable: true,
      get: () => {
        throw revoked(new Error("y"));
      },
    }),
  "an error caused by a revoked proxy": () => new Error("outer", { cause: revoked(new Error("inner")) }),
  "a proxy of an error that is revoked": () => revoked(new Error("x")),
  "a proxy that is revoked": () => revoked({}),
  "a proxy of which every trap throws": () => new Proxy(new Error("x"), Object.fromEntries(traps.map((trap) => [trap, refuse]))),
  ...Object.fromEntries(traps.map((trap) => [`a proxy whose ${trap} throws`, () => new Proxy(new Error("x"), { [trap]: refuse })])),
  "a symbol": () => Symbol("x"),
  "an object whose text throws": () => ({ run: refuse, toString: refuse }),
};
const plain: { readonly [name: string]: () => unknown } = {
  null: () => null,
  undefined: () => undefined,
  "an object without prototype": () => Object.create(null),
};

describe("at the serialiser", () => {
  const same = (text: string): string => text;
  const bytes = (one: Uint8Array): Uint8Array => one;
  const serialiser = createSerialiser({ seal: { sealText: same, revealText: same, sealBytes: bytes, revealBytes: bytes } as never });
  const trip = (thrown: unknown): unknown => serialiser.parse(serialiser.serialiseThrown(thrown, "The error"));

  test.each(Object.entries(errors))("%s comes back as an error", (_, make) => {
    const back = trip(make());
    expect(back === null || typeof back !== "object" || !("message" in back) ? back : typeof back.message).toBe("string");
  });

  test.each(Object.entries(plain))("%s comes back as it was", (_, make) => {
    expect(trip(make())).toEqual(make());
  });

  test("what can be read is kept", () => {
    const error = Object.assign(withGetters("code", "stack"), { status: 503 });
    expect(trip(error)).toMatchObject({ name: "RangeError", message: "readable", status: 503 });
    expect(trip(error)).toBeInstanceOf(RangeError);
    expect(trip(error)).not.toHaveProperty("code");
    expect(trip(withGetters("message"))).toMatchObject({ message: "An error that could not be read" });
    expect(trip(revoked(new Error("x")))).toMatchObject({ message: "An error that could not be read" });
    expect(trip(new Error("outer", { cause: revoked({}) }))).toMatchObject({
      message: "outer",
      cause: { message: "An error that could not be read" },
    });
    expect(trip(Object.assign(new Error("outer", { cause: "text" }), { socket: refuse }))).toMatchObject({
      message: "outer",
      cause: "text",
    });
  });

  test("however large it is, with all its causes", () => {
    const wide = "\u0001".repeat(20_000);
    let error: unknown = "first";
    for (let i = 0; i < 12; i++) {
      const fields = Object.fromEntries(Array.from({ length: 100 }, (_, at) => [`${at}${"\u0001".repeat(100)}`, wide.slice(0, 900)]));
      error = Object.assign(new Error(wide, { cause: error }), fields, { name: wide });
    }
    expect(serialiser.serialiseThrown(error, "The error").length).toBeLessThan(limits.valueBytes);
    expect(trip(error)).toMatchObject({ cause: { cause: { cause: {} } } });
  });
});

describe.each(modesOfLength)("in a run (%s)", (mode) => {
  test.each(Object.entries(errors))("%s fails the step, and code catches it", async (_, make) => {
    const body = async (): Promise<void> => {
      throw make();
    };
    const bad = step("bad", body, { maxRetries: 1 });
    const wf = workflow("catches", async () => {
      try {
        await bad();
      } catch (error) {
        return [error instanceof Error, typeof (error as Error).message];
      }
      return "nothing was thrown";
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    await world.advance(3_600_000);
    const kinds = (await world.journal(run)).map((one) => one.kind);
    expect(kinds).toContain("step_failed");
    expect(await run.returnValue).toEqual([true, "string"]);
  });

  test.each(Object.entries({ ...errors, ...plain }))("%s fails the run, and the engine lives", async (_, make) => {
    const wf = workflow("throws", async () => {
      throw make();
    });
    const well = workflow("well", async () => "well");
    const world = await createWorld([wf, well], { mode });
    const run = await world.start(wf);
    await expect(run.returnValue).rejects.toMatchObject({ code: "run_failed" });
    expect(await (await world.start(well)).returnValue).toBe("well");
  });
});
