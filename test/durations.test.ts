// Spans and deadlines as authors write them, strictly; and the run's own chance, known for a seed.

import fc from "fast-check";
import ms from "ms";
import { describe, expect, test } from "vitest";
import { parseDuration, toDue } from "../src/core/duration.ts";
import { createRandom } from "../src/core/random.ts";
import { spanMs } from "../src/core/span.ts";

describe("durations", () => {
  test.each<[string | number, number]>([
    ["30s", 30_000],
    ["15m", 900_000],
    ["36h", 129_600_000],
    ["3d", 259_200_000],
    ["2 weeks", 1_209_600_000],
    ["1.5h", 5_400_000],
    [".5s", 500],
    ["250ms", 250],
    ["1D", 86_400_000],
    ["10", 10],
    [0, 0],
    [1.4, 1],
    ["10y", 315_576_000_000],
    [315_576_000_000, 315_576_000_000],
  ])("%j is %d ms", (written, expected) => {
    expect(parseDuration(written, "timeout")).toBe(expected);
  });

  test.each<[unknown]>([
    [""],
    [" "],
    ["soon"],
    ["3 fortnights"],
    ["-1s"],
    ["1s2s"],
    ["1,5h"],
    ["Infinity"],
    ["1e3"],
    ["11y"],
    ["9".repeat(101)],
    [-1],
    [Number.NaN],
    [Number.POSITIVE_INFINITY],
    [315_576_000_001],
    [undefined],
    [null],
    [{}],
    [10n],
  ])("%s is refused, with its argument", (written) => {
    const refusal = (): unknown => parseDuration(written as string, "timeout");
    expect(refusal).toThrow(/^timeout is .*, which is not a span of time\./);
    expect(refusal).toThrow(expect.objectContaining({ code: "bad_argument", details: expect.objectContaining({ argument: "timeout" }) }));
  });

  test("every text reads as it does in the package whose notation it is", () => {
    const units =
      "ms msec msecs millisecond milliseconds s sec secs second seconds m min mins minute minutes h hr hrs hour hours d day days";
    const unit = fc.constantFrom(...`${units} w week weeks y yr yrs year years mo month x`.split(" "), "");
    const count = fc.oneof(
      fc.nat(9).map(String),
      fc.tuple(fc.nat(99), fc.nat(99)).map(([a, b]) => `${a}.${b}`),
      fc.nat(9).map((n) => `.${n}`),
    );
    const text = fc.tuple(count, fc.constantFrom("", " ", "  ", "\t"), unit, fc.boolean());
    fc.assert(
      fc.property(text, ([number, space, name, isLoud]) => {
        const written = `${number}${space}${isLoud ? name.toUpperCase() : name}`;
        const theirs = ms(written as ms.StringValue) as number | undefined;
        expect(spanMs(written)).toBe(theirs === undefined || theirs > 315_576_000_000 ? null : Math.round(theirs));
      }),
      { numRuns: 500 },
    );
  });

  test("a deadline is a span or an instant", () => {
    expect(toDue("30s")).toEqual({ afterMs: 30_000 });
    expect(toDue(5)).toEqual({ afterMs: 5 });
    expect(toDue(new Date(5))).toEqual({ at: 5 });
    expect(() => toDue(new Date(Number.NaN), "until")).toThrow('until is "Invalid Date"');
  });
});

describe("chance inside a run", () => {
  test("the outputs of the reference implementation (xoshiro128starstar.c 1.1) for the state 1, 2, 3, 4", () => {
    // 53 bits a draw: 27 of one word, 26 of the next.
    const words = [11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804];
    const random = createRandom("00000001000000020000000300000004");
    for (let i = 0; i < words.length; i += 2) {
      const [high, low] = [words[i] as number, words[i + 1] as number];
      expect(random.next()).toBe(((high >>> 5) * 2 ** 26 + (low >>> 6)) / 2 ** 53);
    }
  });

  test("a seed gives the same numbers and ids; another gives others", () => {
    const draw = (seed: string): unknown[] => {
      const random = createRandom(seed);
      return [random.next(), random.uuid(), random.next(), random.uuid()];
    };
    const seed = "0123456789abcdef0123456789ABCDEF";
    expect(draw(seed)).toEqual(draw(seed.toLowerCase()));
    expect(draw(seed)).not.toEqual(draw("1".repeat(32)));
    expect(new Set(draw("0".repeat(32))).size).toBe(4);
  });

  test("numbers are in [0, 1), ids are version 4", () => {
    const random = createRandom("fedcba98765432100123456789abcdef");
    let sum = 0;
    for (let i = 0; i < 10_000; i++) {
      const number = random.next();
      if (!(number >= 0 && number < 1)) throw new Error(String(number));
      sum += number;
    }
    for (let i = 0; i < 100; i++) expect(random.uuid()).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(sum / 10_000).toBeCloseTo(0.5, 1);
  });

  test.each(["", "12", "g".repeat(32), "0".repeat(33)])("seed %j is refused", (seed) => {
    expect(() => createRandom(seed)).toThrow("32 hex digits");
  });
});
