// Whether two values say the same, as far as can be seen: one schema written once and loaded twice, by a bundler or a test runner, is two
// objects.

/** Schemas are small; what is larger than this is taken to be alike. */
const lookAtMost = 10_000;

/**
 * Compares what can be enumerated, in depth, and functions by their source. Not seen, and taken to be alike: what a function has closed
 * over, members that begin with an underscore, where libraries keep what they have computed, and what throws when it is looked at.
 */
export function isAlike(one: unknown, other: unknown): boolean {
  try {
    return isSeenAlike(one, other);
  } catch {
    return true;
  }
}

function isSeenAlike(one: unknown, other: unknown): boolean {
  const seen = new Map<unknown, unknown>();
  const line: [unknown, unknown][] = [[one, other]];
  for (let pair = line.pop(); pair && seen.size < lookAtMost; pair = line.pop()) {
    const [a, b] = pair;
    if (Object.is(a, b) || (seen.has(a) && seen.get(a) === b)) continue;
    if (!isObject(a) || !isObject(b) || !isSameKind(a, b)) return false;
    seen.set(a, b);
    const keys = membersOf(a);
    if (isPlain(a)) {
      if (keys.length !== membersOf(b).length || keys.some((key) => !Object.hasOwn(b, key))) return false;
      for (const key of keys) line.push([a[key], b[key]]);
    } else {
      // An instance that has been used may have grown: libraries keep what they have computed as members of its own.
      for (const key of keys) if (a[key] != null && b[key] != null) line.push([a[key], b[key]]);
    }
  }
  return true;
}

function membersOf(value: object): string[] {
  return Object.keys(value).filter((key) => !key.startsWith("_"));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}

function isPlain(value: object): boolean {
  return Array.isArray(value) || (nameOfClass(value) ?? "Object") === "Object";
}

function nameOfClass(value: object): string | undefined {
  return (value.constructor as { readonly name: string } | null | undefined)?.name;
}

/** Two copies of a library have two prototypes: their classes are known by name. */
function isSameKind(a: object, b: object): boolean {
  return nameOfClass(a) === nameOfClass(b) && written(a) === written(b);
}

function written(value: object): string | null {
  if (typeof value === "function") return value.toString();
  if (value instanceof RegExp) return value.toString();
  return value instanceof Date ? String(value.getTime()) : null;
}
