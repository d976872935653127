// `match`: a way on for each thing that a result may be, so that the compiler finds the one that was forgotten.

import type { FailureOf, Result } from "./result.ts";

/** What an error is known by: a string by itself, a tagged error by its `_tag`, a wait by its `type`. `never` for any other. */
type TagOf<E> = E extends string
  ? Literal<E>
  : E extends { readonly _tag: infer Tag extends string }
    ? Literal<Tag>
    : E extends { readonly type: infer Type extends string }
      ? Literal<Type>
      : never;
type Literal<Tag extends string> = string extends Tag ? never : Exclude<Tag, "ok" | "err">;

type Tagged<E, Tag> = E extends unknown ? ([TagOf<E>] extends [never] ? never : TagOf<E> extends Tag ? E : never) : never;
type Untagged<E, Tags> = E extends unknown ? ([TagOf<E>] extends [never] ? E : TagOf<E> extends Tags ? never : E) : never;

/** An arm for a name, where the result can be that. `Names`: all arms that were given; those that remain go to `err`. */
type Arm<T, E, Names, Name> = Name extends "ok"
  ? (value: T) => unknown
  : Name extends "err"
    ? (error: Untagged<E, Names>) => unknown
    : Name extends TagOf<E>
      ? (error: Tagged<E, Name>) => unknown
      : "no error of this result has this tag";
type ArmOf<R, Names, Name> = Arm<R extends { readonly ok: true; readonly value: infer T } ? T : never, FailureOf<R>, Names, Name>;
type Needed<E, Names> = "ok" | ("err" extends Names ? never : TagOf<E> | ([Untagged<E, TagOf<E>>] extends [never] ? never : "err"));
/**
 * One way on of several: `ok` for the value, one for each error by its `_tag`, by the string that it is, or by its `type` (`PENDING_HOOK`);
 * `err` takes all others. An arm that is missing, and one that no error has, are compile errors; at run time a missing one throws a `TypeError`.
 */
export function match<R extends Result<unknown>, const Names extends string, Arms>(
  result: R,
  arms: Arms & { readonly [Name in Names]: ArmOf<R, Names, Name> } & {
    readonly [Name in Needed<FailureOf<R>, Names>]: ArmOf<R, Names, Name>;
  },
): Arms[keyof Arms] extends (...given: never[]) => infer A ? A : never;
export function match(result: Result<unknown>, arms: { readonly [name: string]: (given: unknown) => unknown }): unknown {
  const [tag, given] = result.ok ? ["ok", result.value] : [tagOf(result.error), result.error];
  const arm = arms[Object.hasOwn(arms, tag) || result.ok ? tag : "err"];
  if (arm) return arm(given);
  throw new TypeError(`match needs an arm "${tag}".`);
}

/** An error that is called as the arm of values, and one without a tag, are for `err`. */
function tagOf(error: unknown): string {
  const { _tag, type } = Object(error) as { readonly _tag?: unknown; readonly type?: unknown };
  const tag = _tag ?? type ?? error;
  return typeof tag === "string" && tag !== "ok" ? tag : "err";
}
