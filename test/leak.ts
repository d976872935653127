// Looks for minted tokens where none may be.

import { expect } from "vitest";

const macLength = 24;
/** What is kept of a MAC at rest: its last two characters. */
const secretLength = 22;
const prefixLength = 8;

/** The secret part of a token, alone or in a URL. */
export function macOf(tokenOrUrl: string): string {
  const mac = /wh:[a-z0-9]+:[\w-]+:\d+\.\d+:([\w-]{24})$/.exec(decodeURIComponent(tokenOrUrl))?.[1];
  expect(mac, `no token in ${tokenOrUrl}`).toHaveLength(macLength);
  return mac as string;
}

/** Names each place where a token's secret stands: as it is, in hexadecimal, in UTF-16, or in base64 of any alignment. */
export function leaks(
  tokens: Iterable<string>,
  places: Iterable<{ readonly name: string; readonly bytes: Uint8Array | string }>,
): string[] {
  const needles = new Map<string, string[]>();
  for (const token of tokens) {
    const secret = macOf(token).slice(0, secretLength);
    for (const form of formsOf(secret))
      needles.set(form.slice(0, prefixLength), [...(needles.get(form.slice(0, prefixLength)) ?? []), form]);
  }
  const found = new Set<string>();
  for (const { name, bytes } of places) {
    const text = typeof bytes === "string" ? Buffer.from(bytes).toString("latin1") : Buffer.from(bytes).toString("latin1");
    for (let at = 0; at + prefixLength <= text.length; at++) {
      for (const form of needles.get(text.slice(at, at + prefixLength)) ?? [])
        if (text.startsWith(form, at)) found.add(`${name}: ${text.slice(Math.max(0, at - 60), at + 24)}`);
    }
  }
  return [...found];
}

function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret);
  const base64 = [0, 1, 2].map((pad) =>
    Buffer.concat([Buffer.alloc(pad), bytes])
      .toString("base64")
      .slice(pad === 0 ? 0 : 4, -6),
  );
  return [secret, bytes.toString("hex"), Buffer.from(secret, "utf16le").toString("latin1"), ...base64];
}
