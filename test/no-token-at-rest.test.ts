// No minted token is in what is sealed, and what is revealed is what was sealed, whatever it was (S1–S3, V4).

import { createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createSeal, type Seal, type TokenMacs } from "../src/core/seal.ts";
import { createSerialiser } from "../src/core/serialise.ts";

/** MACs of 24 characters that end as they like. */
const fakeMacs: TokenMacs = {
  verify: (kid, runKey, position, generation, mac) =>
    (["webhook", "hook"] as const).find((purpose) => fakeMacs.mac(kid, runKey, position, generation, purpose) === mac) ?? null,
  mac: (kid, runKey, position, generation, purpose) => {
    const mac = createHmac("sha256", kid).update(`${runKey}|${position}|${generation}|${purpose}`).digest("base64url").slice(0, 24);
    // Some end as a token begins, so that the next one may start inside them.
    return position % 3 === 1 ? `${mac.slice(0, 22)}wh` : position % 3 === 2 ? `${mac.slice(0, 23)}w` : mac;
  },
};

function token(position: number, purpose: "webhook" | "hook" = "webhook", colon: string = ":"): string {
  return `wh:k1:Run_-key:${position}.0:${fakeMacs.mac("k1", "Run_-key", position, 0, purpose)}`.replaceAll(":", colon);
}

describe("no minted token at rest", () => {
  const seal: Seal = createSeal(fakeMacs);
  const allMacs = [0, 1, 2, 3, 4, 5, 6].flatMap((position) =>
    (["webhook", "hook"] as const).map((purpose) => fakeMacs.mac("k1", "Run_-key", position, 0, purpose)),
  );

  test("tokens of either purpose, encoded or not, anywhere in text", () => {
    const encoded = encodeURIComponent(encodeURIComponent(token(3)));
    for (const text of [
      token(0),
      token(3, "hook"),
      `https://x/${token(0)}?a=${token(3)}`,
      encoded,
      token(3, "webhook", "%3a"),
      token(3, "hook", "%25253A"),
    ]) {
      const sealed = seal.sealText(text);
      expect(sealed).not.toContain(fakeMacs.mac("k1", "Run_-key", 3, 0, "webhook"));
      expect(sealed.length).toBeLessThan(text.length);
      expect(seal.revealText(sealed)).toBe(text);
    }
  });

  test("what only looks like one is left alone", () => {
    for (const text of [
      "what",
      "wh:k1:r:1.0:short",
      token(3).slice(0, -1),
      `${token(3).slice(0, -1)}!`,
      token(3).replace("k1", "K1"),
      token(3).replace("3.0", "03.0"),
    ]) {
      expect(seal.sealText(text)).toBe(text);
    }
  });

  const piece = fc.oneof(
    fc
      .record({ position: fc.nat(6), purpose: fc.constantFrom("webhook", "hook"), colon: fc.constantFrom(":", ":", "%3A", "%3a", "%253A") })
      .map((t) => token(t.position, t.purpose as "hook", t.colon)),
    fc.tuple(fc.nat(6), fc.nat(50)).map(([position, length]) => token(position).slice(0, length)),
    fc.constantFrom(
      "~",
      "~1",
      "~2",
      "~~",
      "wh",
      "w",
      "h",
      "wh:",
      ":",
      "%3A",
      "%25",
      "wh:k1:Run_-key:",
      "wh:k1:Run_-key:1.0:",
      "wh:k1:Run_-key:4.0:~1",
      "k1:Run_-key:1.0:",
      ":k1:r:2.0:",
      "é",
      "\u0000",
      '"',
    ),
    fc.string({ maxLength: 5 }),
  );
  const mix = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(""));

  test("S1, S2: text", () => {
    fc.assert(
      fc.property(mix, (text) => {
        const sealed = seal.sealText(text);
        expect(seal.revealText(sealed)).toBe(text);
        expect(allMacs.filter((mac) => sealed.includes(mac))).toEqual([]);
        expect(seal.revealText(seal.revealText(seal.sealText(seal.sealText(text))))).toBe(text);
      }),
      { numRuns: 3_000 },
    );
  });

  test("S1, S2: bytes, of any encoding", () => {
    const bytes = fc.oneof(
      mix.map((text) => Buffer.from(text, "latin1")),
      mix.map((text) => Buffer.from(text)),
      fc.uint8Array(),
    );
    fc.assert(
      fc.property(bytes, (body) => {
        const sealed = seal.sealBytes(body);
        expect(Buffer.compare(seal.revealBytes(sealed), body)).toBe(0);
        expect(Buffer.from(sealed).toString("latin1")).toBe(seal.sealText(Buffer.from(body).toString("latin1")));
      }),
      { numRuns: 1_000 },
    );
  });

  test("S3: one that begins in the end of another is sealed too", () => {
    for (const position of [1, 2]) {
      const text = `${token(position)}${position === 1 ? "" : "h"}${token(3).slice(2)}`;
      const sealed = seal.sealText(text);
      expect(sealed.split("~1").length).toBe(3);
      expect(seal.revealText(sealed)).toBe(text);
    }
  });

  test("inside values: text, keys, URLs, stacks, and bytes before they become base64", () => {
    const serialiser = createSerialiser({ seal });
    const secret = token(0);
    const value = {
      [secret]: new URL(`https://x/${secret}`),
      error: new Error(secret),
      bytes: Buffer.from(`a${secret}`),
      words: new Uint16Array(new Uint8Array(Buffer.from(`${secret} `)).buffer.slice(0, 44)),
    };
    const text = serialiser.serialise(value, "x");
    const mac = secret.slice(-24);
    expect(text).not.toContain(mac);
    expect(Buffer.from(/\["ArrayBuffer","([^"]*)"/.exec(text)?.[1] ?? "", "base64").toString()).toBe(
      `awh:k1:Run_-key:0.0:~1${mac.slice(-2)}`,
    );
    const back = serialiser.parse(text) as typeof value;
    expect(back).toEqual({ ...value, bytes: new Uint8Array(value.bytes) });
    expect(back.error.stack).toBe(value.error.stack);
  });
});
