// Nobody who comes from awaitly has to guess: each value that its entries export, each form of `step`, each option and each of its weaknesses has
// its row in the page, and what the page says is here, is.
//
// Source: the modules of the npm package awaitly@1.35.0, as they are loaded; options from its declarations and, for 4.x, from its repository
// as of August 2026. Types stand beside what they belong to.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import * as portable from "../src/portable.ts";

/** What each of its entries exports. */
const entries: { readonly [entry: string]: string } = {
  awaitly: `
    all allAsync allSettled allSettledAsync andThen any anyAsync Awaitly AWAITLY_CANCELLED AWAITLY_TIMEOUT AWAITLY_UNEXPECTED bimap
    compose DESERIALIZATION_ERROR deserialize err flatMapAsync flatten flow from fromNullable fromPromise getOrElse getOrElseLazy hydrate
    identity isErr isOk isPromiseRejectedError isSerializedResult isUnexpectedError map mapAsync mapError mapErrorTry mapTry match
    matchError matchErrorPartial ok orElse orElseAsync partition pipe PROMISE_REJECTED R race recover recoverAsync recoverWith runOrNull
    runOrThrow runOrThrowAsync runOrUndefined serialize TaggedError tags tap tapAsync tapError tapErrorAsync traverse traverseAsync
    traverseParallel tryAsync UnexpectedError unwrap UnwrapError unwrapOr unwrapOrElse withDeps zip zipAsync`,
  core: `
    all ALL_SLUGS allAsync allSettled allSettledAsync andThen any anyAsync AWAITLY_CANCELLED AWAITLY_SLUGS AWAITLY_TIMEOUT
    AWAITLY_UNEXPECTED bimap err exhaustive extractErrorTag extractStepMetadata from fromNullable fromPromise hydrate isAwaitlySlug isErr
    isOk isOneOf isSerializedResult isTag isUnexpectedError lookupErrorClassification map mapError mapErrorTry mapTry Match match
    matchError matchOrElse matchTag matchTags matchValue matchWhen ok orElse orElseAsync orElseValue partition PROMISE_REJECTED recover
    recoverAsync runOrNull runOrThrow runOrThrowAsync runOrUndefined slugCategory slugDocsUrl TaggedError tags tap tapError tryAsync
    UnexpectedError unwrap UnwrapError unwrapOr unwrapOrElse`,
  run: `
    createEarlyExit EARLY_EXIT_SYMBOL getStepTimeoutMeta isEarlyExit isStepTimeoutError run STEP_TIMEOUT_MARKER`,
  result: `
    all allAsync allSettled allSettledAsync andThen any anyAsync AWAITLY_CANCELLED AWAITLY_TIMEOUT AWAITLY_UNEXPECTED bimap
    DESERIALIZATION_ERROR deserialize err flatten from fromNullable fromPromise hydrate isErr isOk isPromiseRejectedError
    isSerializedResult isUnexpectedError map mapError mapErrorTry mapTry match matchError matchErrorPartial ok orElse orElseAsync
    partition PROMISE_REJECTED recover recoverAsync runOrNull runOrThrow runOrThrowAsync runOrUndefined serialize tags tap tapError
    tryAsync UnexpectedError unwrap UnwrapError unwrapOr unwrapOrElse zip zipAsync`,
  "result/retry": `
    tryAsyncBoundary tryAsyncRetry`,
  workflow: `
    assertValidSnapshot clearStep createApprovalStateCollector createApprovalStep createHook createResumeStateCollector createWorkflow
    days deserializeResumeState Duration gatedStep getPendingApprovals getPendingHooks getStepTimeoutMeta hasPendingApproval
    hasPendingHook HOOK_STEP_KEY_PREFIX hours injectApproval injectHook isApprovalRejected isDuration isInputValidationError
    isPendingApproval isPendingHook isResumeState isSerializedResumeState isStepComplete isStepTimeoutError isWorkflowCancelled
    isWorkflowSnapshot looksLikeWorkflowSnapshot mergeSnapshots millis minutes pendingApproval pendingHook run seconds
    serializeResumeState SnapshotDecodeError SnapshotFormatError SnapshotMismatchError STEP_TIMEOUT_MARKER toDays toHours toMillis
    toMinutes toResumeState toSeconds UnexpectedError validateInput validateSnapshot withDeps`,
  batch: `
    batchPresets isBatchProcessingError isInvalidBatchConfigError processInBatches`,
  resource: `
    createResource createResourceScope isResourceCleanupError withScope`,
  retry: `
    addDelay andThen days delays Duration exponential fibonacci fixed forever hours intersect isDuration jittered linear map maxDelay
    millis minDelay minutes modifyDelay once recurs run Schedule seconds spaced stop tap toDays toHours toMillis toMinutes toSeconds union
    untilInput untilOutput upTo upToElapsed whileInput whileOutput`,
  reliability: `
    circuitBreakerPresets CircuitOpenError conditionalPolicy createCircuitBreaker createCombinedLimiter createConcurrencyLimiter
    createCostBasedRateLimiter createFixedWindowLimiter createPolicyApplier createPolicyBundle createPolicyRegistry createRateLimiter
    createSagaWorkflow envPolicy isCircuitOpenError isQueueFullError isRateLimitExceededError isSagaCompensationError mergePolicies
    rateLimiterPresets retryPolicies retryPolicy runSaga servicePolicies stepOptions timeoutPolicies timeoutPolicy withPolicies withPolicy`,
  "circuit-breaker": `
    circuitBreakerPresets CircuitOpenError createCircuitBreaker isCircuitOpenError`,
  ratelimit: `
    createCombinedLimiter createConcurrencyLimiter createCostBasedRateLimiter createFixedWindowLimiter createRateLimiter isQueueFullError
    isRateLimitExceededError rateLimiterPresets`,
  saga: `
    createSagaWorkflow isSagaCompensationError runSaga`,
  policies: `
    conditionalPolicy createPolicyApplier createPolicyBundle createPolicyRegistry envPolicy mergePolicies retryPolicies retryPolicy
    servicePolicies stepOptions timeoutPolicies timeoutPolicy withPolicies withPolicy`,
  persistence: `
    assertValidSnapshot createMemoryCache deserializeCauseNew looksLikeWorkflowSnapshot mergeSnapshots serializeError serializeThrown
    SnapshotDecodeError SnapshotFormatError SnapshotMismatchError validateSnapshot`,
  hitl: `
    clearStep createApprovalChecker createApprovalStateCollector createApprovalStep createApprovalWebhookHandler createHITLOrchestrator
    createMemoryApprovalStore createMemoryWorkflowStateStore gatedStep getPendingApprovals hasPendingApproval injectApproval
    isApprovalRejected isPendingApproval pendingApproval`,
  webhook: `
    composeValidators createEventHandler createExpressHandler createResultMapper createSimpleHandler createWebhookHandler
    defaultUnexpectedErrorMapper defaultValidationErrorMapper isValidationError requireFields sendWebhookResponse toWebhookRequest
    validationError`,
  otel: `
    createAutotelAdapter createAutotelEventHandler withAutotelTracing`,
  testing: `
    assertEventEmitted assertEventNotEmitted assertEventSequence compareSnapshots createMockFn createSagaHarness createSnapshot
    createTestClock createWorkflowHarness errOutcome expectErr expectOk formatEvent formatEvents formatResult okOutcome testWorkflow
    throwOutcome unwrapErr unwrapErrAsync unwrapOk unwrapOkAsync`,
  conditional: `
    createConditionalHelpers unless unlessOr when whenOr`,
  duration: `
    add clamp days divide Duration equals format greaterThan greaterThanOrEqual hours infinity isDuration isFinite isInfinite isZero
    lessThan lessThanOrEqual max millis min minutes multiply parse seconds subtract toDays toHours toMillis toMinutes toSeconds zero`,
  match: `
    exhaustive isOneOf isTag Match matchOrElse matchTag matchTags matchValue orElseValue`,
  slugs: `
    ALL_SLUGS AWAITLY_SLUGS isAwaitlySlug slugCategory slugDocsUrl`,
  "tagged-error": `
    TaggedError`,
  errors: `
    AWAITLY_SYSTEM_ERROR_CLASSES CircuitBreakerOpenError CompensationError isAwaitlyError isCircuitBreakerOpenError isCompensationError
    isNetworkError isNotFoundError isRateLimitError isRetryExhaustedError isTimeoutError isUnauthorizedError isValidationError makeError
    NetworkError NotFoundError RateLimitError RetryExhaustedError TimeoutError UnauthorizedError UnexpectedError ValidationError`,
  cache: `
    cached cachedFunction cachedWithTTL createCache once`,
  "bind-deps": `
    bindDeps`,
  flow: `
    flow`,
  fetch: `
    fetchArrayBuffer fetchBlob fetchJson fetchResponse fetchText`,
  singleflight: `
    createSingleflightGroup singleflight`,
  adapters: `
    fromCallback fromEvent isEventEmitterLike isEventTimeoutError isInvalidEmitterError`,
  durable: `
    durable isConcurrentExecution isIdempotencyConflict isLeaseExpired isPersistenceError isVersionMismatch isWorkflowCancelled`,
  engine: `
    createEngine`,
  streaming: `
    chunk collect createBackpressureController createFileStreamStore createMemoryStreamStore createTestableMemoryStreamStore filter
    flatMap flatMapAsync getStreamReader isStreamBackpressureError isStreamEnded isStreamReadError isStreamStoreError isStreamWriteError
    map mapAsync pipe reduce shouldApplyBackpressure skip skipWhile STREAM_BACKPRESSURE_ERROR STREAM_CLOSE_ERROR STREAM_ENDED
    STREAM_READ_ERROR STREAM_STORE_ERROR STREAM_WRITE_ERROR streamBackpressureError streamCloseError streamEnded streamReadError
    streamStoreError streamWriteError take takeWhile toAsyncIterable`,
  functional: `
    all allAsync allSettled allSettledAsync any anyAsync bimap compose flatMap flatMapAsync flow getOrElse getOrElseLazy identity map
    mapAsync mapError match pipe R race recover recoverWith tap tapAsync tapError tapErrorAsync traverse traverseAsync traverseParallel`,
  resolver: `
    createResolver`,
  diagnostics: `
    createDiagnosticsCollector`,
};

/** What is no export, by the headings of the page's tables. */
const names: { readonly [heading: string]: string } = {
  "`step`": `
    step try fromResult fromNullable retry withTimeout sleep withFallback withResource workflow all map race if label branch arm forEach
    item dep getWritable getReadable streamForEach`,
  "Options of steps": `
    key retry compensate timeout ttl description markdown errors out reads dep intent domain owner tags stateChanges emits calls
    errorMeta attempts backoff initialDelay maxDelay shouldRetry jitter onRetry`,
  "Options of `createWorkflow` and `run`": `
    resumeState input deps onEvent catchUnexpected clock inputSchema description markdown errors onError telemetry createContext cache
    snapshot serialization snapshotSerialization onUnknownSteps onDefinitionChange signal onBeforeStart onBeforeStep onAfterStep shouldRun
    streamStore graph devWarnings strict workflowId workflowName context`,
  "What a workflow has": `
    run runWithState withDeps`,
  "What its code is given": `
    step steps deps ctx workflowId onEvent context signal input ref get set`,
};

const path = (file: string): string => fileURLToPath(new URL(`../${file}`, import.meta.url));
const page = readFileSync(path("docs/coming-from-awaitly.md"), "utf8");
const report = readFileSync(path("api-reports/portable.api.md"), "utf8").replaceAll("\r\n", "\n");

/** What an exported interface has of its own. */
function members(name: string): string[] {
  const [, body = ""] = new RegExp(`^export interface ${name}\\b[^\\n]*\\{\\n([^]*?)^\\}`, "m").exec(report) ?? [];
  return [...body.matchAll(/^ {4}(?:readonly )?(\w+)\??[<(:]/gm)].map(([, member]) => member as string);
}

/** What is here, by the same headings. */
const here: { readonly [heading: string]: readonly string[] } = {
  "`step`": ["step", ...members("Step")],
  "Options of steps": ["StepKey", "StepOptions", "RetryOptions"].flatMap(members),
  "Options of `createWorkflow` and `run`": ["WorkflowOptions", "RunOptions"].flatMap(members),
  "What a workflow has": members("Workflow"),
  "What its code is given": ["WorkflowContext", "RunContext"].flatMap(members),
};

interface Row {
  /** The entries it is about, where its table has a column for them. */
  readonly entries: readonly string[];
  readonly names: readonly string[];
  readonly verdict: string;
  readonly text: string;
}

const quoted = (cell: string, pattern: RegExp): string[] => [...cell.matchAll(pattern)].map(([, name]) => name as string);

/** The rows of the table under this heading. */
function told(heading: string): readonly Row[] {
  const [, section = ""] = page.split(`\n### ${heading}\n`);
  const rows = section.split(/\n##+ /)[0]?.matchAll(/^\| (?:([^|]+) \| )?(`[^|]+`) \| (same|better|other|absent) \| (.*)\|$/gm) ?? [];
  return [...rows].map(([, those = "", named = "", verdict = "", text = ""]) => ({
    entries: quoted(those, /`([\w/-]+)`/g),
    names: quoted(named, /`(?:step\.|ctx\.)?(\w+)`/g),
    verdict,
    text: text.trim(),
  }));
}

const listed = (list: string | undefined): readonly string[] => (list ?? "").trim().split(/\s+/);

/** The row of an export: in its entry's own table, in the one of all others, or where the name stands first. */
const mains = ["awaitly/workflow", "awaitly/result", "awaitly/durable"].map((entry) => ({ entry, rows: told(`\`${entry}\``) }));
const others = told("All other entries");
function rowOf(entry: string, name: string): Row | undefined {
  const own = mains.find((main) => main.entry === `awaitly/${entry}`);
  if (own) return own.rows.find((row) => row.names.includes(name));
  const named = others.find((row) => row.entries.includes(entry) && row.names.includes(name));
  return named ?? mains.flatMap(({ rows }) => rows).find((row) => row.names.includes(name));
}

/** What is wrong with a row, given whether the name is there. */
function wrong(name: string, row: Row | undefined, isThere: boolean): string[] {
  if (!row) return [`${name} is not in the table`];
  if (row.text === "" && row.verdict !== "same") return [`of ${name} is said only "${row.verdict}"`];
  if (row.verdict === "other" || isThere === (row.verdict !== "absent")) return [];
  return [`${name} is ${isThere ? "" : "not "}here, and the table says "${row.verdict}"`];
}

test.each(Object.keys(entries))("%s: each export has its row, and is here if that says so", (entry) => {
  expect(listed(entries[entry]).flatMap((name) => wrong(name, rowOf(entry, name), name in portable))).toEqual([]);
});

test.each(Object.keys(names))("%s: each has its row, and is here if that says so", (heading) => {
  const rows = told(heading);
  const isHere = (name: string): boolean => here[heading]?.includes(name) ?? false;
  const found = listed(names[heading]).flatMap((name) => {
    const row = rows.find((each) => each.names.includes(name));
    return wrong(name, row, isHere(name));
  });
  expect(found).toEqual([]);
});

test("no row is about a name that it does not have, and none stands twice", () => {
  const tables = [
    ...mains.map(({ entry, rows }) => ({ rows, known: listed(entries[entry.replace("awaitly/", "")]) })),
    ...Object.entries(names).map(([heading, list]) => ({ rows: told(heading), known: listed(list) })),
  ];
  const strange = tables.flatMap(({ rows, known }) => {
    const all = rows.flatMap((row) => row.names);
    return all.filter((name, index) => !known.includes(name) || all.indexOf(name) !== index);
  });
  const nowhere = others.flatMap((row) => [
    ...row.entries.filter((entry) => !Object.hasOwn(entries, entry)),
    ...row.names.filter((name) => !row.entries.some((entry) => listed(entries[entry]).includes(name))),
  ]);
  const twice = Object.keys(entries).flatMap((entry) => {
    const all = others.filter((row) => row.entries.includes(entry)).flatMap((row) => row.names);
    return all.filter((name, index) => all.indexOf(name) !== index);
  });
  expect([...strange, ...nowhere, ...twice]).toEqual([]);
});

test("under their name, these entries answer, and the page says which", () => {
  const { exports } = JSON.parse(readFileSync(path("package.json"), "utf8")) as { readonly exports: { readonly [entry: string]: unknown } };
  const answering = Object.keys(entries).filter((entry) => Object.hasOwn(exports, entry === "awaitly" ? "." : `./${entry}`));
  expect(answering).toEqual(["awaitly", "workflow", "testing", "errors"]);
  const named = answering.map((entry) => (entry === "awaitly" ? entry : `awaitly/${entry}`));
  const [, step = ""] = page.split("npm install awaitly@npm:ringback");
  expect(named.filter((entry) => !step.split("**Delete**")[0]?.includes(`\`${entry}\``) && entry !== "awaitly/workflow")).toEqual([]);
});

test("each of the weaknesses has its row", () => {
  const [, section = ""] = page.split("## Thirty-eight weaknesses\n");
  const rows = [...(section.split("\n## ")[0] as string).matchAll(/^\| (\d+) \| .+ \| .+ \|$/gm)].map(([, number]) => Number(number));
  expect(rows).toEqual(Array.from({ length: 38 }, (_, index) => index + 1));
});
