// What can be mounted in a server, and what one that reads bodies itself must know of it.

import type { Answer } from "../core/event.ts";
import type { Capture } from "../ingress/capture.ts";

/** A handler in the web's standard form: `engine.ingress`, `engine.admin`, or a function of your own that does not reject. */
export interface Handler {
  (request: Request): Promise<Response>;
  /** Where in a path its own part begins, whatever stands before. Other paths are left to the app around it. Without one all are its own. */
  readonly route?: string;
  /** The path of the base URL, without a slash at its end. */
  readonly basePath?: string;
}

/** Why a body cannot be taken. */
export type BodyFault = "too_large" | "too_slow" | "consumed";

/** The plain form beside the standard one: servers with the bytes in hand call it for less. */
export interface PlainHandler extends Handler {
  /** Calls `answered` once. */
  readonly handle: (request: Capture, answered: (answer: Answer) => void) => void;
  /** The cap on bodies; whoever reads one for `handle` holds to it. */
  readonly bodyBytes: number;
  /** What the sender of a body that cannot be taken is told. */
  readonly refuse: (fault: BodyFault) => Answer;
}
