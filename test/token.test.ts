// Minted tokens prove themselves and cannot be altered; custom ones cannot pass for minted (I1–I3).

import { createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkCustomToken } from "../src/core/custom-token.ts";
import { RingbackError } from "../src/core/errors.ts";
import { createSeal } from "../src/core/seal.ts";
import { parseKeys } from "../src/ingress/key-ring.ts";
import { createTokens, digest, hashToken } from "../src/ingress/token.ts";

const ring = parseKeys(`new=${"1a".repeat(32)},old=${"2b".repeat(32)}`);
const tokens = createTokens(ring);
const given = { runKey: "r_-9", position: 12, generation: 3, purpose: "webhook" as const };

describe("a minted token", () => {
  test("is the same each time, and says what it was minted for", () => {
    const token = tokens.mint(given);
    expect(token).toMatch(/^wh:new:r_-9:12\.3:[\w-]{24}$/);
    expect(tokens.mint(given)).toBe(token);
    expect(encodeURIComponent(token).replaceAll("%3A", ":")).toBe(token);
    const parts = tokens.parse(token);
    expect(parts).toEqual({ kid: "new", runKey: "r_-9", position: 12, generation: 3, mac: token.slice(-24) });
    expect(parts && tokens.verify(parts)).toBe("webhook");
  });

  test("its MAC is HMAC-SHA-256 over its parts, each behind its length", () => {
    const expected = createHmac("sha256", Buffer.from("1a".repeat(32), "hex"))
      .update("1:13:new4:r_-92:121:37:webhook")
      .digest()
      .subarray(0, 18)
      .toString("base64url");
    expect(tokens.mint(given).slice(-24)).toBe(expected);
  });

  test("for a hook it has another MAC, and is known as such", () => {
    const hook = tokens.mint({ ...given, purpose: "hook" });
    expect(hook.slice(-24)).not.toBe(tokens.mint(given).slice(-24));
    expect(tokens.verify(tokens.parse(hook) ?? fail())).toBe("hook");
  });

  test("an older key still proves; a key that is gone does not, and cannot mint", () => {
    const old = tokens.mint({ ...given, kid: "old" });
    expect(tokens.verify(tokens.parse(old) ?? fail())).toBe("webhook");
    const later = createTokens(parseKeys(`new=${"1a".repeat(32)}`));
    expect(later.verify(later.parse(old) ?? fail())).toBe(null);
    expect(() => later.mint({ ...given, kid: "old" })).toThrow(RingbackError);
    expect(() => later.macs.mac("old", "r", 1, 0, "hook")).toThrow('Key "old" is not in the key ring');
  });

  test("every other character at every place is refused", () => {
    const token = tokens.mint(given);
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (let at = token.length - 24; at < token.length; at++) {
      for (const char of alphabet) {
        const altered = token.slice(0, at) + char + token.slice(at + 1);
        const parts = tokens.parse(altered);
        expect(parts !== null && tokens.verify(parts) !== null).toBe(altered === token);
      }
    }
    fc.assert(
      fc.property(fc.nat(token.length), fc.nat(1), fc.string({ maxLength: 2, unit: "binary" }), (at, cut, put) => {
        const altered = token.slice(0, at) + put + token.slice(at + cut);
        const parts = tokens.parse(altered);
        expect(parts !== null && tokens.verify(parts) !== null).toBe(altered === token);
      }),
      { numRuns: 1_000 },
    );
  });

  test("parts cannot be shifted into each other", () => {
    const all = new Set<string>();
    for (const [runKey, position, generation] of [
      ["r", 11, 1],
      ["r", 1, 11],
      ["r1", 1, 1],
      ["r", 111, 1],
    ] as const) {
      for (const purpose of ["hook", "webhook"] as const) all.add(tokens.macs.mac("new", runKey, position, generation, purpose));
    }
    expect(all.size).toBe(8);
  });

  const mac = "A".repeat(24);
  test.each([
    "",
    "wh:",
    `wh:new:r:1.0:${mac}A`,
    `wh:new:r:1.0:${mac.slice(1)}`,
    `wh:new:r:01.0:${mac}`,
    `wh:new:r:1.00:${mac}`,
    `wh:new:r:-1.0:${mac}`,
    `wh:new:r:1e3.0:${mac}`,
    `wh:new:r:1:${mac}`,
    `wh:New:r:1.0:${mac}`,
    `wh:new::1.0:${mac}`,
    `wh:new:r r:1.0:${mac}`,
    `WH:new:r:1.0:${mac}`,
    ` wh:new:r:1.0:${mac}`,
    `wh:new:r:1.0:${mac}\n`,
    `wh:new:r:1.0:${mac.slice(1)}+`,
    `wh:new:${"r".repeat(65)}:1.0:${mac}`,
    `wh:new:r:1000000000.0:${mac}`,
    `wh:${"k".repeat(17)}:r:1.0:${mac}`,
    `wh:new:r:1.0:${mac.slice(2)}==`,
    `wh%3Anew%3Ar%3A1.0%3A${mac}`,
  ])("%j is not one", (text) => {
    expect(tokens.parse(text)).toBe(null);
  });

  test("no token is minted that could not be read", () => {
    for (const wrong of [{ runKey: "" }, { runKey: "a:b" }, { runKey: "é" }, { position: -1 }, { position: 1.5 }, { generation: 1e21 }]) {
      expect(() => tokens.mint({ ...given, ...wrong })).toThrow("A token's run key");
    }
  });

  test("none is found at rest once it is sealed", () => {
    const seal = createSeal(tokens.macs);
    const text = `see https://x/${tokens.mint(given)} and ${encodeURIComponent(tokens.mint({ ...given, kid: "old", purpose: "hook" }))}`;
    const sealed = seal.sealText(text);
    expect(sealed).toMatch(/^see https:\/\/x\/wh:new:r_-9:12\.3:~1.. and wh%3Aold%3Ar_-9%3A12\.3%3A~2..$/);
    expect(seal.revealText(sealed)).toBe(text);
    const gone = createSeal(createTokens(parseKeys(`new=${"1a".repeat(32)}`)).macs);
    expect(() => gone.revealText(sealed)).toThrow('Key "old"');
    expect(gone.sealText(text)).toContain("wh%3Aold%3Ar_-9%3A12.3%3A" + tokens.mint({ ...given, kid: "old", purpose: "hook" }).slice(-24));
  });
});

describe("a custom token", () => {
  test.each(["order:42", "w", "WH:x", "ünï", "a".repeat(255)])("%j may be chosen", (token) => {
    expect(() => checkCustomToken(token)).not.toThrow();
  });

  test.each([
    ["", "bad_argument"],
    ["wh:", "bad_argument"],
    [tokens.mint(given), "bad_argument"],
    ["a\u0000", "bad_argument"],
    ["\ud800", "bad_argument"],
    [undefined, "bad_argument"],
    ["a".repeat(256), "too_large"],
    ["é".repeat(128), "too_large"],
  ])("%j is refused: %s", (token, code) => {
    let error: unknown;
    try {
      checkCustomToken(token as string);
    } catch (caught) {
      error = caught;
    }
    expect(RingbackError.is(error) && error.code).toBe(code);
  });
});

test("hashes: whole for tokens, 64 bits for replay", () => {
  expect(hashToken("abc")).toBe("ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0");
  expect(digest("abc")).toBe("ba7816bf8f01cfea");
});

function fail(): never {
  throw new Error("It should have been a token.");
}
