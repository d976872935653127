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
  /** Where it was declared. */
  readonly site?: string | null;
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
