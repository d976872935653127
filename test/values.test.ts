// What goes into a journal comes out equal: types, references, errors, registered classes (V1–V3).

import { inspect } from "node:util";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { FatalError, HookTimeoutError, RetryableError, RingbackError } from "../src/errors.ts";
import { limits } from "../src/core/limits.ts";
import { References, referTo } from "../src/core/reference.ts";
import { createSeal, noSeal } from "../src/core/seal.ts";
import { env, SecretReference, useSecrets } from "../src/core/secret.ts";
import { comparable, createSerialiser, type Serialiser } from "../src/core/serialise.ts";
import { createClasses } from "../src/core/serialise-class.ts";
import { parseKeys } from "../src/ingress/key-ring.ts";
import { createTokens } from "../src/ingress/token.ts";

const plain = createSerialiser({ seal: noSeal });

function trip(value: unknown, serialiser: Serialiser = plain): unknown {
  return serialiser.parse(serialiser.serialise(value, "The value"));
}

function refused(value: unknown, serialiser: Serialiser = plain): RingbackError {
  try {
    serialiser.serialise(value, "The value");
  } catch (error) {
    if (RingbackError.is(error)) return error;
    throw error;
  }
  throw new Error("It was not refused.");
}

describe("a value comes back equal", () => {
  test.each([
    ["undefined", undefined],
    ["null", null],
    ["NaN", Number.NaN],
    ["-0", -0],
    ["Infinity", [Infinity, -Infinity]],
    ["bigint", 2n ** 80n],
    ["text", "ünïcode \u0000 \ud800 </script> \u2028 \n"],
    ["Date", new Date("2026-01-02T03:04:05.678Z")],
    ["an invalid Date", new Date(Number.NaN)],
    ["RegExp", /a\/b\n/giu],
    ["URL", new URL("https://example.com/a?b=c#d")],
    ["URLSearchParams", new URLSearchParams("a=1&a=2")],
    [
      "Map",
      new Map<unknown, unknown>([
        ["a", 1],
        [{ k: 1 }, new Set([1, "b"])],
      ]),
    ],
    ["a sparse array", [1, , 3]],
    ["undefined members", { a: undefined, b: [undefined] }],
    ["no prototype", Object.assign(Object.create(null), { a: 1 })],
    ["a boxed number", Object(-0)],
  ])("%s", (_name, value) => {
    expect(trip(value)).toStrictEqual(value);
  });

  test("anything fast-check can make of these types", () => {
    const anything = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withTypedArray: true,
      withNullPrototype: true,
      withSparseArray: true,
      withBoxedValues: true,
      withObjectString: true,
      withUnicodeString: true,
      maxDepth: 5,
    });
    const seal = createSeal(createTokens(parseKeys(`a=${"1a".repeat(32)}`)).macs);
    const sealed = createSerialiser({ seal });
    fc.assert(
      fc.property(anything, (value) => {
        expect(trip(value, sealed)).toStrictEqual(value);
      }),
      { numRuns: 1_000 },
    );
  });

  test("and of the types that only the serialiser itself knows, wherever they stand and however often", () => {
    class Money {
      readonly cents: unknown;
      constructor(cents: unknown) {
        this.cents = cents;
      }
      static [Symbol.for("workflow-serialize")](money: Money): unknown {
        return [money.cents];
      }
      static [Symbol.for("workflow-deserialize")]([cents]: [unknown]): Money {
        return new Money(cents);
      }
    }
    const classes = createClasses();
    classes.register("Money", Money);
    const references = new References();
    const pay = referTo(() => null, { kind: "step", name: "pay" });
    references.add({ kind: "step", name: "pay", source: "", make: () => pay });
    const own = createSerialiser({ seal: createSeal(createTokens(parseKeys(`a=${"1a".repeat(32)}`)).macs), classes, references });
    const leaf = fc.oneof(
      fc.constantFrom(-0, Number.NaN, -Infinity, undefined, null, pay, Money),
      fc.webUrl().map((url) => new URL(url)),
      fc.array(fc.tuple(fc.string(), fc.string())).map((pairs) => new URLSearchParams(pairs)),
      fc.constantFrom(/a|b/giu, /\n\/[\]]/s),
      fc.bigInt(),
      fc.uint8Array().map((bytes) => bytes.buffer),
      fc.uint8Array().map((bytes) => new DataView(bytes.buffer)),
      fc.array(fc.tuple(fc.constantFrom("a", "set-cookie", "x-b"), fc.constantFrom("1", "2, 3"))).map((pairs) => new Headers(pairs)),
      fc.constantFrom("AbortError", "TimeoutError").map((name) => new DOMException("gone", name)),
    );
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof({ maxDepth: 4, depthSize: "small" }, leaf, tie("held")),
      held: fc.oneof(
        fc.array(tie("value"), { maxLength: 3 }),
        fc.dictionary(fc.string(), tie("value"), { maxKeys: 3 }),
        fc.array(fc.tuple(tie("value"), tie("value")), { maxLength: 2 }).map((pairs) => new Map(pairs)),
        tie("value").map((cents) => new Money(cents)),
        fc.tuple(fc.string(), tie("value")).map(([text, cause]) => Object.assign(new TypeError(text, { cause }), { detail: cause })),
        tie("value").map((inner) => new AggregateError([inner, inner], "several")),
      ),
    }));
    fc.assert(
      fc.property(value, (one) => {
        const back = trip({ one, again: [one] }, own) as { one: unknown; again: [unknown] };
        expect(back).toStrictEqual({ one, again: [one] });
        if (typeof one === "object" && one !== null) expect(back.one).toBe(back.again[0]);
        expect(comparable(own.serialise(back, "again"))).toBe(comparable(own.serialise({ one, again: [one] }, "once")));
      }),
      { numRuns: 1_000 },
    );
  });

  test("references inside one value are kept, cycles too", () => {
    const shared = { n: 1 };
    const value: { a: object; b: object; self?: object; map: Map<object, object> } = {
      a: shared,
      b: shared,
      map: new Map([[shared, shared]]),
    };
    value.self = value;
    const back = trip(value) as typeof value;
    expect(back.a).toBe(back.b);
    expect(back.self).toBe(back);
    expect([...back.map][0]).toEqual([back.a, back.a]);
    expect(back.map.get(back.a)).toBe(back.a);
    expect(back.a).not.toBe(shared);
  });

  test("references are kept in a value that JSON could write too", () => {
    const shared = { n: 1 };
    const back = trip({ a: shared, b: [shared] }) as { a: object; b: object[] };
    expect(back.b[0]).toBe(back.a);
  });

  test("what JSON would write otherwise is not left to JSON", () => {
    const hidden = Object.defineProperty({ a: 1 }, "toJSON", { value: () => "gone" });
    expect(trip([hidden])).toEqual([{ a: 1 }]);
    const shared = { a: 1 };
    for (const value of [[-0], [Number.NaN], [undefined], [, 1], [shared, shared], 1n, [new Date(0)]])
      expect(trip(value)).toStrictEqual(value);
    expect(plain.serialise({ a: [1, "b", null, true, {}] }, "x")).toBe('={"a":[1,"b",null,true,{}]}');
  });

  test("own __proto__ keys stay keys", () => {
    const value = JSON.parse('{"__proto__":{"polluted":true},"~__proto__":1,"a":{"__proto__":2}}') as object;
    const back = trip(value) as object;
    expect(JSON.stringify(back)).toBe(JSON.stringify(value));
    expect(Object.getPrototypeOf(back)).toBe(Object.prototype);
    expect("polluted" in back).toBe(false);
    expect(({} as { polluted?: boolean }).polluted).toBe(undefined);
  });

  test("bytes, with what they show and no more", () => {
    const buffer = new Uint8Array([0, 1, 2, 3, 4, 5, 6, 7]);
    const back = trip({
      view: buffer.subarray(2, 4),
      words: new Uint16Array(buffer.buffer, 2, 2),
      data: new DataView(buffer.buffer, 6),
      buffer: Buffer.from("hé"),
      raw: buffer.buffer,
    }) as {
      view: Uint8Array;
      words: Uint16Array;
      data: DataView;
      buffer: Uint8Array;
      raw: ArrayBuffer;
    };
    expect(back.view).toStrictEqual(new Uint8Array([2, 3]));
    expect(back.view.buffer.byteLength).toBe(2);
    expect(back.words).toStrictEqual(new Uint16Array([0x0302, 0x0504]));
    expect(back.data.getUint8(1)).toBe(7);
    expect(back.buffer).toStrictEqual(new Uint8Array([0x68, 0xc3, 0xa9]));
    expect(new Uint8Array(back.raw)).toEqual(buffer);
  });

  test("equal values give equal text, whatever was read before", () => {
    const make = (): unknown => ({ a: [1, { b: new Date(0) }], c: new Error("x") });
    expect(comparable(plain.serialise(make(), "a"))).toBe(comparable(plain.serialise(trip(make()), "b")));
  });
});

describe("an error comes back as what it was", () => {
  test.each([
    ["TypeError", new TypeError("no", { cause: { a: 1 } })],
    ["FatalError", new FatalError("end", { code: "E1", cause: new RangeError("far") })],
    ["RetryableError", new RetryableError("later", { retryAfter: new Date(5) })],
    ["AggregateError", new AggregateError([new Error("1"), 2], "many")],
    ["HookTimeoutError", new HookTimeoutError("late", { details: { position: 3 } })],
    ["RingbackError", new RingbackError("bad_argument", "soon", { details: { argument: "x", value: "y" }, cause: undefined })],
  ])("%s", (_name, error) => {
    const back = trip(error) as Error;
    expect(back).toBeInstanceOf(error.constructor);
    expect(back).toEqual(error);
    expect({ ...back }).toEqual({ ...error });
    expect(back.stack).toBe(error.stack);
    expect(back.cause).toEqual(error.cause);
    expect(Object.hasOwn(back, "cause")).toBe(Object.hasOwn(error, "cause"));
    expect((back as AggregateError).errors).toEqual((error as AggregateError).errors);
  });

  test("a RingbackError is recognised and answers for itself", () => {
    const back = trip(new HookTimeoutError("late", { details: { position: 3 } }));
    expect(RingbackError.is(back, "hook_timeout") && back.docs).toContain("hook_timeout.md");
  });

  test("a class nobody knows keeps its name, its fields and its nearest known class", () => {
    class PaymentError extends TypeError {
      readonly status = 402;
    }
    const back = trip(new PaymentError("declined")) as PaymentError;
    expect([back.name, back.message, back.status]).toEqual(["PaymentError", "declined", 402]);
    expect(back).toBeInstanceOf(TypeError);
    expect((trip(back) as Error).name).toBe("PaymentError");
    const named = Object.assign(new Error("x"), { name: "Named" });
    expect((trip(named) as Error).name).toBe("Named");
  });

  test("DOMException, an error of another realm, one of another copy of the package", () => {
    const aborted = trip(new DOMException("gone", "AbortError")) as DOMException;
    expect([aborted.name, aborted.message, aborted.code]).toEqual(["AbortError", "gone", 20]);
    expect(aborted).toBeInstanceOf(DOMException);
    expect(trip(runInNewContext("new RangeError('far')"))).toBeInstanceOf(RangeError);
    class Copy extends Error {
      readonly fatal = true;
    }
    expect(trip(new Copy("end"))).toBeInstanceOf(FatalError);
  });

  test("an error in a cycle", () => {
    const error = new Error("outer") as Error & { self?: unknown };
    error.self = { error };
    error.cause = error;
    const back = trip(error) as { self: { error: unknown }; cause: unknown };
    expect(back.self.error).toBe(back);
    expect(back.cause).toBe(back);
    const held = { error: new Error("held", { cause: [] as unknown[] }) };
    (held.error.cause as unknown[]).push(held);
    const again = trip(held) as typeof held;
    expect((again.error.cause as unknown[])[0]).toBe(again);
  });

  test("the stack is kept, and not compared", () => {
    const one = new Error("x");
    const two = new Error("x");
    const [first, second] = [plain.serialise([one], "a"), plain.serialise([two], "a")];
    expect(first).not.toBe(second);
    expect(comparable(first)).toBe(comparable(second));
  });

  test("what is thrown can always be stored", () => {
    const wild = Object.assign(new RangeError("refused", { cause: Object.assign(new Error("socket"), { on: () => 0 }) }), {
      request: { send: () => 0 },
      status: 503,
    });
    const back = plain.parse(plain.serialiseThrown(wild, "The error")) as typeof wild & { cause: Error };
    expect(back).toBeInstanceOf(RangeError);
    expect([back.message, back.status, back.request, back.cause.message]).toEqual(["refused", 503, undefined, "socket"]);
    expect(plain.parse(plain.serialiseThrown(() => 0, "The error"))).toBeInstanceOf(Error);
    expect(plain.parse(plain.serialiseThrown("text", "The error"))).toBe("text");
    const long = plain.parse(plain.serialiseThrown(new Error("x".repeat(limits.valueBytes)), "The error")) as Error;
    expect(long.message.length).toBe(10_000);
  });
});

describe("what cannot be stored is refused, naming the path", () => {
  class Socket {}
  const map = new Map<unknown, unknown>([
    ["a", 1],
    ["key", { on: () => 0 }],
  ]);
  test.each<[string, unknown, string, string]>([
    ["a function", { items: [0, 1, 2, { onDone: () => 0 }] }, "$.items[3].onDone", "function"],
    ["a symbol", [Symbol("x")], "$[0]", "symbol"],
    ["at the top", () => 0, "$", "function"],
    ["a WeakMap", { "odd key": new WeakMap() }, '$["odd key"]', "WeakMap"],
    ["a Promise", { p: Promise.resolve() }, "$.p", "Promise"],
    ["an instance", { s: new Socket() }, "$.s", "Socket"],
    ["a Blob", { b: new Blob(["x"]) }, "$.b", "Blob"],
    ["a File", [new File(["x"], "a.txt")], "$[0]", "File"],
    ["a form", { f: new FormData() }, "$.f", "FormData"],
    ["in a Map", { map }, '$.map.get("key").on', "function"],
    ["a key of a Map", new Map([[Socket, 1]]), "$.keys()[0]", "function"],
    ["in a Set", new Set([1, Socket]), "$.values()[1]", "function"],
    ["in a cause", new Error("x", { cause: { a: Symbol("x") } }), "$.cause.a", "symbol"],
    ["in a sparse array", Object.assign([], { 70_000: () => 0 }), "$[70000]", "function"],
    ["a shared buffer", [new SharedArrayBuffer(1)], "$[0]", "SharedArrayBuffer"],
    [
      "a getter that throws",
      {
        a: {
          get b(): never {
            throw new Error("no");
          },
        },
      },
      "$.a.b",
      "value that throws when it is read",
    ],
    ["a key that is a symbol", { a: { [Symbol("s")]: 1 } }, "$.a[Symbol(s)]", "property named by a symbol"],
    ["a false tag", [Object.create({ [Symbol.toStringTag]: "Date" })], "$", "value that cannot be read twice alike"],
  ])("%s", (_name, value, path, type) => {
    const error = refused(value);
    expect([error.code, error.details]).toEqual(["unserialisable", { path, type }]);
    expect(error.message).toContain(`The value cannot be stored: ${path} is a ${type}.`);
  });

  test("too deep, at any size, without overflowing the stack", () => {
    const nest = (depth: number): unknown => {
      let value: unknown = 1;
      for (let i = 0; i < depth; i++) value = i % 2 === 0 ? [value] : { value };
      return value;
    };
    expect(trip(nest(limits.depth))).toEqual(nest(limits.depth));
    expect(refused(nest(limits.depth + 1)).code).toBe("too_deep");
    expect(refused(nest(200_000)).code).toBe("too_deep");
    let error = new Error("first");
    for (let i = 0; i < 300; i++) error = new Error("next", { cause: error });
    expect(refused(error).code).toBe("too_deep");
  });

  test("too large is counted in bytes", () => {
    expect(refused("x".repeat(limits.valueBytes)).code).toBe("too_large");
    expect(() => plain.serialise("é".repeat(10), "x", 20)).toThrow("x has 23 bytes, and the limit is 20.");
    expect(plain.serialise("é".repeat(8), "x", 20)).toBe(`="${"é".repeat(8)}"`);
  });
});

describe("registered classes", () => {
  class Money {
    readonly amount: number;
    readonly currency: string;
    constructor(amount: number, currency: string) {
      this.amount = amount;
      this.currency = currency;
    }
  }
  const classes = createClasses();
  classes.register("money", {
    class: Money,
    serialise: ({ amount, currency }) => ({ amount, currency }),
    parse: ({ amount, currency }) => new Money(amount, currency),
  });
  const serialiser = createSerialiser({ seal: noSeal, classes });

  test("come back as instances, shared where they were", () => {
    const price = new Money(5, "EUR");
    const back = trip([price, { price }, new Error("x", { cause: price })], serialiser) as [Money, { price: Money }, Error];
    expect(back[0]).toStrictEqual(price);
    expect(back[1].price).toBe(back[0]);
    expect(back[2].cause).toBe(back[0]);
  });

  test("an unknown name is told", () => {
    const text = serialiser.serialise(new Money(1, "EUR"), "x");
    expect(() => plain.parse(text)).toThrow('"money", which is not registered here');
  });

  test("a subclass, an instance in itself, and what a class gives that cannot be stored are refused", () => {
    class Rich extends Money {}
    expect(refused(new Rich(1, "EUR"), serialiser).details).toEqual({ path: "$", type: "Rich" });
    expect(refused(new Rich(1, "EUR"), serialiser).message).toMatch(
      /^The value cannot be stored: \$ is a Rich\. Pass plain data, or let the class say how it is stored: .*"workflow-serialize".*createEngine/,
    );
    class Node {
      next: unknown = this;
    }
    classes.register("node", { class: Node, serialise: ({ next }) => ({ next }), parse: () => new Node() });
    expect(refused({ node: new Node() }, serialiser).details).toEqual({
      path: "$.node.next",
      type: "reference to the registered instance that holds it",
    });
  });
});

describe("secrets are references", () => {
  beforeEach(() => useSecrets((name) => ({ STRIPE: "whsec_1", EMPTY: "" })[name]));

  test("only the name is written, shown or logged; the value is read", () => {
    const back = trip({ secret: env("STRIPE") }) as { secret: SecretReference };
    expect(back.secret).toBeInstanceOf(SecretReference);
    expect(back.secret.read()).toBe("whsec_1");
    expect([String(back.secret), JSON.stringify(back.secret), inspect(back.secret)].join()).not.toContain("whsec");
  });

  test("absent and empty are told apart from read", () => {
    for (const name of ["NONE", "EMPTY"]) expect(() => env(name).read()).toThrow(`Secret "${name}" is not set.`);
    expect(() => env("")).toThrow("needs a name");
  });
});
