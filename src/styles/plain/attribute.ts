// Labels of a run, set by its code or by its steps.

import { checkOptions, type OptionNames } from "../../core/argument.ts";
import { attributeChanges, callAttributes } from "../../core/attribute.ts";
import { callingStep, durably } from "../../engine/realm.ts";

/** How attributes are set. */
export interface SetAttributesOptions {
  /** For what is built on the engine: takes names that begin with `$`, too. */
  readonly allowReservedAttributes?: boolean;
}

const setOptions: OptionNames<SetAttributesOptions> = { allowReservedAttributes: true };

/**
 * Sets labels of the run, and takes away those that are undefined: `await setAttributes({ phase: "paid" })`. In workflow code they are
 * committed with what the code asks for next, in a step at once. People find runs by them: `listRuns({ attributes })`. Up to 64, names and
 * values of up to 256 bytes, and no secrets. Rejects `bad_argument`, `too_large`; elsewhere `outside_turn`.
 */
export async function setAttributes(
  attributes: { readonly [name: string]: string | undefined },
  options: SetAttributesOptions = {},
): Promise<void> {
  checkOptions("setAttributes()", options, setOptions);
  const { allowReservedAttributes: isReservedAllowed = false } = options;
  const call = { call: "setAttributes()", given: attributes, isReservedAllowed };
  const step = callingStep();
  if (step) return step.setAttributes(attributeChanges({ ...call, sealText: step.host.sealText }));
  return durably("setAttributes()", (run) => callAttributes(run, attributeChanges({ ...call, sealText: run.host.sealText })));
}
