// Who does the steps of a portable workflow on an engine: each is a step of its run, each wait a hook.
//
// BR1. What a step's body has come to is recorded as it is, before the code is told of it: the same facts as in a state, in the engine's order.
// BR2. A wait is a hook whose token is its hook's id, as the recorded outcome has it: ids that are made anew elsewhere do not count. Its first
//      payload settles it, and closes it.
// BR3. What the code does outside its turns is misuse of the run, and nothing in it is told of that: no `catch` takes it for an error.
// BR4. A cancel is thrown to the code as it is; what was done is undone only where it was asked for.

import { badArgument, kindOf } from "../../core/argument.ts";
import { callHook, callSleep, callStep } from "../../core/call.ts";
import type { Clock } from "../../core/clock.ts";
import { checkCustomToken } from "../../core/custom-token.ts";
import type { HookDefinition, StandardSchema } from "../../core/definition.ts";
import { RingbackError } from "../../core/errors.ts";
import type { StepHost, StepOutcome, StepSettled, StepWaits } from "../../core/portable.ts";
import type { Run } from "../../core/run.ts";
import { callingStep, durably } from "../../engine/realm.ts";
import { Hook } from "../plain/hook.ts";
import { read, write } from "../portable/value.ts";
import { StepKeys } from "./step-key.ts";

const hookPrefix = "hook:";
const undoPrefix = "undo:";

/** The token of the hook with this id. Throws `bad_argument`: what a route has no name for is the id of no hook. */
export function hookToken(hookId: string): string {
  if (typeof hookId !== "string") throw badArgument("hookId", hookId, `A hook is known by its id, a string, got ${kindOf(hookId)}.`);
  return hookPrefix + hookId;
}

/** The token at which somebody's word is waited for. */
export function approvalToken(runId: string, stepKey: string): string {
  return `approval:${runId}:${stepKey}`;
}

export interface HostOptions {
  readonly clock: Clock;
  readonly schemas: ReadonlyMap<string, StandardSchema | null>;
}

export class EngineHost implements StepHost {
  readonly clock: Clock;
  readonly #run: Run;
  readonly #schemas: HostOptions["schemas"];
  readonly #keys = new StepKeys();
  readonly #steps = new Map<string, Promise<StepSettled>>();
  /** The keys of the steps that wait for the outside. */
  readonly #waiting = new Set<string>();
  /** Told where a step comes to wait that is to be undone once it has ended. */
  readonly #watchers = new Map<string, () => void>();
  /** What is waited for, or was, by its token. */
  readonly #waits = new Map<string, Promise<StepSettled>>();

  constructor(run: Run, { clock, schemas }: HostOptions) {
    this.#run = run;
    this.clock = clock;
    this.#schemas = schemas;
  }

  keyFor(id: string, key?: string): string {
    if (callingStep()) return key ?? id; // no replay comes by there
    if (key === undefined) return this.#next(id);
    if (!key.startsWith(hookPrefix)) return key;
    return hookPrefix + this.#keys.hook(id, key);
  }

  /** An id that looks like the key of a hook, or of another step, takes nothing of it. */
  #next(id: string): string {
    const key = this.#keys.next(id.startsWith(hookPrefix) ? `step:${id}` : id);
    return this.#steps.has(key) ? this.#next(id) : key;
  }

  step(id: string, key: string, operation: () => Promise<StepOutcome>): Promise<StepSettled> {
    if (callingStep()) return within(id, operation);
    return this.#once(key, () => this.#do(key, operation));
  }

  sleep(_id: string, key: string, ms: number): Promise<unknown> {
    const { clock } = this;
    if (callingStep()) return new Promise<void>((resolve) => void clock.alarm(clock.now() + ms, resolve));
    return this.#once(key, async () => {
      await this.#durably("step.sleep()", (run) => callSleep(run, ms));
      return { kind: "step_completed", result: "" };
    });
  }

  async ended(key: string): Promise<StepSettled | null> {
    const isKept = this.#run.isCancelled && !this.#run.isCompensating; // BR4
    if (isKept || this.#waiting.has(key)) return null;
    const waits = new Promise<null>((resolve) => this.#watchers.set(key, () => resolve(null)));
    return Promise.race([this.#steps.get(key) as Promise<StepSettled>, waits]);
  }

  #once(key: string, begin: () => Promise<StepSettled>): Promise<StepSettled> {
    const known = this.#steps.get(key);
    if (known) return known;
    const promise = begin();
    promise.catch(() => {}); // whoever begins a step may await it later
    this.#steps.set(key, promise);
    return promise;
  }

  async #do(key: string, operation: () => Promise<StepOutcome>): Promise<StepSettled> {
    const name = key.startsWith(hookPrefix) ? key.slice(hookPrefix.length) : key;
    const run = this.#run;
    const calls: Promise<unknown>[] = [];
    const make = (): Promise<unknown> => {
      const call = callStep(run, { name, body: operation, options: { maxRetries: 0 } }, []);
      run.undoable.set(call, null);
      calls.push(call);
      return call;
    };
    try {
      return await this.#settled(key, await this.#durably(`step "${name}"`, make));
    } catch (error) {
      const late = calls.map((call) => run.undoable.get(call))[0];
      if (!isCancel(error)) return failed(error);
      if (!late) throw error;
      // What is under way is undone, too: for that it goes on, and so does what undoes (BR4).
      const again = late.then((outcome) => this.#settled(key, outcome), failed);
      if (key.startsWith(undoPrefix)) return again;
      this.#steps.set(key, again);
      throw error;
    }
  }

  #settled(key: string, outcome: unknown): Promise<StepSettled> | StepSettled {
    const { kind } = outcome as StepOutcome;
    return kind === "hook_created" ? this.#wait(key, outcome as StepWaits) : (outcome as StepSettled);
  }

  /** Steps that wait for one hook wait together. Of approvals by one key each wants a word of its own, in turn. */
  #wait(key: string, waits: StepWaits): Promise<StepSettled> {
    const token = waits.token === null ? approvalToken(this.#run.identity.id, waits.approval?.key ?? key) : hookToken(waits.token);
    const before = this.#waits.get(token);
    const open = (): Promise<StepSettled> => this.#open(token, waits);
    const settled = before === undefined ? open() : waits.token === null ? before.then(open) : before;
    this.#waits.set(token, settled);
    this.#waiting.add(key);
    this.#watchers.get(key)?.();
    return settled.then((found) => {
      this.#waiting.delete(key);
      return found;
    });
  }

  /** BR2 */
  async #open(token: string, { metadata, definition, approval, timeoutMs }: StepWaits): Promise<StepSettled> {
    const said = metadata === undefined ? {} : { metadata: read(metadata) as object };
    const asked = approval === undefined ? said : { metadata: { ...said.metadata, approval } };
    try {
      checkCustomToken(token);
      const value = await this.#durably(`waiting for ${token}`, async (run) => {
        const part = callHook(run, {
          purpose: "hook",
          token,
          payload: "json",
          methods: [],
          response: { mode: "accepted" },
          ...asked,
          timeout: timeoutMs,
          definition: definition === undefined ? null : this.#definition(definition),
        });
        const hook = new Hook<unknown>(part, asked.metadata);
        const payload = await hook;
        hook.dispose();
        return payload;
      });
      return { kind: "hook_received", value };
    } catch (error) {
      if (isCancel(error)) throw error;
      return RingbackError.is(error, "hook_timeout") ? { kind: "hook_failed", reason: "timeout" } : failed(error);
    }
  }

  /** Nothing comes unjudged because a module is not loaded here. */
  #definition(name: string): HookDefinition {
    const schema = this.#schemas.get(name);
    if (schema !== undefined) return { name, schema };
    const validate = (): never => {
      throw new TypeError(`no defineHook("${name}") has run here: load the module that declares it`);
    };
    return { name, schema: { "~standard": { version: 1, vendor: "ringback", validate } } };
  }

  /** BR3 */
  async #durably<T>(call: string, make: (run: Run) => Promise<T>): Promise<T> {
    try {
      return await durably(call, make);
    } catch (error) {
      const isMisuse = RingbackError.is(error, "outside_turn") || RingbackError.is(error, "other_run");
      if (isMisuse || this.#run.fault) return new Promise<never>(() => {});
      throw error;
    }
  }
}

/** What a step does is recorded as a whole, and a step within it is a part of that. */
async function within(id: string, operation: () => Promise<StepOutcome>): Promise<StepSettled> {
  const outcome = await operation();
  if (outcome.kind !== "hook_created") return outcome;
  throw new TypeError(`Step "${id}" waits within the body of another step, which goes on with nothing. Wait in the workflow's own code.`);
}

/** What the engine refuses a step is what the step has thrown. */
function failed(error: unknown): StepSettled {
  return { kind: "step_failed", error: write(error, "What the engine said"), isThrown: true };
}

function isCancel(error: unknown): boolean {
  return RingbackError.is(error, "run_cancelled");
}
