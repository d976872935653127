import { defineNitroConfig } from "nitro/config";

export default defineNitroConfig({
  modules: ["workflow/nitro"],
  // Without this Nitro leaves most maps empty, and stack traces show the bundle.
  experimental: { sourcemapMinify: false },
});
