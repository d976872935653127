// Nest apps on both platforms, over real HTTP, with a store that outlives them.

import "reflect-metadata";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { INestApplication, NestApplicationOptions } from "@nestjs/common";
import { type AbstractHttpAdapter, NestFactory } from "@nestjs/core";
import { ExpressAdapter } from "@nestjs/platform-express";
import { FastifyAdapter } from "@nestjs/platform-fastify";
import { onTestFinished } from "vitest";
import { defineWorkflow, type DurableModuleOptions, type FunctionWorkflow, type WorkflowEngine } from "../../src/nest.ts";
import { testKeys } from "../harness.ts";

export const platforms: readonly (readonly [name: string, adapter: () => AbstractHttpAdapter])[] = [
  ["Express", () => new ExpressAdapter()],
  ["Fastify", () => new FastifyAdapter()],
];

/** What tests of the module give to it, beside what they are about. */
export const settings: DurableModuleOptions = {
  store: "memory:",
  keys: testKeys,
  webhookUrl: (token) => `https://api.example/durable/api/webhooks/${token}`,
};

/** A database for apps that follow one another. */
export function database(): string {
  const folder = mkdtempSync(join(tmpdir(), "ringback-nest-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return `sqlite:${join(folder, "test.db")}`;
}

export interface Running {
  readonly app: INestApplication;
  readonly url: string;
  /** Sends a value as JSON, or a text as it is. */
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Response>;
}

/** An app of this root module, which listens; closed when the test ends. */
export async function started(
  root: Parameters<typeof NestFactory.create>[0],
  adapter: AbstractHttpAdapter,
  prepare: (app: INestApplication) => unknown = () => {},
  options: NestApplicationOptions = {},
): Promise<Running> {
  const app = await NestFactory.create(root, adapter, { logger: false, abortOnError: false, ...options });
  await prepare(app);
  return listening(app);
}

export async function listening(app: INestApplication): Promise<Running> {
  await app.listen(0, "127.0.0.1");
  onTestFinished(async () => app.close());
  const url = (await app.getUrl()).replace("[::1]", "127.0.0.1");
  const post = (path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> => {
    const isText = typeof body === "string";
    const sent = { connection: "close", ...(isText ? {} : { "content-type": "application/json" }), ...headers };
    return fetch(url + path, { method: "POST", headers: sent, body: isText ? body : JSON.stringify(body) });
  };
  return { app, url, post };
}

/** The path of a URL that the module's `webhookUrl` made. */
export function pathOf(url: string | undefined): string {
  return new URL(url!).pathname;
}

const urls = new Map<string, string>();

/** Hands its URL out, and returns what is sent there. */
export const waits: FunctionWorkflow<undefined, unknown> = defineWorkflow({ name: "waits" }, async (ctx) => {
  const hook = ctx.webhook();
  await ctx.step("hand out", () => void urls.set(ctx.runId, hook.url!));
  return hook.wait();
});

export interface Minted {
  readonly url: string;
  readonly token: string;
  readonly run: { readonly runId: string; readonly returnValue: Promise<unknown> };
}

/** A webhook that waits. */
export async function minted(engine: WorkflowEngine): Promise<Minted> {
  const run = await engine.start(waits, undefined);
  while (!urls.has(run.runId)) await new Promise((resolve) => setImmediate(resolve));
  const url = urls.get(run.runId)!;
  return { url, token: pathOf(url).split("/").at(-1)!, run };
}
