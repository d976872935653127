// Steps that ask somebody first. Where the word is kept elsewhere, they ask for it again each time their workflow is run again.

import { hasType, type PendingApproval, pendingApproval } from "./hook.ts";
import { err, ok, type Result } from "./result.ts";

type Maybe<T> = T | Promise<T>;
type Metadata = { readonly [name: string]: unknown };

/** Somebody has said no. */
export interface ApprovalRejected {
  readonly type: "APPROVAL_REJECTED";
  readonly stepKey: string;
  readonly reason: string;
}

/** What somebody has said so far. */
export type ApprovalStatus<T> =
  | { readonly status: "pending" }
  | { readonly status: "approved"; readonly value: T }
  | { readonly status: "rejected"; readonly reason: string };

/** How an approval is asked for. */
export interface ApprovalStepOptions<T> {
  /** What the approval is known by, for `injectApproval`. */
  readonly key: string;
  /** Looks up what was said. It is asked each time the workflow is run, until it has an answer. */
  readonly checkApproval: () => Maybe<ApprovalStatus<T>>;
  readonly pendingReason?: string | undefined;
  readonly metadata?: Metadata | undefined;
}

/** A step's operation that waits until an approval is given elsewhere, or is injected. */
export function createApprovalStep<T>({
  key,
  checkApproval,
  pendingReason: reason,
  metadata,
}: ApprovalStepOptions<T>): () => Promise<Result<T, PendingApproval | ApprovalRejected>> {
  return async () => {
    const said = await checkApproval();
    return said.status === "approved" ? ok(said.value) : refusal(key, said, { reason, metadata });
  };
}

/** What a gate asks for. */
export interface GatedStepOptions<Args, T> {
  /** What the approval is known by, for `injectApproval`. */
  readonly key: string;
  readonly requiresApproval: boolean | ((args: Args) => Maybe<boolean>);
  /** What is to be done, for who is to approve it. */
  readonly description: string | ((args: Args) => string);
  /** Looks up what was said; a value with the approval stands for what the operation would have given. Default: it is pending. */
  readonly checkApproval?:
    | (() => Maybe<{ readonly status: "pending" } | { readonly status: "approved"; readonly value?: T } | ApprovalStatus<T>>)
    | undefined;
  /** Beside `pendingArgs` and `gatedOperation`. */
  readonly metadata?: Metadata | undefined;
}

/** An operation that shows its arguments and waits for an approval before it is done: what is injected stands for what it would have given. */
export function gatedStep<Args, T, E>(
  operation: (args: Args) => Maybe<Result<T, E>>,
  { key, requiresApproval, description, checkApproval, metadata }: GatedStepOptions<Args, T>,
): (args: Args) => Promise<Result<T, E | PendingApproval | ApprovalRejected>> {
  return async (args) => {
    if (!(typeof requiresApproval === "function" ? await requiresApproval(args) : requiresApproval)) return operation(args);
    const said = (await checkApproval?.()) ?? { status: "pending" };
    if (said.status === "approved") return said.value === undefined ? operation(args) : ok(said.value);
    const reason = typeof description === "function" ? description(args) : description;
    return refusal(key, said, { reason, metadata: { ...metadata, pendingArgs: args, gatedOperation: operation.name } });
  };
}

export function isApprovalRejected(error: unknown): error is ApprovalRejected {
  return hasType(error, "APPROVAL_REJECTED");
}

function refusal<T>(
  stepKey: string,
  said: { readonly status: "pending" } | { readonly status: "rejected"; readonly reason: string },
  options: { readonly reason?: string | undefined; readonly metadata?: Metadata | undefined },
): Result<T, PendingApproval | ApprovalRejected> {
  if (said.status === "pending") return pendingApproval<T>(stepKey, options);
  return err<ApprovalRejected>({ type: "APPROVAL_REJECTED", stepKey, reason: said.reason }) as Result<never, ApprovalRejected>;
}
