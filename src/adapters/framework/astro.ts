// Astro with its Node adapter: the route is injected, and the built server loads the boot module with its own entry.

import { writeFileSync } from "node:fs";
import { type FrameworkOptions, webhookRoute } from "./app.ts";
import { bootId, type VitePlugin, vitePlugins } from "./vite.ts";

/** What is used of the hook `astro:config:setup`. */
export interface AstroSetup {
  readonly config: { readonly site?: string; readonly base: string };
  injectRoute(route: { pattern: string; entrypoint: URL; prerender: boolean }): void;
  updateConfig(config: { vite: { plugins: VitePlugin[] } }): unknown;
  createCodegenDir(): URL;
}

interface TransformContext {
  readonly environment?: { readonly name: string };
  getModuleInfo(id: string): { readonly isEntry: boolean } | null;
}

/** An integration. */
export interface AstroIntegration {
  name: string;
  hooks: { "astro:config:setup": (setup: AstroSetup) => void };
}

/** `integrations: [workflow()]` in `astro.config.mjs`. `site`, with `base`, says where callbacks reach the app, unless `RINGBACK_BASE_URL` does. */
export function workflow(options: FrameworkOptions = {}): AstroIntegration {
  return {
    name: "ringback/astro",
    hooks: {
      "astro:config:setup": ({ config, createCodegenDir, injectRoute, updateConfig }) => {
        const { site, base } = config;
        const baseUrl = options.baseUrl ?? (site === undefined ? undefined : new URL(base, site).href);
        const entrypoint = new URL("webhook.js", createCodegenDir());
        writeFileSync(entrypoint, `import { ingress } from "${bootId}";\nexport const ALL = ({ request }) => ingress(request);\n`);
        injectRoute({ pattern: `${webhookRoute}[token]`, entrypoint, prerender: false });
        updateConfig({ vite: { plugins: [...vitePlugins(baseUrl === undefined ? options : { ...options, baseUrl }), startPlugin] } });
      },
    },
  };
}

const startId = "virtual:ringback/start";

const startPlugin = {
  name: "ringback:start",
  apply: "build",
  resolveId: (id: string) => (id === startId ? `\0${startId}` : null),
  load: (id: string) =>
    id === `\0${startId}` ? `import { open } from "${bootId}";\nopen().catch((error) => console.error(error));\n` : null,
  transform(this: TransformContext, code: string, id: string) {
    const isServer = this.environment?.name === "ssr" && this.getModuleInfo(id)?.isEntry === true;
    return isServer ? { code: `${code}\nimport "${startId}";\n`, map: null, moduleSideEffects: true } : null;
  },
};
