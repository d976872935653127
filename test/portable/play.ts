// A portable workflow from its beginning to its end, each run of it as a new process would do it: the state travels as text.

import {
  createWorkflow,
  type Fact,
  getPendingApprovals,
  getPendingHooks,
  injectApproval,
  injectHook,
  parse,
  type ResumeState,
  type RunOptions,
  serialize,
  type Step,
} from "../../src/portable.ts";

/** What code of these tests is given; its errors are anything. */
export interface Given {
  readonly step: Step<any>;
  readonly ctx: { readonly workflowId: string; readonly input: unknown };
  /** The parent that makes a child's steps this run's. */
  readonly child: (body: Body) => (parent: object) => Promise<any>;
}
export type Body = (given: Given) => unknown;

export interface Ran {
  readonly result: { readonly ok: boolean; readonly value?: unknown; readonly error?: any; readonly cause?: unknown };
  readonly resumeState: ResumeState;
  readonly wakeAt: number | null;
}

/** Code of these tests as that of a workflow. */
export function bound(body: Body): (context: any) => unknown {
  const child: Given["child"] = (of) => (parent) => createWorkflow("child", {}).run(bound(of), parent as never);
  return ({ step, ctx }) => body({ step, ctx, child });
}

/** One run of the code. */
export async function once(body: Body, options: RunOptions<any, any> = {}): Promise<Ran> {
  return (await createWorkflow("played", {}).runWithState(bound(body) as never, options)) as Ran;
}

export interface Play extends RunOptions<any, any> {
  /** What comes for a hook. Default: text with its id. */
  readonly answer?: (hookId: string) => unknown;
  /** Which of the waits is answered next. Default: the first. */
  readonly pick?: (ids: readonly string[]) => string;
}

export interface Played {
  readonly result: Ran["result"];
  readonly runs: readonly Ran[];
  readonly facts: readonly Fact[];
  readonly state: ResumeState;
}

/** Runs code again and again; where it rests, one of the waits is answered. Stops where nothing waits, and at the hundredth run. */
export async function play(
  body: Body,
  { answer = (id) => `for ${id}`, pick = ([id]) => id as string, ...options }: Play = {},
): Promise<Played> {
  const runs: Ran[] = [];
  const facts: Fact[] = [];
  let text: string | undefined;
  while (runs.length < 100) {
    const resumeState = text === undefined ? undefined : parse(text);
    const ran = await once(body, { onEvent: (fact) => void facts.push(fact), ...options, resumeState });
    runs.push(ran);
    const state = parse(serialize(ran.resumeState));
    const ids = isWait(ran) ? [...getPendingHooks(state), ...getPendingApprovals(state)] : [];
    if (ids.length === 0) break;
    text = serialize(answered(state, pick(ids), answer));
  }
  return { result: (runs.at(-1) as Ran).result, runs, facts, state: (runs.at(-1) as Ran).resumeState };
}

export function isWait({ result }: Ran): boolean {
  return !result.ok && ["PENDING_HOOK", "PENDING_APPROVAL"].includes((Object(result.error) as { type?: string }).type ?? "");
}

function answered(state: ResumeState, id: string, answer: (id: string) => unknown): ResumeState {
  if (getPendingHooks(state).includes(id)) return injectHook(state, { hookId: id, value: answer(id) });
  return injectApproval(state, { stepKey: id, value: answer(id) });
}
