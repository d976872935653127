// A logger and a tracer used in workflow code, as an app would set them up. Ends by itself.

import { context, trace } from "@opentelemetry/api";
import { BasicTracerProvider, BatchSpanProcessor, type ReadableSpan, type SpanExporter } from "@opentelemetry/sdk-trace-base";
import pino from "pino";
import { current } from "../../src/core/turn.ts";
import { createHook, step, workflow } from "../../src/index.ts";
import { openWorld } from "./engine.ts";

const exported: { name: string; inTurn: boolean; trace: string }[] = [];
const exporter: SpanExporter = {
  export(spans: ReadableSpan[], done) {
    for (const span of spans) exported.push({ name: span.name, inTurn: current !== null, trace: span.spanContext().traceId });
    setTimeout(() => done({ code: 0 }), 1);
  },
  shutdown: async () => {},
};
const provider = new BasicTracerProvider({ spanProcessors: [new BatchSpanProcessor(exporter, { scheduledDelayMillis: 5 })] });
trace.setGlobalTracerProvider(provider);
const tracer = trace.getTracer("app");
const log = pino({ base: null }, pino.destination({ fd: 1, sync: process.argv[2] === "sync" }));

const work = step("work", async (n: number) => n * 2);
const wf = workflow("traced", async () => {
  const root = tracer.startSpan("run");
  const hook = createHook<number>({ token: "go" });
  for (let n = 0; n < 3; n++) {
    log.info({ n }, "waiting");
    await context.with(trace.setSpan(context.active(), root), async () => {
      const span = tracer.startSpan(`pass ${n}`);
      await work(await hook);
      span.end();
    });
  }
  root.end();
  log.info("done");
  return "done";
});

async function main(): Promise<void> {
  const world = await openWorld({ workflows: [wf] });
  const run = await world.engine.start(wf, []);
  for (let n = 0; n < 3; n++) {
    await world.settled();
    await world.engine.resumeHook("go", n);
  }
  const result = await run.returnValue;
  while (exported.length < 4) await new Promise((resolve) => setTimeout(resolve, 1));
  const kinds = (await run.timeline).map((entry) => entry.event);
  process.stderr.write(JSON.stringify({ result, exported, kinds, blocked: await run.blocked }));
  await world.engine.close();
}
void main();
