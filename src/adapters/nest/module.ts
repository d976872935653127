// The module: one engine for a Nest app, and what the app's classes inject of it.

import { type DynamicModule, Inject, Optional, type Provider } from "@nestjs/common";
import { ApplicationConfig, DiscoveryModule, DiscoveryService, HttpAdapterHost } from "@nestjs/core";
import { badArgument } from "../../core/argument.ts";
import { WorkflowEngine } from "../../context.ts";
import { DurableApp } from "./app.ts";
import {
  checkAsyncOptions,
  checkModuleOptions,
  type DurableModuleAsyncOptions,
  type DurableModuleOptions,
  type DurableOptionsFactory,
} from "./option.ts";
import { DURABLE_ENGINE, optionsToken } from "./token.ts";

/**
 * Runs workflows in a NestJS app: import `DurableModule.forRoot({ store, webhookUrl })` once. `WorkflowEngine` can be injected everywhere;
 * providers with `@Workflow` and `@Step` are found, wherever they are provided; callbacks come in at `POST durable/api/webhooks/:token`.
 */
export class DurableModule {
  constructor(options: unknown) {
    if (options !== undefined) return;
    throw badArgument(
      "imports",
      options,
      "DurableModule is imported as it is: write DurableModule.forRoot({ store, webhookUrl }) instead.",
    );
  }

  /** With these options. Throws `bad_argument`. */
  static forRoot(options: DurableModuleOptions = {}): DynamicModule {
    return moduleWith([{ provide: optionsToken, useValue: checkModuleOptions("DurableModule.forRoot()", options) }]);
  }

  /** With options that need other providers: `forRootAsync({ inject: [ConfigService], useFactory: (config) => ({ … }) })`. */
  static forRootAsync(options: DurableModuleAsyncOptions): DynamicModule {
    checkAsyncOptions(options);
    const { imports = [], inject = [], useFactory, useClass, useExisting } = options;
    const check = (made: DurableModuleOptions): DurableModuleOptions => checkModuleOptions("DurableModule.forRootAsync()", made);
    if (useFactory) {
      const make = async (...injected: unknown[]): Promise<DurableModuleOptions> => check(await useFactory(...(injected as never[])));
      return moduleWith([{ provide: optionsToken, useFactory: make, inject }], imports);
    }
    const make = async (factory: DurableOptionsFactory): Promise<DurableModuleOptions> => check(await factory.createDurableOptions());
    const own: Provider[] = useClass ? [useClass] : [];
    return moduleWith([...own, { provide: optionsToken, useFactory: make, inject: [useClass ?? useExisting!] }], imports);
  }
}

Inject(optionsToken)(DurableModule, undefined, 0);
Optional()(DurableModule, undefined as never, 0);

function moduleWith(providers: readonly Provider[], imports: NonNullable<DynamicModule["imports"]> = []): DynamicModule {
  return {
    module: DurableModule,
    global: true,
    imports: [DiscoveryModule, ...imports],
    providers: [
      ...providers,
      {
        provide: DurableApp,
        useFactory: (...parts: ConstructorParameters<typeof DurableApp>) => new DurableApp(...parts),
        inject: [optionsToken, DiscoveryService, HttpAdapterHost, ApplicationConfig],
      },
      { provide: WorkflowEngine, useFactory: (app: DurableApp) => app.workflowEngine, inject: [DurableApp] },
      { provide: DURABLE_ENGINE, useFactory: (app: DurableApp) => app.engine, inject: [DurableApp] },
    ],
    exports: [WorkflowEngine, DURABLE_ENGINE],
  };
}
