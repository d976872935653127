// Programs as users of Workflow DevKit write them, types and all: they compile, as they stand, against this package under its name. What
// runs of them is in the test beside.

import {
  createHook,
  createWebhook,
  defineHook,
  FatalError,
  fetch,
  getStepMetadata,
  getWorkflowMetadata,
  RetryableError,
  sleep,
} from "workflow";
import type { Hook, HookOptions, RequestWithResponse, StepMetadata, TypedHook, Webhook, WebhookOptions, WorkflowMetadata } from "workflow";
import { getHookByToken, getRun, resumeHook, resumeWebhook, Run, start } from "workflow/api";
import type { StartOptions, StopSleepOptions, StopSleepResult } from "workflow/api";
import { HookConflictError, HookNotFoundError } from "workflow/errors";

interface Approval {
  approved: boolean;
  by: string;
}

export async function approval(documentId: string): Promise<{ status: string; by?: string }> {
  "use workflow";

  using hook = createHook<Approval>({ token: `approval:${documentId}`, metadata: { documentId } });
  const conflict = await hook.getConflict();
  if (conflict) return { status: "duplicate", by: conflict.runId };
  const decision: Approval | undefined = await Promise.race([hook, sleep("7d").then(() => undefined)]);
  if (decision === undefined) throw new FatalError("Nobody decided.");
  return { status: decision.approved ? "published" : "rejected", by: decision.by };
}

export async function untyped(): Promise<number> {
  "use workflow";

  const hook = createHook();
  const { a, b } = await hook;
  return a + b;
}

const events = defineHook<{ type: "more" | "stop" }>();

export async function collects(channel: string): Promise<string[]> {
  "use workflow";

  type Sent = TypedHook.Input<typeof events>;
  const options: HookOptions = { token: `channel:${channel}`, isWebhook: false };
  const hook: Hook<Sent> = events.create(options);
  const seen: Sent[] = [];
  for await (const event of hook) {
    seen.push(event);
    if (event.type === "stop") break;
  }
  hook.dispose();
  return seen.map(({ type }) => type);
}

async function answer(request: RequestWithResponse): Promise<void> {
  "use step";

  const { attempt, stepId, stepName, stepStartedAt }: StepMetadata = getStepMetadata();
  if (attempt > 3) throw new RetryableError(`${stepName} again, since ${stepStartedAt.toISOString()}`, { retryAfter: "5m" });
  await request.respondWith(Response.json({ id: stepId, echo: await request.json() }, { status: 201 }));
}

export async function webhooks(): Promise<string[]> {
  "use workflow";

  const { workflowRunId, workflowName }: WorkflowMetadata = getWorkflowMetadata();
  const plain: Webhook<Request> = createWebhook();
  const manual: Webhook<RequestWithResponse> = createWebhook({ respondWith: "manual" });
  const fixed: WebhookOptions = { respondWith: new Response("thanks", { status: 200 }), metadata: workflowName };
  const always = createWebhook(fixed);
  await fetch(`https://partner.example/subscribe?url=${encodeURIComponent(manual.url)}&id=${workflowRunId}`);
  await answer(await manual);
  const request: Request = await plain;
  await sleep(new Date(Date.now() + 1_000));
  await sleep(500);
  return [request.method, await request.text(), await (await always).text()];
}

/** What a route does. */
export async function route(id: string): Promise<Response> {
  const run = await start(approval, [id]);
  const started: { runId: string } = run;
  const none: StartOptions = {};
  const unnamed: Run<number> = await start(untyped);
  const withOptions = await start(untyped, none);
  const latest = await start(approval, [id], { deploymentId: "latest" });
  const value: { status: string; by?: string } = await run.returnValue;
  return Response.json({ value, ids: [started.runId, unnamed.runId, withOptions.runId, latest.runId] });
}

export async function decide(token: string, payload: Approval): Promise<unknown> {
  try {
    const { runId, hookId, metadata, createdAt, isWebhook } = await getHookByToken(token);
    const hook = await resumeHook<Approval>(token, payload);
    await events.resume(`channel:${hook.runId}`, { type: "stop" });
    return { runId, hookId, metadata, createdAt: createdAt.getTime(), isWebhook };
  } catch (error) {
    if (error instanceof HookNotFoundError || error instanceof HookConflictError) return null;
    throw error;
  }
}

export async function forward(request: Request): Promise<Response> {
  return resumeWebhook(new URL(request.url).searchParams.get("token") ?? "", request);
}

export async function look(runId: string): Promise<unknown> {
  const run: Run<string> = getRun<string>(runId);
  if (!(await run.exists)) return null;
  const times: (Date | undefined)[] = [await run.createdAt, await run.startedAt, await run.completedAt];
  const only: StopSleepOptions = { correlationIds: [`${runId}:1`] };
  const { stoppedCount }: StopSleepResult = await run.wakeUp(only);
  await run.cancel();
  return { status: await run.status, name: await run.workflowName, times, stoppedCount, isRun: run instanceof Run };
}
