// A set that is nearly always empty or holds one thing: the thing itself then, a real `Set` only from two on. A parked run keeps several.

export type Few<T extends object> = T | Set<T> | null;

/** `few` with `item` in it, last. */
export function added<T extends object>(few: Few<T>, item: T): Few<T> {
  if (few === null) return item;
  return few instanceof Set ? few.add(item) : new Set([few, item]);
}

/** `few` without `item`. */
export function removed<T extends object>(few: Few<T>, item: T): Few<T> {
  if (few instanceof Set) few.delete(item);
  return few === item ? null : few;
}

/** What is in it now, in order of arrival; later changes do not show. */
export function listed<T extends object>(few: Few<T>): readonly T[] {
  if (few === null) return [];
  return few instanceof Set ? [...few] : [few];
}
