// The durable calls that every style is a front for: each takes a position, asks for what is new, and returns what code waits on.

import { badArgument, kindOf } from "./argument.ts";
import type { Attributes } from "./attribute.ts";
import { addressOf, enter, type HookKey, type Inherited } from "./chapter.ts";
import type { HookDefinition, StepDefinition, WorkflowDefinition } from "./definition.ts";
import { checkClaim, holdsSecret } from "./custom-token.ts";
import { parseDuration, toDue } from "./duration.ts";
import { RingbackError } from "./errors.ts";
import type { Due, HookCreated, NamedAddress, ResponsePolicy, Serialised } from "./event.ts";
import { HookPart } from "./hook.ts";
import { limits, tooLarge } from "./limits.ts";
import { whenSettled } from "./reader.ts";
import { checkAnswer, readResponse } from "./request.ts";
import type { NewAddress, Run, UrlMaker } from "./run.ts";
import { checkRunId } from "./run-id.ts";
import { isKeyText } from "./run-row.ts";
import { joinScope, onLost } from "./scope.ts";
import { comparable } from "./serialise.ts";
import { giveSignals } from "./signal.ts";

/** Runs a step once, durably: schedules it, or finds it scheduled, and waits for its outcome. */
export function callStep(run: Run, step: StepDefinition, args: readonly unknown[]): Promise<unknown> {
  const signals: AbortSignal[] = [];
  const what = `the arguments of step ${run.host.sealText(step.name)}`;
  const scheduled = (input: Serialised): Promise<unknown> => {
    const { position, turn, name, digest, recorded } = run.ask("step_scheduled", step.name, input);
    if (!recorded) run.asked.push({ kind: "step_scheduled", turn, position, name, digest, input });
    const outcome = run.wait(position, name, step);
    if (signals.length > 0) giveSignals(run, position, signals, outcome);
    return outcome;
  };
  return run.serialised(args, what, scheduled, signals);
}

/** Waits until a due time that survives restarts. One that lost its race in `race({…})` is cancelled. */
export function callSleep(run: Run, duration: string | number | Date): Promise<void> {
  const due = toDue(duration, "duration");
  const written = duration instanceof Date ? duration.toISOString() : String(duration);
  const { position, turn, name, digest, recorded } = run.ask("timer_set", "", written);
  if (!recorded) run.asked.push({ kind: "timer_set", turn, position, name, digest, due });
  const promise = run.wait<void>(position, "a timer");
  const timer = { lost: (): void => cancelTimer(run, position) };
  onLost(promise, timer.lost);
  const scope = joinScope(timer);
  if (scope) {
    const leave = (): void => scope.leave(timer);
    whenSettled(promise, leave, leave);
  }
  return promise;
}

function cancelTimer(run: Run, timer: number): void {
  if (!run.pending.delete(timer)) return;
  const { position, turn, name, digest, recorded } = run.ask("timer_cancelled", String(timer), "");
  if (!recorded) run.asked.push({ kind: "timer_cancelled", turn, position, name, digest, timer });
}

export interface HookCall extends HookKey {
  readonly payload: "request" | "json";
  readonly methods: readonly string[];
  /** A static response is read within the turn. */
  readonly response: Exclude<ResponsePolicy, { mode: "static" }> | { readonly mode: "static"; readonly response: Response };
  readonly metadata?: unknown;
  readonly timeout?: string | number | Date | undefined;
  readonly reserve?: string | number | Date | undefined;
  readonly definition: HookDefinition | null;
  /** Who makes the URL of a webhook: the engine, which has one for each, or its author's builder, where there is one. Default: the engine. */
  readonly urlBy?: UrlMaker;
}

/** Opens an address, or finds the one that this call opened in an earlier life of the run. */
export function callHook(run: Run, call: HookCall): HookPart {
  const own = call.token ?? call.name ?? "";
  if (run.host.sealText(own) !== own) throw holdsSecret(run.host.sealText(own));
  const metadata = call.metadata === undefined ? null : run.host.serialise(call.metadata, "the hook's metadata");
  const bytes = metadata === null ? 0 : new TextEncoder().encode(metadata).length;
  if (bytes > limits.metadataBytes) throw tooLarge("The hook's metadata", limits.metadataBytes, bytes);
  if (call.response.mode === "static") checkAnswer(call.response.response, "the webhook's static response");
  const timeout = call.timeout === undefined ? null : toDue(call.timeout, "timeout");
  const reserve = reservation(run, call);
  const shape = [
    ...[call.purpose, call.payload, asWritten(call.timeout), metadata, call.definition?.name ?? null, call.methods, call.response.mode],
    ...(call.name === undefined && reserve === null ? [] : [call.name ?? null]),
    ...(reserve === null ? [] : [asWritten(call.reserve)]),
  ];
  const input = JSON.stringify(shape);
  const inherited = run.heritage?.take(call) ?? null;
  if (inherited) return takeOver(run, inherited, call, input);
  const known = addressOf(run, call);
  // Before a position is taken: code may catch what this throws, now and on replay.
  const isNew = call.token === undefined && known === null;
  if (call.purpose === "webhook" && isNew && !run.knows("hook_created", own, input)) run.host.checkUrl(call.urlBy);
  const asked = run.ask("hook_created", own, input, known?.position);
  if (asked.recorded) return keep(run, asked.recorded, run.host.tokenOf(run, asked.recorded), call);
  const minted = isNew ? run.host.newAddress(run, asked.position, call.purpose, call.urlBy) : known && reopened(run, known);
  const token = minted?.token ?? (call.token as string);
  const created: HookCreated = {
    kind: "hook_created",
    turn: asked.turn,
    position: asked.position,
    name: asked.name,
    digest: asked.digest,
    purpose: call.purpose,
    address: minted?.address ?? { type: "custom", token, hash: run.host.tokenHash(token) },
    url: known?.url ?? (minted?.url ? run.host.sealText(minted.url) : null),
    payload: call.payload,
    methods: call.methods,
    response: call.response.mode === "static" ? pendingAnswer : call.response,
    metadata,
    definition: call.definition?.name ?? null,
    hasSchema: call.definition?.schema != null,
    timeout,
    ...(reserve === null ? {} : { reserve }),
  };
  run.asked.push(created);
  if (call.response.mode === "static") answerWith(run, created, call.response.response);
  return keep(run, created, token, call, minted?.url ?? null);
}

function asWritten(due: string | number | Date | undefined): string | number | null {
  return due instanceof Date ? due.toISOString() : (due ?? null);
}

/** Nobody but its run can ask for a minted token: there is nothing to reserve. */
function reservation(run: Run, { token, reserve }: HookCall): Due | null {
  if (reserve === undefined) return null;
  const due = toDue(reserve, "reserve");
  const ms = "at" in due ? due.at - run.time : due.afterMs;
  if (ms <= limits.reserveMs) return token === undefined ? null : due;
  const message = `reserve is ${JSON.stringify(asWritten(reserve))}, and a token can be reserved for ${limits.reserveMs / 86_400_000} days at most: its run is kept as long. Give less.`;
  throw badArgument("reserve", reserve, message);
}

/** The address of a hook that an earlier call has made under the name. */
function reopened(run: Run, { position, purpose, address, url }: NamedAddress): NewAddress {
  const token = run.host.tokenOf(run, { position, purpose, address });
  return { address, token, url: url === null ? null : run.host.revealText(url) };
}

/** The hook that an earlier chapter carried over: what a door asks of it was said where it was opened. */
function takeOver(run: Run, { created, inputs }: Inherited, call: HookCall, input: string): HookPart {
  if (run.host.digest(comparable(input)) !== created.digest)
    run.warn(
      `${created.purpose} "${created.name}" was carried over, and is opened again with other options: those it was opened with stand.`,
    );
  const part = keep(run, created, run.host.tokenOf(run, created), call);
  part.isKnown = true;
  for (const event of inputs) run.tell(event);
  return part;
}

const pendingAnswer: ResponsePolicy = { mode: "accepted" };

/** Completes an event that is still in `asked`, before the turn ends. */
function answerWith(run: Run, created: HookCreated, response: Response): void {
  const what = "the webhook's static response";
  run.withinTurn(what, readResponse(response, what)).then(
    (answer) => Object.assign(created, { response: { mode: "static", answer: run.host.sealAnswer(answer) } }),
    (error: RingbackError) => run.misuse(error),
  );
}

function keep(run: Run, created: HookCreated, token: string, call: HookCall, url?: string | null): HookPart {
  const shown = url === undefined ? (created.url === null ? null : run.host.revealText(created.url)) : url;
  const part = new HookPart(run, created, token, shown, call.definition?.schema ?? null);
  enter(run, part);
  if (run.isCancelled) part.close(run.seq, run.cancelledError()); // every store has it closed: nothing can come
  return part;
}

/** How a child is to begin. */
export interface ChildStart {
  readonly id?: string | undefined;
  readonly token?: string | undefined;
  readonly attributes?: Attributes | undefined;
}

/** Starts a child run; settles with its id once it exists. Without an id of its own it is named after its place in the parent. */
export function callStart(
  run: Run,
  workflow: WorkflowDefinition,
  args: readonly unknown[],
  { id, token, attributes }: ChildStart,
): Promise<{ runId: string }> {
  if (id !== undefined) checkRunId(id, run.host.sealText);
  if (token !== undefined) checkClaim(token, run.host.sealText);
  const input = run.host.serialise(args, `the arguments of workflow ${workflow.name}`);
  const claim = token === undefined ? null : { token };
  const labels = attributes === undefined || Object.keys(attributes).length === 0 ? null : { attributes };
  const { position, turn, name, digest, recorded } = run.ask(
    "child_scheduled",
    workflow.name,
    JSON.stringify([id ?? null, input, ...(claim || labels ? [token ?? null] : []), ...(labels ? [attributes] : [])]),
  );
  const runId = recorded?.start.id ?? id ?? `${run.identity.id}.${position}`;
  if (!recorded) {
    const start = {
      id: runId,
      workflow: workflow.name,
      codeId: workflow.codeId,
      args: input,
      ...run.host.newRunSecrets(),
      ...claim,
      ...labels,
    };
    run.asked.push({ kind: "child_scheduled", turn, position, name, digest, start });
  }
  return run.wait(position, runId);
}

/** Waits for another run's end; its failure rejects as `RunFailedError`. */
export function callOutcome(run: Run, runId: string): Promise<unknown> {
  checkRunId(runId, run.host.sealText);
  const { position, turn, name, digest, recorded } = run.ask("child_awaited", runId, "");
  if (!recorded) run.asked.push({ kind: "child_awaited", turn, position, name, digest, runId });
  return run.wait(position, runId, null, true);
}

/** Where the outside reaches the engine, as it was where the code first asked: another deployment has another. Throws `base_url_required`. */
export function callUrl(run: Run): string {
  if (run.url !== null) return run.url;
  const known = run.knows("url_read", "", "") ? null : run.host.baseUrl();
  const { position, turn, name, digest, recorded } = run.ask("url_read", "", "");
  run.url = recorded?.url ?? (known as string);
  if (!recorded) run.asked.push({ kind: "url_read", turn, position, name, digest, url: run.url });
  return run.url;
}

/**
 * Publishes a value under a key, for whoever asks the run for it. It is committed with what the turn asks for; until then nobody reads it.
 * Throws `bad_argument`, `too_large`, `unserialisable`.
 */
export function callPublish(run: Run, key: string, value: unknown): void {
  checkPublishedKey(run, key);
  const what = `the value that run ${run.identity.id} publishes as ${JSON.stringify(key)}`;
  const text = run.host.serialise(value, what, limits.publishedBytes);
  const { position, turn, name, digest, recorded } = run.ask("value_published", key, text);
  if (!recorded) run.asked.push({ kind: "value_published", turn, position, name, digest, value: text });
}

/** A key stands in timelines, and in an index of the store's. */
function checkPublishedKey(run: Run, key: string): void {
  const shown = typeof key === "string" ? JSON.stringify(run.host.sealText(key).slice(0, 50)) : kindOf(key);
  if (typeof key !== "string" || key === "" || !isKeyText(key))
    throw badArgument("key", key, `A value is published under a key of 1 to ${limits.nameBytes} bytes, such as "status", got ${shown}.`);
  if (run.host.sealText(key) !== key)
    throw badArgument(
      "key",
      key,
      `The key ${shown} of a published value holds a minted token, which is a secret; keys stand in timelines.`,
    );
  const bytes = new TextEncoder().encode(key).length;
  if (bytes > limits.nameBytes) throw tooLarge("The key of a published value", limits.nameBytes, bytes);
}

/** How long a sender is kept waiting for a manual answer. */
export function responseWithin(duration: string | number | undefined): number {
  return parseDuration(duration ?? "25s", "respondWithin");
}
