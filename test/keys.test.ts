// The key ring: read strictly, made once, never shown (K1, K2).

import { fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { RingbackError } from "../src/core/errors.ts";
import { loadKeyFile, parseKeys, readKeyRing, rotateKeyFile, withNewKey } from "../src/ingress/key-ring.ts";

const secret = randomBytes(32);

describe("RINGBACK_KEYS", () => {
  test("the first key is the current one; hex, base64 and base64url are one secret", () => {
    const ring = parseKeys(` a=${secret.toString("hex")}, b2=${secret.toString("base64")},c=${secret.toString("base64url")}\n`);
    expect(ring.current.kid).toBe("a");
    expect(ring.kids).toEqual(["a", "b2", "c"]);
    for (const kid of ring.kids) expect(ring.get(kid)?.secret.export().equals(secret)).toBe(true);
    expect(ring.get("d")).toBe(undefined);
  });

  test.each([
    ["", "entry 1 is empty"],
    ["a", 'no "="'],
    [`A=${secret.toString("hex")}`, "kid of entry 1"],
    [`${"a".repeat(17)}=${secret.toString("hex")}`, "kid of entry 1"],
    [`=${secret.toString("hex")}`, "kid of entry 1"],
    ["a=", "neither hex nor base64"],
    ["a=sëcret", "neither hex nor base64"],
    [`a=${secret.toString("hex").slice(2)}`, "has 31 bytes, and 32 are needed"],
    [`a=${secret.toString("hex")},`, "entry 2 is empty"],
    [`a=${secret.toString("hex")},a=${randomBytes(32).toString("hex")}`, 'kid "a" stands twice'],
  ])("%j is refused", (text, reason) => {
    let error: unknown;
    try {
      parseKeys(text);
    } catch (caught) {
      error = caught;
    }
    expect(RingbackError.is(error, "bad_keys") && error.message).toContain(reason);
    expect(inspect(error)).not.toContain(secret.toString("hex").slice(2, 40));
  });

  test("a fingerprint tells keys apart, and a ring shows no secret", () => {
    const ring = parseKeys(`a=${secret.toString("hex")},b=${randomBytes(32).toString("hex")}`);
    expect(ring.fingerprint("a")).toMatch(/^[\w-]{22}$/);
    expect(ring.fingerprint("a")).toBe(parseKeys(`z=${secret.toString("hex")}`).fingerprint("z"));
    expect(ring.fingerprint("a")).not.toBe(ring.fingerprint("b"));
    expect(() => ring.fingerprint("c")).toThrow('Key "c" is not in the key ring (it has "a", "b").');
    const shown = inspect(ring, { depth: 9, showHidden: true }) + JSON.stringify(ring);
    for (const encoding of ["hex", "base64", "base64url"] as const) expect(shown).not.toContain(secret.toString(encoding).slice(0, 20));
  });
});

describe("the key file", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "ringback-keys-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test("is made once, for its owner alone, with nothing left beside it", () => {
    const path = join(folder, "deep", "keys");
    const ring = loadKeyFile(path);
    expect(ring.current.kid).toMatch(/^[a-z0-9]{1,16}$/);
    expect(ring.current.secret.symmetricKeySize).toBe(32);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(folder, "deep"))).toEqual(["keys"]);
    const text = readFileSync(path, "utf8");
    expect(loadKeyFile(path).fingerprint(ring.current.kid)).toBe(ring.fingerprint(ring.current.kid));
    expect(readFileSync(path, "utf8")).toBe(text);
  });

  test("one that others may read is refused, and so is one that is damaged", () => {
    const path = join(folder, "keys");
    loadKeyFile(path);
    chmodSync(path, 0o644);
    expect(() => loadKeyFile(path)).toThrow('run "chmod 600" on it');
    writeFileSync(path, "");
    chmodSync(path, 0o600);
    expect(() => loadKeyFile(path)).toThrow("entry 1 is empty");
  });

  test("a second maker that comes between look and link takes the first one's", () => {
    const path = join(folder, "keys");
    let first: string | undefined;
    const late = loadKeyFile(path, (length) => {
      first ??= loadKeyFile(path).current.kid;
      return randomBytes(length);
    });
    expect(late.current.kid).toBe(first);
    expect(readdirSync(folder)).toEqual(["keys"]);
  });

  test("K3: a rotation puts a new key before all others, for its owner alone, and leaves nothing beside the file", () => {
    const path = join(folder, "keys");
    const before = loadKeyFile(path);
    const kid = rotateKeyFile(path);
    const after = loadKeyFile(path);
    expect(after.kids).toEqual([kid, ...before.kids]);
    expect(after.current.kid).toBe(kid);
    expect(after.fingerprint(before.current.kid)).toBe(before.fingerprint(before.current.kid));
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder)).toEqual(["keys"]);
    const { kid: third, text } = withNewKey(readFileSync(path, "utf8"));
    expect(parseKeys(text).kids).toEqual([third, kid, ...before.kids]);
  });

  test("K3: of two rotations at once the second is refused, and the first one's key is there", () => {
    const path = join(folder, "keys");
    const before = loadKeyFile(path);
    let second: unknown;
    const kid = rotateKeyFile(path, (length) => {
      try {
        rotateKeyFile(path);
      } catch (error) {
        second = error;
      }
      return randomBytes(length);
    });
    expect(second).toMatchObject({ code: "bad_keys", message: expect.stringContaining("another rotation is under way") });
    expect(loadKeyFile(path).kids).toEqual([kid, ...before.kids]);
    expect(() => rotateKeyFile(join(folder, "none"))).toThrow("there is no key file");
    expect(readdirSync(folder)).toEqual(["keys"]);
  });

  test("who only looks makes none, and has no key then", () => {
    const path = join(folder, "keys");
    const ring = readKeyRing(path);
    expect([ring.kids, ring.get("none"), readdirSync(folder)]).toEqual([[], undefined, []]);
    expect(() => ring.fingerprint("none")).toThrow('Key "none" is not in the key ring');
    expect(readKeyRing(path).kids).toEqual([]);
    const made = loadKeyFile(path);
    expect(readKeyRing(path).kids).toEqual(made.kids);
  });

  test("processes that make it at the same moment all hold the same key", async () => {
    const path = join(folder, "keys");
    const module = new URL("../src/ingress/key-ring.ts", import.meta.url).href;
    const code = `import(${JSON.stringify(module)}).then(({ loadKeyFile }) => { process.send("ready"); process.once("message", () => { process.send(loadKeyFile(${JSON.stringify(path)}).current.kid, () => process.disconnect()); }); });`;
    writeFileSync(join(folder, "make.mjs"), code);
    const children = [0, 1, 2, 3].map(() => fork(join(folder, "make.mjs"), { execArgv: ["--import", import.meta.resolve("tsx")] }));
    await Promise.all(children.map((child) => once(child, "message")));
    const kids = children.map((child) => once(child, "message"));
    for (const child of children) child.send("go");
    expect(new Set((await Promise.all(kids)).map(([kid]) => kid as string)).size).toBe(1);
    expect(readdirSync(folder).sort()).toEqual(["keys", "make.mjs"]);
  }, 20_000);
});
