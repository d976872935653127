// The Nest app around the samples, which the tests compile, start and kill: its orders come over HTTP, and its services ask a payment
// provider over HTTP.
//
// NEST_PLATFORM is "express" or "fastify", NEST_BUILDER=none leaves out the URL builder, PROVIDER_URL is the provider's.

import "reflect-metadata";
import { Body, Controller, type DynamicModule, Get, Injectable, type LoggerService, Module, Param, Post, type Type } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import type { AddressInfo } from "node:net";
import { WorkflowEngine } from "workflow/context";
import { DurableModule } from "workflow/nest";

export interface Order {
  readonly id: string;
  readonly total: number;
}

export interface PaymentRequest {
  readonly orderId: string;
  readonly amountCents: number;
  readonly callbackUrl: string | undefined;
}

/** What a module is made of, beside this file. */
export interface Parts {
  readonly durable: () => DynamicModule;
  readonly providers: readonly Type<unknown>[];
  readonly controllers: readonly Type<unknown>[];
}

export const store: string = `sqlite:${process.env["CRASH_STORE"]}`;

async function tell(path: string, body: object): Promise<void> {
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${process.env["PROVIDER_URL"]}/${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`The provider answered ${response.status}.`);
}

export function ship(orderId: string, providerRef: string): Promise<void> {
  return tell("shipments", { orderId, providerRef });
}

@Injectable()
export class PaymentProviderService {
  createPayment(request: PaymentRequest): Promise<void> {
    return tell("payments", request);
  }
}

@Controller("runs")
class RunsController {
  readonly #engine: WorkflowEngine;

  constructor(engine: WorkflowEngine) {
    this.#engine = engine;
  }

  @Post(":workflow/:id")
  async start(@Param("workflow") workflow: string, @Param("id") id: string, @Body() input: unknown): Promise<object> {
    const { runId } = await this.#engine.start(workflow, input, id);
    return { runId };
  }

  @Get(":id/state")
  async state(@Param("id") id: string): Promise<object> {
    return { state: await this.#engine.getRun(id).state };
  }

  /** Answers when the run has ended. */
  @Get(":id")
  async ending(@Param("id") id: string): Promise<object> {
    try {
      return { returned: await this.#engine.getRun(id).returnValue };
    } catch (error) {
      const { name, message, code } = (error as Error).cause as Error & { readonly code?: string };
      return { thrown: { name, message, code } };
    }
  }
}

/** What is told goes where the test reads it, as it is. */
const say = (message: unknown): void => void process.stderr.write(`${String(message)}\n`);
const logger: LoggerService = { log() {}, warn: say, error: say, fatal: say };

export async function serve({ durable, providers, controllers }: Parts): Promise<void> {
  class App {}
  Module({
    imports: [process.env["NEST_BUILDER"] === "none" ? DurableModule.forRoot({ store }) : durable()],
    providers: [PaymentProviderService, ...providers],
    controllers: [RunsController, ...controllers],
  })(App);
  const options = { logger, abortOnError: false };
  const app = await (process.env["NEST_PLATFORM"] === "fastify"
    ? NestFactory.create(App, new (await import("@nestjs/platform-fastify")).FastifyAdapter(), options)
    : NestFactory.create(App, options));
  await app.listen(0, "127.0.0.1");
  process.send?.({ type: "ready", port: (app.getHttpServer().address() as AddressInfo).port });
}
