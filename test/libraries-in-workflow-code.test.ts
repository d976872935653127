// Libraries that keep timers, ticks and buffers of their own can be used in workflow code: they work as ever, outside the run.

import { context, trace } from "@opentelemetry/api";
import { BasicTracerProvider, BatchSpanProcessor, InMemorySpanExporter } from "@opentelemetry/sdk-trace-base";
import pino from "pino";
import { describe, expect, test } from "vitest";
import { createHook, step, workflow } from "../src/index.ts";
import { runChild } from "./child/child.ts";
import { createWorld, epoch, modesOfLength } from "./harness.ts";

const work = step("work", async (n: number) => n * 2);
const commands = [
  "run_started",
  "hook_created",
  "hook_received",
  "step_scheduled",
  "step_completed",
  "hook_received",
  "step_scheduled",
  "step_completed",
  "run_ended",
];

describe.each(modesOfLength)("in workflow code (%s)", (mode) => {
  test("pino writes its lines, with the run's time", async () => {
    const lines: { msg: string; time: number; n?: number }[] = [];
    const log = pino({ base: null }, { write: (line) => void lines.push(JSON.parse(line)) });
    const wf = workflow("logs", async () => {
      const hook = createHook<number>({ token: "go" });
      const child = log.child({ run: "x" });
      for (let n = 0; n < 2; n++) child.info({ n: await work(await hook) }, "worked");
      log.flush();
      return "done";
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    for (const n of [1, 2]) {
      await world.engine.resumeHook("go", n);
      await world.settled();
    }
    expect(await run.returnValue).toBe("done");
    expect(new Set(lines.map((line) => line.n))).toEqual(new Set([2, 4]));
    for (const line of lines) expect(line).toMatchObject({ level: 30, time: epoch, run: "x", msg: "worked" });
    expect((await world.journal(run)).map((event) => event.kind)).toEqual(commands);
  });

  test("OpenTelemetry's batch processor exports the spans, whose ids are the same in every life", async () => {
    const exporter = new InMemorySpanExporter();
    const provider = new BasicTracerProvider({
      spanProcessors: [new BatchSpanProcessor(exporter, { scheduledDelayMillis: 1, maxExportBatchSize: 2 })],
    });
    const tracer = provider.getTracer("app");
    const wf = workflow("traced", async () => {
      const root = tracer.startSpan("root");
      const hook = createHook<number>({ token: "go" });
      for (let n = 0; n < 2; n++) {
        const span = tracer.startSpan(`pass ${n}`, {}, trace.setSpan(context.active(), root));
        await work(await hook);
        span.end();
      }
      root.end();
      return root.spanContext().traceId;
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    for (const n of [1, 2]) {
      await world.engine.resumeHook("go", n);
      await world.settled();
    }
    const id = await run.returnValue;
    await provider.forceFlush();
    const spans = exporter.getFinishedSpans();
    expect(new Set(spans.map((span) => span.name))).toEqual(new Set(["root", "pass 0", "pass 1"]));
    expect(new Set(spans.map((span) => span.spanContext().spanId)).size).toBe(3);
    for (const span of spans) expect(span.spanContext().traceId).toBe(id);
    expect(id).toMatch(/^[0-9a-f]{32}$/);
    await provider.shutdown();
    expect((await world.journal(run)).map((event) => event.kind)).toEqual(commands);
    expect(world.lines).toEqual([]);
  });
});

test.each(["sync", "async"])("a process with a logger (%s) and a tracer in its workflow code works, and ends by itself", async (how) => {
  const { code, stdout, stderr } = await runChild("library", how);
  const { result, exported, kinds, blocked } = JSON.parse(stderr) as {
    result: string;
    exported: { name: string; inTurn: boolean }[];
    kinds: string[];
    blocked: null;
  };
  expect([result, blocked, code]).toEqual(["done", null, 0]);
  expect(exported.map((span) => span.name).sort()).toEqual(["pass 0", "pass 1", "pass 2", "run"]);
  expect(exported.every((span) => !span.inTurn)).toBe(true);
  expect(
    stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).msg),
  ).toEqual(["waiting", "waiting", "waiting", "done"]);
  expect(kinds.filter((kind) => kind === "step_scheduled" || kind === "hook_created" || kind === "timer_set")).toEqual([
    "hook_created",
    "step_scheduled",
    "step_scheduled",
    "step_scheduled",
  ]);
});
