// Errors with a tag: classes that are told apart by `_tag`, also after a journey through JSON.

/** What every tagged error has. */
export interface TaggedErrorBase extends Error {
  readonly _tag: string;
  /** Its wire form: tag, message and fields. */
  toJSON(): { readonly [field: string]: unknown };
}

/** A class of tagged errors: `new NotFound({ id })`. */
export type TaggedErrorClass<Tag extends string> = new <Fields extends object = Record<never, never>>(
  ...given: [keyof Fields] extends [never]
    ? [fields?: undefined, options?: TaggedErrorOptions]
    : [fields: Fields, options?: TaggedErrorOptions]
) => TaggedErrorBase & { readonly _tag: Tag } & Readonly<Fields>;

/** The class of a tagged error of this package's. */
export type ErrorClass<E extends TaggedErrorBase> = new (fields?: Omit<E, keyof TaggedErrorBase>, options?: TaggedErrorOptions) => E;

/** What may be said of an error beside its fields. */
export interface TaggedErrorOptions {
  /** What people read. Default: a field `message`, else the tag. */
  readonly message?: string | undefined;
  readonly cause?: unknown;
}

const brand: unique symbol = Symbol.for("ringback/tagged-error") as never;

function make<const Tag extends string>(tag: Tag): TaggedErrorClass<Tag> {
  class Tagged extends Error {
    static {
      Object.assign(this.prototype, { [brand]: 1, name: tag });
    }
    /** By its tag: what was read from a state is an instance, too. */
    static override [Symbol.hasInstance](value: unknown): boolean {
      return isTaggedError(value) && value._tag === tag;
    }
    readonly _tag = tag;
    constructor(fields: object = {}, { message, cause }: TaggedErrorOptions = {}) {
      const { _tag: _, message: own, ...rest } = fields as { readonly _tag?: unknown; readonly message?: unknown };
      super(message ?? (typeof own === "string" ? own : tag), cause === undefined ? undefined : { cause });
      Object.assign(this, rest);
    }
    toJSON(): { readonly [field: string]: unknown } {
      return { ...(this as object), message: this.message };
    }
  }
  return Tagged as unknown as TaggedErrorClass<Tag>;
}

type Handlers<E extends TaggedErrorBase> = { readonly [K in E["_tag"]]: (error: Extract<E, { readonly _tag: K }>) => unknown };

/** Calls the handler of the error's tag; one that is forgotten is a compile error. */
function matchTag<E extends TaggedErrorBase, H extends Handlers<E>>(error: E, handlers: H): ReturnType<H[keyof H & E["_tag"]]> {
  return (handlers as unknown as { readonly [tag: string]: (error: E) => ReturnType<H[keyof H & E["_tag"]]> })[error._tag]?.(
    error,
  ) as never;
}

/** Whether a value is one, from whatever copy of the package. */
function isTaggedError(value: unknown): value is TaggedErrorBase {
  return brand in Object(value);
}

/** Makes a class of errors: `class NotFound extends TaggedError("NotFound")<{ id: string }> {}`. */
export const TaggedError: typeof make & { readonly match: typeof matchTag; readonly isTaggedError: typeof isTaggedError } = Object.assign(
  make,
  {
    match: matchTag,
    isTaggedError,
  },
);

const Unexpected: TaggedErrorClass<"UnexpectedError"> = TaggedError("UnexpectedError");

/** A step or a workflow threw: what it threw is its `cause`. */
export class UnexpectedError extends Unexpected {
  constructor(cause: unknown, message: string = cause instanceof Error ? cause.message : String(cause)) {
    super(undefined, { message, cause });
  }
}
