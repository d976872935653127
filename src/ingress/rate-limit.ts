// How much a door takes from one address, and how many forgeries it looks at, before senders are told to slow down. In memory, per process.
//
// RL1. A token bucket is one number: the instant at which it will be full again. It is over its rate where that instant is further off
//      than the burst lasts.
// RL2. Bounded: two generations of buckets. One goes when it has not been asked for as long as it takes to fill, which loses nothing, or
//      earlier where there are more than the bound: then its address begins anew.

import { badArgument, checkOptions, type OptionNames } from "../core/argument.ts";
import { limits } from "../core/limits.ts";

/** So many at once, and so many in each second after that. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/** What the public route allows. A flood of forgeries uses up no token's rate, and a flood at one token no other's. */
export interface IngressRates {
  /** At each token of ours. */
  readonly perToken: Rate;
  /** Of all requests together whose token is not ours. */
  readonly forged: Rate;
}

/** The rates of the public route; each has a default. */
export type RateLimitOptions = Partial<IngressRates>;

const rateLimitOptions: OptionNames<RateLimitOptions> = { perToken: true, forged: true };
const rateOptions: OptionNames<Rate> = { perSecond: true, burst: true };

/** The limit that `createEngine({ rateLimit })` asks for; null for none. Throws `bad_argument`. */
export function createIngressLimit(option: RateLimitOptions | false): IngressLimit | null {
  if (option === false) return null;
  checkOptions("createEngine({ rateLimit })", option, rateLimitOptions);
  const perToken = { perSecond: limits.tokenPerSecond, burst: limits.tokenBurst, ...option.perToken };
  const forged = { perSecond: limits.forgedPerSecond, burst: limits.forgedBurst, ...option.forged };
  for (const [name, rate] of Object.entries({ perToken, forged })) {
    const call = `createEngine({ rateLimit: { ${name} } })`;
    checkOptions(call, rate, rateOptions);
    if (rate.perSecond > 0 && rate.perSecond < Number.POSITIVE_INFINITY && Number.isSafeInteger(rate.burst) && rate.burst >= 1) continue;
    const message = `${call} takes perSecond, a number above 0, and burst, a whole number from 1; got ${JSON.stringify(rate)}. rateLimit: false is no limit.`;
    throw badArgument("rateLimit", option, message);
  }
  return new IngressLimit({ perToken, forged }, limits.rateBuckets);
}

export class IngressLimit {
  readonly #perToken: RateLimit;
  readonly #forged: RateLimit;

  constructor({ perToken, forged }: IngressRates, bound: number) {
    this.#perToken = new RateLimit(perToken, bound);
    this.#forged = new RateLimit(forged, 2);
  }

  /** A request at a token whose MAC has been verified, or, with null, at any other: 0, or after how many ms it may come again. */
  take(token: string | null, now: number): number {
    return token === null ? this.#forged.take("", now) : this.#perToken.take(token, now);
  }
}

/** One bucket per address. */
export class RateLimit {
  readonly #intervalMs: number;
  readonly #toleranceMs: number;
  readonly #fillMs: number;
  readonly #half: number;
  #young = new Map<string, number>();
  #old = new Map<string, number>();
  #turnAt = Number.NEGATIVE_INFINITY;
  /** Instants are counted from the first one: those since 1970 leave no room for parts of a millisecond. */
  #origin: number | null = null;

  /** Keeps at most `bound` buckets. */
  constructor({ perSecond, burst }: Rate, bound: number) {
    this.#intervalMs = 1_000 / perSecond;
    this.#toleranceMs = (burst - 1) * this.#intervalMs;
    this.#fillMs = burst * this.#intervalMs;
    this.#half = Math.max(1, bound >> 1);
  }

  /** Takes one; 0, or in how many ms there will be one. What is refused takes nothing. */
  take(address: string, instant: number): number {
    this.#origin ??= instant;
    const now = instant - this.#origin;
    if (now >= this.#turnAt || this.#young.size >= this.#half) this.#turn(now);
    const known = this.#young.get(address) ?? this.#old.get(address) ?? now;
    // Time that went back would have everybody wait for as long as it did.
    const fullAt = Math.min(Math.max(known, now), now + this.#fillMs);
    const waitMs = fullAt - now - this.#toleranceMs;
    // A hair's breadth is what many fractions add up to, not a request too many.
    const isOver = waitMs > Math.min(1e-3, this.#intervalMs / 100);
    this.#young.set(address, isOver ? fullAt : fullAt + this.#intervalMs);
    return isOver ? waitMs : 0;
  }

  /** Buckets that are remembered. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }

  #turn(now: number): void {
    this.#old = this.#young;
    this.#young = new Map();
    this.#turnAt = now + this.#fillMs;
  }
}
