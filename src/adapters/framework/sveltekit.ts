// SvelteKit on a Node server: the app's server hooks are wrapped, so that the route is served and the engine opened by what SvelteKit
// itself calls. An app without hooks is given a file of them, since SvelteKit asks only for those that it finds.

import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type FrameworkOptions, majorOf, webhookRoute } from "./app.ts";
import { bootId, type ViteConfig, type VitePlugin, vitePlugins } from "./vite.ts";

interface ResolveContext {
  resolve(id: string, importer: string | undefined, options: object): Promise<{ readonly id: string } | null>;
}

const wrapper = "\0ringback/hooks";
const emptyHooks =
  "// Made by workflowPlugin() of ringback/sveltekit, which adds to the hooks of the app. Put your own here.\nexport {};\n";

/** `plugins: [sveltekit(), workflowPlugin()]` in `vite.config.ts`. In production `RINGBACK_BASE_URL` says where callbacks reach the app. */
export function workflowPlugin(options: FrameworkOptions = {}): VitePlugin[] {
  let root = process.cwd();
  let own = hooksIn(root);
  const hooks = {
    name: "ringback:sveltekit",
    enforce: "pre",
    configResolved: (config: ViteConfig) => {
      root = config.root;
      own = hooksIn(root);
    },
    async resolveId(this: ResolveContext, id: string, importer: string | undefined, given: object) {
      if (importer === wrapper || !/hooks\.server/.test(id)) return null;
      const found = await this.resolve(id, importer, { ...given, skipSelf: true });
      return found?.id === own ? wrapper : null;
    },
    load: (id: string) => (id === wrapper ? wrapped(own, root) : null),
  };
  return [...vitePlugins(options), hooks];
}

function hooksIn(root: string): string {
  const names = ["hooks.server.ts", "hooks.server.js", "hooks.server/index.ts", "hooks.server/index.js"];
  const found = names.map((name) => join(root, "src", name)).find((file) => existsSync(file));
  if (found !== undefined) return found;
  const file = join(root, "src/hooks.server.js");
  if (existsSync(join(root, "src"))) writeFileSync(file, emptyHooks);
  return file;
}

function wrapped(own: string, root: string): string {
  const environment = majorOf("@sveltejs/kit", root) >= 3 ? "$app/env" : "$app/environment";
  return `import * as hooks from ${JSON.stringify(own)};
import { building } from "${environment}";
import { close, ingress, open } from "${bootId}";
export * from ${JSON.stringify(own)};
const own = { ...hooks };
export const init = async () => {
  await own.init?.();
  if (building) return;
  await open();
  process.once("sveltekit:shutdown", () => close());
};
const handleOthers = own.handle ?? (({ event, resolve }) => resolve(event));
export const handle = (input) =>
  input.event.url.pathname.includes(${JSON.stringify(webhookRoute)}) ? ingress(input.event.request) : handleOthers(input);
`;
}
