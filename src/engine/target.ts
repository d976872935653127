// Finds the hook that a token stands for: in memory where its run is hot, else in the store. A minted token is verified first (D4).

import type { HookCreated } from "../core/event.ts";
import { mayReopen } from "../core/run-row.ts";
import type { TokenPurpose } from "../core/seal.ts";
import type { Tokens } from "../ingress/token.ts";
import type { Address, RunNumber, Store } from "../store/port.ts";
import type { Worker } from "./worker.ts";

/** A hook as a door needs to know it, from memory or from the store. */
export interface Target {
  readonly address: Address;
  readonly created: HookCreated;
  readonly runId: string;
  readonly runNumber: RunNumber;
}

/** A minted token that is ours. */
export interface Verified {
  readonly purpose: TokenPurpose;
  readonly address: Address;
  /** Its hook, where the run is in memory. */
  readonly hot: Target | null;
}

export class Targets {
  readonly #tokens: Tokens;
  readonly #worker: Worker;
  readonly #store: Store;

  constructor(tokens: Tokens, worker: Worker, store: Store) {
    this.#tokens = tokens;
    this.#worker = worker;
    this.#store = store;
  }

  /** The address a token stands for; null for one that cannot be an address. */
  address(token: string): Address | null {
    return isMinted(token) ? (this.verified(token)?.address ?? null) : { token };
  }

  /** D4. A hot hook's own token is compared first; an HMAC for each request costs more than the rest of the look-up. */
  verified(token: string): Verified | null {
    const parts = this.#tokens.parse(token);
    if (!parts) return null;
    const { runKey, position } = parts;
    const address = { runKey, position };
    const live = this.#worker.hot(runKey);
    const hook = live?.run.hooks.get(position);
    // Which of a name's hooks it is, is known once that is in the journal.
    const isKnown = hook !== undefined && (!mayReopen(hook.created) || "seq" in hook.created);
    const purpose = isKnown && isSame(hook.token, token) ? hook.created.purpose : this.#tokens.verify(parts);
    if (!purpose) return null;
    if (!live || !isKnown) return { purpose, address, hot: null };
    const runNumber = live.number;
    const hot = { address: { ...address, run: runNumber }, created: hook.created, runId: live.run.identity.id, runNumber };
    return { purpose, address, hot };
  }

  /** The hook that a token stands for; null where there is none. `isAgain`: what is in memory is not what the store has. */
  async of(token: string, isAgain: boolean): Promise<Target | null> {
    if (!isMinted(token)) return this.stored({ token });
    const found = this.verified(token);
    return found && ((!isAgain && found.hot) || this.stored(found.address));
  }

  /** The hook at an address, from the store; null where there is none. */
  async stored(at: Address): Promise<Target | null> {
    const address = "token" in at ? at : { runKey: at.runKey, position: at.position };
    const hook = await this.#store.hook(address);
    return hook ? { address, created: hook.created, runId: hook.runId, runNumber: hook.run } : null;
  }
}

/** Whether a token is one of an engine's making, or claims to be. */
export function isMinted(token: string): boolean {
  return token.startsWith("wh:");
}

/** In a time that does not tell where they differ. `timingSafeEqual` takes buffers, and to make those costs a request ten times as much. */
function isSame(own: string, given: string): boolean {
  let difference = own.length ^ given.length;
  for (let at = 0; at < own.length; at++) difference |= own.charCodeAt(at) ^ given.charCodeAt(at);
  return difference === 0;
}
