// Nitro 2 and 3, and Nuxt by way of Nitro: virtual modules for the route and for what the server loads at its start.

import { join } from "node:path";
import { unplugin } from "../../styles/directives/plugin.ts";
import { bootModule, copyDriver, externalPackages, type FrameworkOptions, webhookRoute } from "./app.ts";

/** What is read and set of Nitro. */
export interface Nitro {
  readonly options: {
    readonly rootDir: string;
    readonly dev: boolean;
    readonly virtual: Record<string, string | (() => string | Promise<string>)>;
    readonly plugins: string[];
    readonly handlers: { route?: string; handler: string }[];
    esbuild?: { options?: { target?: unknown } };
    readonly externals?: { external?: unknown[] };
    readonly output: { readonly serverDir: string };
    readonly workflow?: FrameworkOptions;
  };
  /** Nitro 3 has this; its handlers take an event with a `Request` in it, those of Nitro 2 one of h3. */
  readonly routing?: unknown;
  readonly hooks: {
    hook(name: "rollup:before", listener: (nitro: never, config: { plugins?: unknown }) => void): unknown;
    hook(name: "compiled", listener: () => void): unknown;
  };
}

const boot = "#ringback/boot";
const route = "#ringback/webhook";
const plugin = "#ringback/plugin";

/** `modules: ["workflow/nitro"]`; options stand under `workflow` in Nitro's configuration. */
export const nitroModule: { name: string; setup(nitro: Nitro): void } = {
  name: "ringback/nitro",
  setup(nitro) {
    const { dev, externals, handlers, plugins, rootDir, virtual, workflow = {} } = nitro.options;
    const { packages = [] } = workflow;
    const ours = new RegExp(`(?:^|/node_modules/)(?:${externalPackages(workflow).join("|")})(?:/|$)`);
    nitro.hooks.hook("rollup:before", (_, config) => {
      config.plugins = [unplugin.rollup({ packages, external: false }), config.plugins];
    });
    nitro.hooks.hook("compiled", () => copyDriver(join(nitro.options.output.serverDir, "node_modules")));
    virtual[boot] = () => bootModule({ ...workflow, root: rootDir, isBuilt: !dev });
    virtual[plugin] = pluginModule;
    virtual[route] = nitro.routing
      ? `import { ingress } from "${boot}";\nexport default ({ req }) => ingress(req);\n`
      : `import { fromWebHandler } from "h3";\nimport { ingress } from "${boot}";\nexport default fromWebHandler(ingress);\n`;
    // Nuxt takes the packages of its modules into the bundle; a function counts for more than what it says.
    if (externals) externals.external = [...(externals.external ?? []), (id: string) => ours.test(id)];
    // Nitro 3 leaves code as it is written, and Node 20 and 22 cannot read `using`.
    if (nitro.routing)
      nitro.options.esbuild = { ...nitro.options.esbuild, options: { target: "node20.19", ...nitro.options.esbuild?.options } };
    handlers.push({ route: `${webhookRoute}:token`, handler: route });
    plugins.push(plugin);
  },
};

const pluginModule = `import { close, open } from "${boot}";
export default (nitro) => {
  if (import.meta.prerender) return;
  open().catch((error) => console.error(error));
  nitro.hooks.hook("close", () => close());
};
`;
