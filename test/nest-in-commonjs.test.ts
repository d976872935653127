// The package as npm lays it out, in Nest apps that are CommonJS, as most are: real processes, which are ended as a host ends them.

import { beforeAll, expect, test } from "vitest";
import { createProject, link, type Project } from "./cli/project.ts";
import { join } from "node:path";

let project: Project;
beforeAll(async () => {
  project = await createProject();
  project.installAs("workflow");
  for (const name of ["@nestjs/common", "@nestjs/core", "@nestjs/platform-express", "reflect-metadata", "rxjs"])
    link(name, join(project.folder, "node_modules"));
});

/** As `tsc` writes it. The user's `WorkflowEngine` is of one copy of the package, the module of another. */
const app = `
require("reflect-metadata");
const { Module } = require("@nestjs/common");
const { NestFactory } = require("@nestjs/core");
const { Workflow, WorkflowEngine, defineWorkflow } = require("ringback/context");
const nest = require("workflow/nest");

class Psp {
  asked = new Promise((resolve) => { this.onModuleDestroy = resolve; });
  async pay() { console.log("paying"); await this.asked; console.log("paid"); }
  onApplicationShutdown(signal) { console.log("closed by " + signal); }
}
class Order {
  constructor(psp) { this.psp = psp; }
  async run(ctx, id) {
    await ctx.step("pay", () => this.psp.pay());
    return ctx.step("ship", () => id + " shipped");
  }
}
Reflect.defineMetadata("design:paramtypes", [Psp], Order);
Workflow({ name: "order" })(Order);
class Starter {
  constructor(engine) { this.engine = engine; }
  async onApplicationBootstrap() {
    const run = await this.engine.start(Order, "o-1", "o-1");
    run.returnValue.then(console.log, () => {});
  }
}
Reflect.defineMetadata("design:paramtypes", [WorkflowEngine], Starter);
class Root {}
Module({ imports: [nest.DurableModule.forRoot({ store: "sqlite:app.db", baseUrl: null })], providers: [Psp, Order, Starter] })(Root);
NestFactory.create(Root, { logger: ["error"] }).then(async (app) => {
  app.enableShutdownHooks();
  await app.listen(0);
  console.log("one class: " + (nest.WorkflowEngine === WorkflowEngine));
});
`;

test("a CommonJS app requires it, and what SIGTERM finds running ends before the process does", async () => {
  const cwd = project.newFolder({ "app.cjs": app });
  const first = project.startApp("app.cjs", { cwd });
  await Promise.all([first.shows("paying"), first.shows("one class: true")]);
  first.signal("SIGTERM");
  await first.ended;
  expect(first.child.signalCode).toBe("SIGTERM");
  expect(first.stdout.split("\n").slice(-3)).toEqual(["paid", "closed by SIGTERM", ""]);
  const second = project.startApp("app.cjs", { cwd });
  await second.shows("o-1 shipped");
  expect(second.stdout).not.toContain("paying");
});
