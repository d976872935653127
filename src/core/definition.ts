// What authors declare: workflows, steps, hook schemas. Descriptors only; who registers and runs them is the engine's business.

/** How a step's failed attempts are repeated. */
export interface StepOptions {
  /** Attempts after the first. Default 3. */
  readonly maxRetries?: number;
  /** Delay before the first retry: a duration ("500ms") or milliseconds. Default 1 s; doubles with each attempt. */
  readonly backoff?: string | number;
  /** The longest delay. Default 5 min. */
  readonly maxBackoff?: string | number;
  /** An attempt that takes longer is aborted through its signal and fails with `StepTimeoutError`. Default: none. */
  readonly timeout?: string | number;
}

export interface StepDefinition {
  readonly name: string;
  readonly body: (...args: never[]) => unknown;
  readonly options: StepOptions;
}

/** How a workflow is declared. */
export interface WorkflowOptions {
  /** Your own name for this code, in place of a hash of its source: runs set aside under one version are tried again under another. */
  readonly version?: string;
}

export interface WorkflowDefinition {
  readonly name: string;
  readonly body: (...args: never[]) => unknown;
  readonly codeId: string;
  /** The version that its runs are bound to, from their start to their end; its code id is `pinnedCode(pin, …)` then. */
  readonly pin?: string;
  /** Where it was declared. */
  readonly site?: string | null;
}

const pinned = /^(.+)@[0-9a-f]{16}$/su;

/**
 * The code id of a workflow whose runs are bound to a version: with a hash of its code, 16 hex digits. Code that is edited under the same
 * version is other code, so that runs which are set aside are tried again, and yet the version's.
 */
export function pinnedCode(pin: string, hash: string): string {
  const codeId = `${pin}@${hash}`;
  if (pinOf(codeId) !== pin) throw new TypeError(`A code id takes a version and 16 hex digits, got "${codeId}".`);
  return codeId;
}

/** The version in a code id that `pinnedCode` made; null for others. */
export function pinOf(codeId: string): string | null {
  return pinned.exec(codeId)?.[1] ?? null;
}

/** The part of Standard Schema (https://standardschema.dev, version 1) that the engine calls. */
export interface StandardSchema<Input = unknown, Output = Input> {
  /** As the specification has it; the validator libraries provide it. */
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}
export interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}
export type SchemaResult<Output> = { readonly value: Output; readonly issues?: undefined } | { readonly issues: readonly SchemaIssue[] };

/** What `defineHook` made: a name that doors can find the schema by, and the schema. */
export interface HookDefinition {
  readonly name: string | null;
  readonly schema: StandardSchema | null;
  /** Where it was declared. */
  readonly site?: string | null;
}
