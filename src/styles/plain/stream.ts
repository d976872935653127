// What steps write for whoever looks on.

import { checkOptions, type OptionNames } from "../../core/argument.ts";
import { RingbackError } from "../../core/errors.ts";
import { nameOfNamespace } from "../../core/stream.ts";
import { callingRun, callingStep } from "../../engine/realm.ts";

/** Which stream of a run. */
export interface WorkflowWritableStreamOptions {
  /** One of several streams of the run, ≤ 255 bytes; without it, the run's own. */
  readonly namespace?: string;
}

const writableOptions: OptionNames<WorkflowWritableStreamOptions> = { namespace: true };

/**
 * The run's stream, which `run.readable` reads. In a step: each chunk is committed before its write resolves; any value that can be stored,
 * ≤ 1 MiB; `close()` ends the stream when the step completes. In workflow code: a handle, to be passed to steps. Elsewhere it throws
 * `outside_turn`.
 */
// oxlint-disable-next-line typescript/no-explicit-any -- as in Workflow DevKit: what is written for it type-checks
export function getWritable<W = any>(options: WorkflowWritableStreamOptions = {}): WritableStream<W> {
  checkOptions("getWritable()", options, writableOptions);
  const step = callingStep();
  const owner = step?.run ?? callingRun()?.identity;
  const host = step?.host ?? callingRun()?.host;
  if (!owner || !host) {
    const message =
      "getWritable() is for the body of a step or a workflow; there is none around here. Host code reads: getRun(runId).readable.";
    throw new RingbackError("outside_turn", message, { details: { call: "getWritable()" } });
  }
  const name = nameOfNamespace("getWritable()", options.namespace, host.sealText);
  return host.reviveStream({ kind: "writable", run: owner.id, name, from: 0 }) as WritableStream<W>;
}
