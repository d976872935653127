// Whether two values say the same, as far as can be seen: one schema written once and loaded twice, by a bundler or a test runner, is two
// objects.

/** Schemas are small; what is larger than this is taken to be alike. */
const lookAtMost = 10_000;

/** Compares what can be enumerated, in depth, and functions by their source. What a function has closed over is not seen. */
export function isAlike(one: unknown, other: unknown): boolean {
  const seen = new Map<unknown, unknown>();
  const line: [unknown, unknown][] = [[one, other]];
  for (let pair = line.pop(); pair && seen.size < lookAtMost; pair = line.pop()) {
    const [a, b] = pair;
    if (Object.is(a, b) || (seen.has(a) && seen.get(a) === b)) continue;
    if (!isObject(a) || !isObject(b) || !isSameKind(a, b)) return false;
    seen.set(a, b);
    const keys = Object.keys(a);
    if (isPlain(a)) {
      if (keys.length !== Object.keys(b).length || keys.some((key) => !Object.hasOwn(b, key))) return false;
      for (const key of keys) line.push([a[key], b[key]]);
    } else {
      // An instance that has been used may have grown: libraries keep what they have computed as members of its own.
      for (const key of keys) if (a[key] != null && b[key] != null) line.push([a[key], b[key]]);
    }
  }
  return true;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}

function isPlain(value: object): boolean {
  return Array.isArray(value) || value.constructor === undefined || value.constructor.name === "Object";
}

/** Two copies of a library have two prototypes: their classes are known by name. */
function isSameKind(a: object, b: object): boolean {
  return a.constructor?.name === b.constructor?.name && written(a) === written(b);
}

function written(value: object): string | null {
  if (typeof value === "function") return value.toString();
  if (value instanceof RegExp) return value.toString();
  return value instanceof Date ? String(value.getTime()) : null;
}
