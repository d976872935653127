// What an app sets up in a way that could only surprise later is refused as it starts, with what, which and what to do.

import { Inject, Injectable, Module, type ModuleMetadata, Scope } from "@nestjs/common";
import { NestFactory, REQUEST } from "@nestjs/core";
import { describe, expect, onTestFinished, test } from "vitest";
import { DurableModule, type DurableModuleOptions, Step, Workflow, WorkflowEngine } from "../src/nest.ts";
import { settings } from "./nest/app.ts";

const any = (value: unknown): never => value as never;

function thrown(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    return `${(error as { code: string }).code}: ${(error as Error).message}`;
  }
  return "nothing";
}

/** What an app with these parts says as it starts. */
async function starting({ imports = [DurableModule.forRoot(settings)], ...parts }: ModuleMetadata): Promise<string> {
  const module = { module: class Root {}, imports, ...parts } as never;
  try {
    const app = await NestFactory.createApplicationContext(module, { logger: false, abortOnError: false });
    onTestFinished(() => app.close());
    return "nothing";
  } catch (error) {
    return `${(error as { code?: string }).code}: ${(error as Error).message}`;
  }
}

describe("options", () => {
  test.each<[DurableModuleOptions, string | RegExp]>([
    [any({ webhookURL: "x" }), /has no option "webhookURL"\. Did you mean "webhookUrl"\? It takes store, webhookUrl, path, .*\.$/],
    [any({ pth: "x" }), /has no option "pth"\. Did you mean "path"\?/],
    [{ path: "" }, 'takes a path without parameters, such as "durable/api/webhooks", got "".'],
    [{ path: "hooks/:token" }, 'takes a path without parameters, such as "durable/api/webhooks", got "hooks/:token".'],
    [any({ path: 1 }), "got 1."],
    [any({ drive: "no" }), "takes { drive: false } where this process is to run nothing, got string."],
    [{ drive: true, role: "ingress" }, '{ drive: true } beside { role: "ingress" }, which says the opposite: leave one out.'],
    [any({ shutdownTimeoutMs: "10s" }), "takes { shutdownTimeoutMs } in milliseconds, from 0."],
    [any({ admin: { authorize: () => true } }), "{ admin: { path } } takes a path without parameters"],
    [any({ admin: { path: "ops", authorise: () => true } }), /has no option "authorise"\. Did you mean "authorize"\?/],
    [{ admin: { path: "/durable/api/webhooks/ops" } }, "where callbacks come in: give it a path of its own."],
    [{ path: "hooks", admin: { path: "hooks" } }, "where callbacks come in: give it a path of its own."],
  ])("%j", (options, said) => {
    const told = thrown(() => DurableModule.forRoot(options));
    expect(told).toMatch(/^bad_argument: DurableModule\.forRoot\(\)/);
    expect(told).toMatch(said);
  });

  test("what an engine refuses is told as the app starts", async () => {
    expect(await starting({ imports: [DurableModule.forRoot({ store: "mysql://x" })] })).toMatch(/^bad_store_url: /);
  });

  test("options that a factory made", async () => {
    const imports = [DurableModule.forRootAsync({ useFactory: () => any({ ...settings, pth: "x" }) })];
    expect(await starting({ imports })).toMatch(/^bad_argument: DurableModule\.forRootAsync\(\) has no option "pth"/);
    expect(thrown(() => DurableModule.forRootAsync({}))).toBe(
      "bad_argument: DurableModule.forRootAsync() takes one of useFactory, useClass and useExisting, got 0.",
    );
    expect(thrown(() => DurableModule.forRootAsync(any({ useFatory: () => settings })))).toMatch(/Did you mean "useFactory"\?/);
  });
});

describe("the module", () => {
  test("as it is", async () => {
    expect(await starting({ imports: [DurableModule] })).toBe(
      "bad_argument: DurableModule is imported as it is: write DurableModule.forRoot({ store, webhookUrl }) instead.",
    );
  });
  test("twice", async () => {
    expect(await starting({ imports: [DurableModule.forRoot(settings), DurableModule.forRoot({ ...settings, path: "b" })] })).toMatch(
      /^bad_argument: This app imports DurableModule twice\./,
    );
  });
});

@Workflow({ name: "short" })
@Injectable({ scope: Scope.REQUEST })
class Short {
  run(): void {}
}
@Injectable({ scope: Scope.TRANSIENT })
class Transient {
  @Step()
  step(): void {}
}
@Workflow({ name: "by what it injects" })
class Asking {
  @Inject(REQUEST) readonly request!: unknown;
  run(): void {}
}
@Workflow({ name: "fine" })
class Fine {
  run(): void {}
}

class Psp {}
class Untyped {
  readonly psp: unknown;
  constructor(psp: unknown) {
    this.psp = psp;
  }
  run(): void {}
}
Workflow({ name: "untyped" })(Untyped);
class Unmarked {
  readonly psp: unknown;
  constructor(psp: Psp) {
    this.psp = psp;
  }
  @Step()
  step(): void {}
}
class Told {
  readonly psp: unknown;
  constructor(psp: unknown) {
    this.psp = psp;
  }
  run(): void {}
}
Workflow({ name: "told" })(Told);
Inject(Psp)(Told, undefined, 0);

@Workflow({ name: "injected" })
class Injected {
  readonly psp: Psp;
  constructor(psp: Psp) {
    this.psp = psp;
  }
  run(): void {}
}
@Workflow({ name: "inheriting" })
class Inheriting extends Injected {}

describe("providers", () => {
  test.each([
    [Short, "Class Short, which has @Workflow(), is request-scoped, by itself or by what it injects."],
    [Asking, "Class Asking, which has @Workflow(), is request-scoped, by itself or by what it injects."],
    [Transient, "Class Transient, which has @Step() methods, is transient."],
  ])("that do not outlive a request: $name", async (provider, said) => {
    const told = await starting({ providers: [provider] });
    expect(told).toBe(
      `bad_argument: ${said} A run outlives requests and calls one instance: give the class the default scope, and take what belongs to a request as the run's input.`,
    );
  });

  test("of one class in two modules", async () => {
    @Module({ providers: [Fine] })
    class First {}
    @Module({ providers: [Fine] })
    class Second {}
    expect(await starting({ imports: [DurableModule.forRoot(settings), First, Second] })).toBe(
      "bad_argument: Class Fine, which has @Workflow(), is provided twice, by First and Second: runs could call either. Provide it in one module, and export it from there.",
    );
  });

  test.each([
    ["its constructor", Injected],
    ["the constructor it inherits", Inheriting],
    ["a property", Asking],
  ])("that are listed as workflows and are none, though they take what the container has, in %s", async (_, listed) => {
    expect(await starting({ imports: [DurableModule.forRoot({ ...settings, workflows: [listed] })] })).toBe(
      `bad_argument: Class ${listed.name}, which has @Workflow(), is listed in DurableModule's workflows, and takes what only Nest's container can give to it: make it a provider of a module. It need not be listed then.`,
    );
  });

  test("under two names of one instance are one", async () => {
    expect(await starting({ providers: [Fine, { provide: "alias", useExisting: Fine }, { provide: "value", useValue: { a: 1 } }] })).toBe(
      "nothing",
    );
  });

  test("that were compiled without the types of what they take", async () => {
    const advice =
      'Compile it by tsc or SWC with "emitDecoratorMetadata" (esbuild and tsx leave that out) and give it @Injectable() or @Workflow(), or write @Inject() at each parameter.';
    const said = (name: string, has: string): string =>
      `bad_argument: Class ${name}, which has ${has}, takes 1 in its constructor, and what they are is not known: Nest would pass undefined. ${advice}`;
    expect(await starting({ providers: [Psp, Untyped] })).toBe(said("Untyped", "@Workflow()"));
    expect(await starting({ providers: [Psp, Unmarked] })).toBe(said("Unmarked", "@Step() methods"));
    expect(await starting({ providers: [Psp, Told] })).toBe("nothing");
    expect(await starting({ providers: [{ provide: Untyped, useFactory: () => new Untyped(1) }] })).toBe("nothing");
  });

  test("workflows that no provider has are told of at the start of a run", async () => {
    const app = await NestFactory.createApplicationContext(DurableModule.forRoot(settings) as never, {
      logger: false,
      abortOnError: false,
    });
    onTestFinished(() => app.close());
    await expect(app.get(WorkflowEngine).start(Fine, undefined as never)).rejects.toMatchObject({
      code: "workflow_not_registered",
      message: expect.stringContaining("in a Nest app, make its class a provider") as string,
    });
  });
});
