// Nobody who comes from nestjs-durable has to guess: each name that its packages export, each member and each option has its row in the page,
// and what the page says is here, is.
//
// Source: the declarations in the npm packages @dudousxd/nestjs-durable-core@0.62.0 and @dudousxd/nestjs-durable@0.39.1 (`dist/index.d.ts`),
// values and types; what the second hands on from the first stands with the first. Members that are private are left out.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

/** By the headings of the page's tables. */
const names: { readonly [heading: string]: string } = {
  "`@dudousxd/nestjs-durable-core`": `
    AccumulatorHost Admission AdmissionBackend AdmissionItem applyAttributeQuery attributeColumnFor AttributeFilter AttributeOp
    attributeOperand BackoffStrategy bindWorkflowClass BlockedDispatch BlockedResolution breakpointToken canRoute
    CapabilityRequirement capableWorkers ChildCallOptions classifyWaiterToken CodecStateStore collectMetrics ContinueAsNew
    CONTROL_FLOW_SIGNAL ControlMessage ControlPlane controlPlaneDescriptor createStepLogger CURRENT_PROTOCOL_VERSION currentStep
    currentWorkflowCtx debug descriptorHash DispatchDiagnostics DispatchPlan DURABLE_OPTIONS DURABLE_OPTIONS_CANONICAL
    DURABLE_STEP_CONFIG DURABLE_STEP_NAME DurableTopology DurableWebhook DurableWorkflow EngineEvent EngineEventType EngineListener
    Entities EntityConfig EntityHandler EntityHost error EVENT_BUFFER_SCAN_LIMIT EVENT_TOKEN_PREFIX EventAccumulators EventBatchConfig
    eventMatches eventMatchOf eventNameOf eventPrefix eventToken FatalError GatherError GroupHealth Heartbeat HeartbeatStatus
    heartbeatStatus HistoryEvent indexWaitersByRun InferSearchAttributes info InMemoryAdmissionBackend InMemoryStateStore
    InMemoryTransport isEventToken isLegacyDescriptor isWorkflowControlFlowSignal LEGACY_V1_CAPABILITIES LEGACY_V1_PROTOCOL log
    matchesAttributes MetricsCollector MetricsSnapshot missingCapabilities NamedTransport negotiate NegotiateOptions
    NegotiationOutcome NegotiationReason NegotiationResult NonDeterminismError normalizeAttributeRows normalizeDescriptor
    parseDuration PayloadCodec planDispatch prevCronFireMs QueueConfig QueueController RawWorkerDescriptor readSearchAttributes
    RemoteStepError RemoteStepTimeout RemoteTask RemoteWorkflowExecutor RemoteWorkflowTimeout requiredCapabilities resolveRouting
    resolveRunWaiting RetentionPolicy RoutableDispatch RoutableResolution RoutingResolution RunAttributeRow RunDetail RunDispatcher
    RunGateway runInStepLogger runInWorkflowCtx RunListItem RunQuery RunReply RunReplyResult RunRequest RunRequestKind RunResult
    runSchedules RunSchedulesOptions RunStatus runStepHandler RunWaiting sanitizeQueueToken scheduledRunId ScheduledWorkflow
    SearchAttributes SearchAttributesSchema SignalTimeoutError SignalWaiter SingletonConfig SingletonQueueFullError sqlComparator
    StandardSchemaV1 StartOptions StartRunMessage STATE_STORE STATE_STORE_CANONICAL StateStore StepCheckpoint StepConfig stepConfigOf
    StepDef StepDispatchOpts StepError StepEvent StepHandler stepId StepInterceptor StepInvocation StepKind StepLogger stepNameOf
    StepOptions StepRef StepResult StepUndo StoreTransaction sub subEvent subProcess SubProcessHandle TenantEvent tenantGroup
    TERMINAL_RUN_STATUSES TRANSPORT Transport TRANSPORT_CANONICAL UndoOf UpdateResult UpdateValidator warn WireDates WorkerAdjust
    WorkerConcurrencyStatus WorkerDescriptor WorkerHeartbeat WorkerLifecycle WorkerStatus WORKFLOW_NAME_KEY WorkflowBlocked
    WorkflowClass WorkflowCommand WorkflowCtx WorkflowDecision WorkflowEngine WorkflowEngineDeps WorkflowExecutor WorkflowHandler
    WorkflowInputOf workflowName WorkflowOutputOf WorkflowRef WorkflowRun WorkflowStartClient WorkflowStepEvent WorkflowSuspended
    WorkflowTask`,
  "`@dudousxd/nestjs-durable`": `
    attributesOf CONTEXT_ACCESSOR ContextAccessor ContextStore DEAD_LETTER_METADATA DeadLetter DURABLE_STEP_METADATA
    DURABLE_WORKER_RUNNERS DurableModule DurableModuleAsyncOptions DurableModuleOptions DurableRetentionOptions DurableStartClient
    DurableStep DurableStepInterceptor DurableStepMeta Entity ENTITY_METADATA ENTITY_ON_METADATA entityConfigFor EntityService
    getDurableStepMeta getEntityMeta getOnEvents getWorkflowMeta IN_APP_RUN_REDIS_WORKER IN_APP_WORKER_BINDING IN_APP_WORKER_RUNNERS
    IN_APP_WORKER_RUNTIME InAppWorkerBinding InAppWorkerBootstrap inAppWorkerProviders isDeadLetterHandler isDrivingOperator
    isOperatorRole isStepInterceptor On ON_EVENT_METADATA OnDurableEvent OnEvent ProxyRunGateway RUN_GATEWAY RUN_REDIS_WORKER
    RunLookupStore RunRedisWorkerFn RunRequestResponder RunRequestTransport Step STEP_INTERCEPTOR_METADATA StepInterceptor StepOptions
    StoreRunGateway TenantEventRepublisher ThinStepRegistrar ThinWorkerBootstrap thinWorkerProviders ThinWorkflowRegistrar
    unavailableRunGateway UserRef Workflow WORKFLOW_METADATA WorkflowAttributesOf WorkflowMeta WorkflowOptions WorkflowService`,
  "`WorkflowCtx`": `
    runId step transaction callEntity signalEntity sleep sleepUntil continueAsNew waitForSignal waitForEvent task child startChild all
    breakpoint webhook setEvent onUpdate patched now sideEffect upsertSearchAttributes localStep`,
  "`WorkflowEngine`": `
    registerEntity signalEntity getEntityState onEnqueued register workflowBody registerRemote remote registerQueue subscribe use
    onCancel onDead start getRun resume drain sweepTimeouts recoverIncomplete resumeDueTimers runOne requeue redispatchPending
    retryWithInput runPending waitForRun publishEvent signal signalWithStart completeTask failTask cancel cancelWhere deleteRun
    getRunChildren knownGroups workerHealth continue getEvent registerUpdateValidator update`,
  "`DurableModule`": `
    store transport transports controlPlane timerPollMs autoSchema namespace leaseMs instanceId maxRecoveryAttempts
    remoteAdvanceSilenceMs deadLetterWorkflow drive shutdownTimeoutMs schedules retention webhookUrl queues admission traceparent
    context compensationRetries scopeReads connection partition prefix concurrency concurrencyByHandler runGatewayTimeoutMs topology`,
  "`@Workflow`": `
    name version deadLetterWorkflow tags singleton executionTimeout requires inputSchema validateInput searchAttributes onEvent
    debounce batch`,
  "`@Step` and steps' options": `
    name input output retries backoff backoffMs backoffMaxMs jitter timeoutMs requires compensate partition queue priority fairnessKey
    transport`,
  "Start options": `
    tags searchAttributes priority namespace`,
};

const path = (file: string): string => fileURLToPath(new URL(`../${file}`, import.meta.url));
const page = readFileSync(path("docs/coming-from-nestjs-durable.md"), "utf8");
const report = (entry: string): string => readFileSync(path(`api-reports/${entry}.api.md`), "utf8").replaceAll("\r\n", "\n");
const context = report("context");
const nest = report("nest");
const plain = report("index");

function exported(text: string): string[] {
  const found = text.matchAll(/^export (?:\{ \w+ as (\w+) \}|(?:\w+ )*?(?:class|const|function|interface|type|namespace) (\w+))/gm);
  return [...found].map(([, renamed, declared]) => (renamed ?? declared) as string);
}

/** What an exported class or interface has of its own. */
function members(text: string, name: string): string[] {
  const [, body = ""] = new RegExp(`^export (?:interface|class) ${name}\\b[^\\n]*\\{\\n([^]*?)^\\}`, "m").exec(text) ?? [];
  return [...body.matchAll(/^ {4}(?:readonly )?(\w+)\??[<(:]/gm)].map(([, member]) => member as string);
}

/** What is here, by the same headings. */
const here: { readonly [heading: string]: readonly string[] } = {
  "`@dudousxd/nestjs-durable-core`": exported(context),
  "`@dudousxd/nestjs-durable`": [...exported(context), ...exported(nest)],
  "`WorkflowCtx`": members(context, "WorkflowCtx"),
  "`WorkflowEngine`": members(context, "WorkflowEngine"),
  "`DurableModule`": [...members(nest, "DurableModuleOptions"), ...members(plain, "EngineOptions")],
  "`@Workflow`": members(context, "WorkflowDetails"),
  "`@Step` and steps' options": [
    ...["StepDetails", "CtxStepOptions", "RefStepOptions"].flatMap((name) => members(context, name)),
    ...members(plain, "StepOptions"),
  ],
  "Start options": members(context, "WorkflowStartOptions"),
};

interface Row {
  readonly verdict: string;
  readonly text: string;
}

/** What the page says of each name, in the table under this heading. */
function told(heading: string): ReadonlyMap<string, Row> {
  const [, section = ""] = page.split(`### ${heading}\n`);
  const rows = section.split(/\n##+ /)[0]?.matchAll(/^\| (`.+?`) \| (same|better|other|absent) \| (.*)$/gm) ?? [];
  return new Map(
    [...rows].flatMap(([, those = "", verdict = "", text = ""]) =>
      [...those.matchAll(/`(\w+)`/g)].map(([, name]) => [name as string, { verdict, text }] as const),
    ),
  );
}

const listed = (heading: string): readonly string[] => (names[heading] as string).trim().split(/\s+/);

test.each(Object.keys(names))("%s: each name has its row, and is here if that says so", (heading) => {
  const rows = told(heading);
  const wrong = listed(heading).flatMap((name) => {
    const row = rows.get(name);
    if (!row) return `${name} is not in the table`;
    if (row.verdict === "other") return [];
    const isThere = here[heading]?.includes(name) ?? false;
    return isThere === (row.verdict === "absent") ? `${name} is ${isThere ? "" : "not "}here, and the table says "${row.verdict}"` : [];
  });
  expect(wrong).toEqual([]);
});

test("no row is about a name that they do not have, and none says nothing where something is to be said", () => {
  const strange = Object.keys(names).flatMap((heading) => {
    const known = new Set(listed(heading));
    return [...told(heading)].flatMap(([name, { verdict, text }]) => {
      if (!known.has(name)) return `${heading} has no ${name}`;
      return text === "|" && verdict !== "same" ? `${heading} says only "${verdict}" of ${name}` : [];
    });
  });
  expect(strange).toEqual([]);
});

test("each of the weaknesses has its row", () => {
  const [, section = ""] = page.split("## Twenty-eight weaknesses\n");
  const rows = [...(section.split("\n## ")[0] as string).matchAll(/^\| (\d+) \| .+ \| .+ \|$/gm)].map(([, number]) => Number(number));
  expect(rows).toEqual(Array.from({ length: 28 }, (_, index) => index + 1));
});
