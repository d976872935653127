// Runs that go on for ever, in the plain style: chapter after chapter, each with a journal of its own to replay.

import { badArgument, checkOptions, kindOf, type OptionNames } from "../../core/argument.ts";
import { callContinue } from "../../core/chapter.ts";
import type { HookPart } from "../../core/hook.ts";
import type { Run } from "../../core/run.ts";
import { durably } from "../../engine/realm.ts";
import { type Hook, partOf } from "./hook.ts";

/** What goes along into the next chapter. */
export interface ContinueOptions {
  /** Open hooks with a `name` or a `token`: they stay open, with what nobody has read, and are opened again under that name or token. */
  readonly carry?: readonly Hook[];
}

const continueOptions: OptionNames<ContinueOptions> = { carry: true };

/**
 * Starts the workflow's code again, with other arguments, as the same run: the id, the keys and the names of its hooks stay, and whoever
 * awaits its `returnValue` goes on waiting. What was before need not be replayed any more. Code after the call never runs; steps that are
 * under way are aborted, timers dropped, hooks that are not carried disposed. A cancelled run gets `RunCancelledError`. In a workflow that
 * was called inline it is the calling run that starts again.
 */
export function continueAsNew(args: readonly unknown[] = [], options: ContinueOptions = {}): Promise<never> {
  return durably("continueAsNew()", (run) => {
    if (!Array.isArray(args))
      throw badArgument("args", args, `continueAsNew() takes the arguments of the workflow as an array, got ${kindOf(args)}.`);
    checkOptions("continueAsNew()", options, continueOptions);
    const { carry = [] } = options;
    if (!Array.isArray(carry))
      throw badArgument("carry", carry, `continueAsNew(args, { carry }) takes an array of hooks, got ${kindOf(carry)}.`);
    return callContinue(
      run,
      args,
      carry.map((hook) => carriable(run, hook)),
    );
  });
}

function carriable(run: Run, hook: unknown): HookPart {
  const part = partOf(hook);
  if (!part)
    throw new TypeError(
      `continueAsNew(args, { carry }) takes hooks, got ${kindOf(hook)}. Give it what createHook() or createWebhook() returned.`,
    );
  const { created, label } = part;
  if (part.run !== run) throw new TypeError(`Hook ${label} is not this run's, and cannot be carried over.`);
  if (created.address.type === "minted" && created.name === "")
    throw new TypeError(
      `Hook ${label} has neither a name nor a token of yours, so the next chapter could not say which one it means. Open it with { name }.`,
    );
  if (part.mailbox.isClosed)
    throw new TypeError(`Hook ${label} is closed, and only open hooks can be carried over. Leave it out, and open it again.`);
  return part;
}
