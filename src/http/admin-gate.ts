// Who may use the admin handler: whoever the app's own rule lets in, or who has the token from the environment; else nobody.

import { hash, timingSafeEqual } from "node:crypto";
import { badArgument, checkOptions, kindOf } from "../core/argument.ts";
import { textOf } from "../core/thrown.ts";

/** A rule of the app's own. It sees method, URL and headers, not the body. */
export type Authorize = (request: Request) => boolean | Promise<boolean>;

/** What the admin handler needs to let anybody in. */
export interface AdminOptions {
  /** Whether this request may see and do everything. Only `true` lets it in; what it throws, and any other value, does not. */
  readonly authorize: Authorize;
}

/** Lets a request in with null, or says for the log why not. */
export type Gate = (request: Request) => Promise<Refusal | null>;

/** Why nobody, or not this one, is let in; null where it is the sender's own doing and no news for the log. */
export interface Refusal {
  readonly slip: string | null;
}

const leastTokenLength = 16;
const refused: Refusal = { slip: null };

/** The gate that `createEngine({ admin })` and `RINGBACK_ADMIN_TOKEN` ask for; the option counts where both are there. */
export function createGate(options: AdminOptions | undefined, token: string | undefined): Gate {
  if (options !== undefined) return ruleGate(options);
  if (token === undefined || token === "") return closedGate;
  if (token.length < leastTokenLength)
    throw badArgument("RINGBACK_ADMIN_TOKEN", token, `RINGBACK_ADMIN_TOKEN must have ${leastTokenLength} characters or more.`);
  return tokenGate(token);
}

async function closedGate(): Promise<Refusal> {
  return { slip: "set createEngine({ admin: { authorize } }) or RINGBACK_ADMIN_TOKEN to let anybody in" };
}

function ruleGate(options: AdminOptions): Gate {
  checkOptions<AdminOptions>("createEngine({ admin })", options, { authorize: true });
  const { authorize } = options;
  if (typeof authorize !== "function")
    throw badArgument("admin", authorize, `createEngine({ admin }) takes { authorize: (request) => boolean }, got ${kindOf(authorize)}.`);
  return async (request) => {
    try {
      const said: unknown = await authorize(new Request(request.url, { method: request.method, headers: request.headers }));
      if (said === true) return null;
      return said === false ? refused : { slip: `authorize gave ${kindOf(said)}, and only true lets anybody in` };
    } catch (error) {
      return { slip: `authorize threw: ${textOf(error)}` };
    }
  };
}

/** Digests are compared, so that the time tells neither where tokens differ nor how long ours is. */
function tokenGate(token: string): Gate {
  const own = hash("sha256", token, "buffer");
  return async ({ headers }) => {
    const given = /^Bearer +(\S+) *$/i.exec(headers.get("authorization") ?? "")?.[1];
    return given !== undefined && timingSafeEqual(own, hash("sha256", given, "buffer")) ? null : refused;
  };
}
