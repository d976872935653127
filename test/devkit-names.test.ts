// Nobody who comes from Workflow DevKit has to guess: each name that its entries export is exported here, or the page says why not.
//
// Source: the declarations in the npm packages workflow@4.8.9 and @workflow/core@4.8.9 (`dist/index.d.ts`, `api.d.ts`, `internal/errors.d.ts`,
// `runtime.d.ts`, `observability.d.ts`), values and types.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const names: { readonly [entry: string]: readonly string[] } = {
  workflow: [
    ...["createHook", "createWebhook", "defineHook", "fetch", "getStepMetadata", "getWorkflowMetadata", "getWritable", "sleep"],
    ...["FatalError", "RetryableError", "RetryableErrorOptions", "Hook", "HookOptions", "RequestWithResponse", "StepMetadata", "TypedHook"],
    ...["Webhook", "WebhookOptions", "WorkflowMetadata", "WorkflowWritableStreamOptions"],
  ],
  "workflow/api": [
    ...["getHookByToken", "getRun", "resumeHook", "resumeWebhook", "runStep", "start", "Run", "Event", "StartOptions", "StopSleepOptions"],
    ...["StopSleepResult", "WorkflowReadableStream", "WorkflowReadableStreamOptions", "WorkflowRun"],
  ],
  "workflow/errors": [
    ...["EntityConflictError", "HookConflictError", "HookNotFoundError", "PreconditionFailedError", "RunExpiredError"],
    ...["RunNotSupportedError", "StepNotRegisteredError", "ThrottleError", "TooEarlyError", "WorkflowError", "WorkflowNotRegisteredError"],
    ...["WorkflowRunCancelledError", "WorkflowRunFailedError", "WorkflowRunNotCompletedError", "WorkflowRunNotFoundError"],
    ...["WorkflowRuntimeError", "WorkflowWorldError"],
  ],
  "workflow/runtime": [
    ...["createWorld", "getWorld", "getWorldHandlers", "healthCheck", "setWorld", "stepEntrypoint", "workflowEntrypoint"],
    ...["HealthCheckEndpoint", "HealthCheckOptions", "HealthCheckResult"],
  ],
  "workflow/observability": [
    ...["hydrateData", "hydrateResourceIO", "observabilityRevivers", "parseClassName", "parseStepName", "parseWorkflowName", "Revivers"],
  ],
};

const reports: { readonly [entry: string]: string } = {
  workflow: "index",
  "workflow/api": "api",
  "workflow/errors": "errors",
  "workflow/runtime": "runtime",
};
const text = (path: string): string => readFileSync(fileURLToPath(new URL(`../${path}`, import.meta.url)), "utf8");
const page = text("docs/coming-from-workflow-devkit.md");

/** What the API report of our entry of that name exports. */
function exported(entry: string): ReadonlySet<string> {
  const report = reports[entry];
  if (report === undefined) return new Set();
  const found = text(`api-reports/${report}.api.md`).matchAll(
    /^export (?:\{ \w+ as (\w+) \}|(?:\w+ )*?(?:class|const|function|interface|type|namespace) (\w+))/gm,
  );
  return new Set([...found].map(([, renamed, declared]) => (renamed ?? declared) as string));
}

/** What the page says of each name, in the section of its entry. */
function told(entry: string): ReadonlyMap<string, string> {
  const [, section = ""] = page.split(`### \`${entry}\`\n`);
  const rows = section.split("\n### ")[0]?.matchAll(/^\| (`.+?`) \| (same|better|absent|not yet) \|/gm) ?? [];
  return new Map(
    [...rows].flatMap(([, those = "", verdict = ""]) => [...those.matchAll(/`(\w+)`/g)].map(([, name]) => [name as string, verdict])),
  );
}

test.each(Object.keys(names))("%s: each name is there, or the page says why not", (entry) => {
  const [ours, rows] = [exported(entry), told(entry)];
  const wrong = (names[entry] ?? []).flatMap((name) => {
    const verdict = rows.get(name);
    if (verdict === undefined) return `${name} is not in the table`;
    const isThere = ours.has(name);
    if (isThere === (verdict === "same" || verdict === "better")) return [];
    return `${name} is ${isThere ? "" : "not "}exported, and the table says "${verdict}"`;
  });
  expect(wrong).toEqual([]);
});

test("the table names nothing that those entries do not have", () => {
  const strange = Object.keys(names).flatMap((entry) => [...told(entry).keys()].filter((name) => !names[entry]?.includes(name)));
  expect(strange).toEqual([]);
});
