// What `DurableModule` takes: an engine's options, and those of the app around it.

import type { InjectionToken, ModuleMetadata, OptionalFactoryDependency, Type } from "@nestjs/common";
import { badArgument, checkOptions, kindOf, type OptionNames } from "../../core/argument.ts";
import type { WorkflowEngineOptions } from "../../context.ts";
import type { AdminOptions, EngineOptions } from "../../index.ts";

/** How the module's engine is made, and where the app lets callbacks in. */
export interface DurableModuleOptions extends Omit<EngineOptions, "workflows" | "admin"> {
  /**
   * Where the outside reaches this app, such as `https://api.example.com`: webhooks' URLs are `<baseUrl>/<path>/<token>`. Default:
   * `RINGBACK_BASE_URL`. `null` where no URLs are made.
   */
  readonly baseUrl?: string | null;
  /**
   * What `defineWorkflow` returned. Classes with `@Workflow` need not be named: the providers of the app are looked through. Of a class that
   * is named, runs call the provider's instance; one that takes nothing of the container may be named without being a provider.
   */
  readonly workflows?: WorkflowEngineOptions["workflows"];
  /** Where callbacks come in: `POST /<path>/:token`, below the app's global prefix and without it. Default `durable/api/webhooks`. */
  readonly path?: string;
  /** `false`: this process starts, delivers and reads, but runs nothing, as `role: "ingress"`. */
  readonly drive?: boolean;
  /** How long a closing app waits for step bodies that run. Default 10 s. */
  readonly shutdownTimeoutMs?: number;
  /** Serves `engine.admin`, at a path of its own and behind its own gate. Without it, it is served nowhere. */
  readonly admin?: DurableAdminOptions;
  /** Accepted for modules that were written for brokers. Without effect, told once in the log: steps run where their runs do. */
  readonly transport?: unknown;
}

/** Where the admin handler is, and who may use it. */
export interface DurableAdminOptions extends Partial<AdminOptions> {
  /** Its routes stand below it: with `ops`, `GET /ops/runs`. */
  readonly path: string;
}

/** What makes options in a class of the app's. */
export interface DurableOptionsFactory {
  createDurableOptions(): DurableModuleOptions | Promise<DurableModuleOptions>;
}

/** Options that need what the app's container has. One of `useFactory`, `useClass` and `useExisting`. */
export interface DurableModuleAsyncOptions extends Pick<ModuleMetadata, "imports"> {
  /** What `useFactory` is called with. */
  readonly inject?: (InjectionToken | OptionalFactoryDependency)[];
  /** Makes the options. */
  readonly useFactory?: (...injected: never[]) => DurableModuleOptions | Promise<DurableModuleOptions>;
  /** A class that makes them; the module makes the instance. */
  readonly useClass?: Type<DurableOptionsFactory>;
  /** The same where a module in `imports` has the instance. */
  readonly useExisting?: InjectionToken<DurableOptionsFactory>;
}

const optionNames: OptionNames<DurableModuleOptions> = {
  store: true,
  webhookUrl: true,
  path: true,
  workflows: true,
  drive: true,
  shutdownTimeoutMs: true,
  admin: true,
  transport: true,
  baseUrl: true,
  keys: true,
  encryption: true,
  role: true,
  create: true,
  logger: true,
  clock: true,
  random: true,
  hotRuns: true,
  concurrency: true,
  leaseMs: true,
  cancelGraceMs: true,
  bodyBytes: true,
  rateLimit: true,
  classes: true,
  early: true,
  retention: true,
};
const adminNames: OptionNames<DurableAdminOptions> = { path: true, authorize: true };
const asyncNames: OptionNames<DurableModuleAsyncOptions> = {
  imports: true,
  inject: true,
  useFactory: true,
  useClass: true,
  useExisting: true,
};

/** Refuses what cannot be meant, at the call that has it. What goes on to the engine is judged there. */
export function checkModuleOptions(call: string, options: DurableModuleOptions): DurableModuleOptions {
  checkOptions(call, options, optionNames);
  const { path, admin, drive, role, shutdownTimeoutMs } = options;
  if (path !== undefined) checkPath(`${call} { path }`, path);
  if (admin !== undefined) checkAdmin(call, admin, path ?? defaultPath);
  if (drive !== undefined && typeof drive !== "boolean")
    throw badArgument("drive", drive, `${call} takes { drive: false } where this process is to run nothing, got ${kindOf(drive)}.`);
  if (drive !== undefined && role !== undefined && drive !== (role === "worker"))
    throw badArgument(
      "drive",
      drive,
      `${call} has { drive: ${drive} } beside { role: "${role}" }, which says the opposite: leave one out.`,
    );
  if (shutdownTimeoutMs !== undefined && !(typeof shutdownTimeoutMs === "number" && shutdownTimeoutMs >= 0))
    throw badArgument("shutdownTimeoutMs", shutdownTimeoutMs, `${call} takes { shutdownTimeoutMs } in milliseconds, from 0.`);
  return options;
}

export function checkAsyncOptions(options: DurableModuleAsyncOptions): void {
  const call = "DurableModule.forRootAsync()";
  checkOptions(call, options, asyncNames);
  const { useFactory, useClass, useExisting } = options;
  const given = [useFactory, useClass, useExisting].filter((each) => each !== undefined);
  if (given.length !== 1)
    throw badArgument("useFactory", given, `${call} takes one of useFactory, useClass and useExisting, got ${given.length}.`);
}

/** Where callbacks come in unless the module is told. */
export const defaultPath = "durable/api/webhooks";

/** A path as it stands in URLs, with a slash at both ends. */
export function rootOf(path: string): string {
  return `/${path.replace(/^\/+|\/+$/g, "")}/`;
}

/** The base URL that was given; null where the engine is to say what is wrong with it, and where it was said that there is none. */
export function baseOf({ baseUrl }: DurableModuleOptions): URL | null | undefined {
  const base = baseUrl === undefined ? process.env["RINGBACK_BASE_URL"] || undefined : baseUrl;
  if (base === undefined) return undefined;
  const url = base !== null && URL.canParse(base) ? new URL(base) : null;
  return url !== null && /^https?:$/.test(url.protocol) ? url : null;
}

function checkAdmin(call: string, admin: DurableAdminOptions, webhooks: string): void {
  checkOptions(`${call} { admin }`, admin, adminNames);
  checkPath(`${call} { admin: { path } }`, admin.path);
  if (rootOf(admin.path).startsWith(rootOf(webhooks)))
    throw badArgument(
      "path",
      admin.path,
      `${call} has { admin: { path: "${admin.path}" } } where callbacks come in: give it a path of its own.`,
    );
}

function checkPath(what: string, path: unknown): void {
  if (typeof path === "string" && /^\/*[\w.~!$&'()+,;=@-][^?#*:\s]*$/.test(path)) return;
  throw badArgument("path", path, `${what} takes a path without parameters, such as "durable/api/webhooks", got ${JSON.stringify(path)}.`);
}
