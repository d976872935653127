// Nuxt, whose server is Nitro: the module is handed on to it.

import { type Nitro, nitroModule } from "./nitro.ts";

/** What is used of Nuxt. */
export interface Nuxt {
  readonly options: { readonly workflow?: Nitro["options"]["workflow"] };
  hook(name: "nitro:config", listener: (config: { modules?: unknown[]; workflow?: unknown }) => void): unknown;
}

/** `modules: ["workflow/nuxt"]`; options stand under `workflow` in Nuxt's configuration. */
export function nuxtModule(_options: unknown, nuxt: Nuxt): void {
  nuxt.hook("nitro:config", (config) => {
    config.workflow ??= nuxt.options.workflow;
    config.modules = [...(config.modules ?? []), nitroModule];
  });
}
