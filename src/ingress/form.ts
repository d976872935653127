// A body that is a form: names and values, percent-encoded, in the charset that its content type names, else UTF-8.

import { InvalidPayloadError } from "../core/errors.ts";

export function isForm(contentType: string): boolean {
  const [type = ""] = contentType.split(";");
  return type.trim().toLowerCase() === "application/x-www-form-urlencoded";
}

/** Whether a body that calls itself a form is JSON: an object with a name in quotes, or an array that no field's name begins with. */
export function isJsonText(body: Uint8Array): boolean {
  const start = String.fromCharCode(...body.subarray(0, 64));
  return /^\s*(?:\{\s*(?:["}]|$)|\[\s*(?:["[{}\]]|$))/.test(start) || (/^\s*\[/.test(start) && !body.includes(0x3d));
}

/** The fields: a name that comes again has an array. What is not in its charset is `invalid_payload`, never another text. */
export function parseForm(body: Uint8Array, contentType: string): Record<string, string | string[]> {
  const decode = decoderOf(contentType);
  const fields = new Map<string, string | string[]>();
  for (const pair of Buffer.from(body).toString("latin1").split("&")) {
    if (pair === "") continue;
    const cut = pair.indexOf("=");
    const name = decode(cut < 0 ? pair : pair.slice(0, cut));
    const value = cut < 0 ? "" : decode(pair.slice(cut + 1));
    const before = fields.get(name);
    // Not copied for each: a body of one name half a million times would take hours.
    if (Array.isArray(before)) before.push(value);
    else fields.set(name, before === undefined ? value : [before, value]);
  }
  fields.delete("__proto__"); // as in JSON
  return Object.fromEntries(fields);
}

/** Reads a part of a form, a character for each of its bytes. */
function decoderOf(contentType: string): (part: string) => string {
  const charset = /;\s*charset\s*=\s*"?([^";\s]+)/i.exec(contentType)?.[1] ?? "utf-8";
  let decoder: { decode(bytes: Uint8Array): string };
  try {
    decoder = new TextDecoder(charset, { fatal: true, ignoreBOM: true });
  } catch (cause) {
    throw invalid(`The form is in charset ${JSON.stringify(charset.slice(0, 40))}, which is not known here.`, cause);
  }
  return (part) => {
    const bytes = part.replaceAll("+", " ").replace(/%([\da-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
    if (/^[\x20-\x7e]*$/.test(bytes)) return bytes;
    try {
      return decoder.decode(Buffer.from(bytes, "latin1"));
    } catch (cause) {
      throw invalid(`The form is not in ${charset.toUpperCase()}, as it says.`, cause);
    }
  };
}

function invalid(message: string, cause: unknown): InvalidPayloadError {
  return new InvalidPayloadError(message, { details: { issues: [{ message }] }, cause });
}
