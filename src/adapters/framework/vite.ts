// What SvelteKit and Astro have in common by being built on Vite.

import { unplugin } from "../../styles/directives/plugin.ts";
import { bootModule, type FrameworkOptions, webhookRoute } from "./app.ts";

/** A plugin for `plugins` of Vite. */
export interface VitePlugin {
  readonly name: string;
}

/** What is used of Vite. */
export interface ViteConfig {
  readonly root: string;
  readonly base: string;
  readonly command: string;
  readonly logger: { error(message: string): void };
}

interface ViteServer {
  readonly config: ViteConfig;
  readonly httpServer: { once(event: "listening", listener: () => void): unknown; address(): unknown } | null;
  ssrLoadModule(id: string): Promise<Record<string, unknown>>;
}

/** What loads all workflows; see `bootModule`. */
export const bootId = "virtual:ringback/boot";

/** The compile step, and the boot module: loaded at the start of a dev server; a built app has to import it. */
export function vitePlugins(options: FrameworkOptions): VitePlugin[] {
  let config: ViteConfig;
  const boot = {
    name: "ringback:boot",
    configResolved: (resolved: ViteConfig) => {
      config = resolved;
    },
    resolveId: (id: string) => (id === bootId ? `\0${bootId}` : null),
    load: (id: string) =>
      id === `\0${bootId}` ? bootModule({ ...options, root: config.root, isBuilt: config.command === "build" }) : null,
    configureServer: (server: ViteServer) => {
      server.httpServer?.once("listening", () => void openIn(server, options));
    },
    transform: (code: string, id: string) => exempted(code, id, config.base),
  };
  const { packages = [] } = options;
  return [unplugin.vite({ packages }), boot];
}

async function openIn(server: ViteServer, { baseUrl }: FrameworkOptions): Promise<void> {
  const address = server.httpServer?.address() as { readonly port: number };
  if (baseUrl === undefined) process.env["RINGBACK_BASE_URL"] ||= `http://localhost:${address.port}${server.config.base}`;
  try {
    const { open } = (await server.ssrLoadModule(bootId)) as { readonly open: () => Promise<void> };
    await open();
  } catch (error) {
    server.config.logger.error((error as Error).stack ?? String(error));
  }
}

interface Guard {
  readonly module: RegExp;
  readonly name: string;
  /** Whether a path leads to the webhook route, as an expression. SvelteKit's hooks take every path that holds the route, Astro the one. */
  readonly isWebhook: (base: string) => string;
}

/** Which function of a framework refuses forms of other sites, by its module: what a webhook's sender posts may look like one. */
const guards: readonly Guard[] = [
  {
    module: /@sveltejs\/kit\/src\/runtime\/server\/csrf\.js$/,
    name: "is_csrf_forbidden",
    isWebhook: () => `.includes(${JSON.stringify(webhookRoute)})`,
  },
  {
    module: /astro\/dist\/core\/app\/origin-check\.js$/,
    name: "isForbiddenCrossOriginRequest",
    isWebhook: (base) => `.startsWith(${JSON.stringify(base.replace(/\/$/, "") + webhookRoute)})`,
  },
];

/** The webhook route knows its senders by the token, and by no cookie: there is nothing that another site could borrow. */
function exempted(code: string, id: string, base: string): { code: string; map: null } | null {
  const guard = guards.find(({ module }) => module.test(id));
  const head = `function ${guard?.name}(`;
  if (!guard || !code.includes(head)) return null;
  const own = `${guard.name}_elsewhere`;
  const isWebhook = `new URL((given.request ?? given).url).pathname${guard.isWebhook(base)}`;
  const exempting = `function ${guard.name}(given, ...more) { return !${isWebhook} && ${own}(given, ...more); } function ${own}(`;
  return { code: code.replace(head, () => exempting), map: null };
}
