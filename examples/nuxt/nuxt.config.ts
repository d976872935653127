export default defineNuxtConfig({
  modules: ["workflow/nuxt"],
  // Without these two stack traces show the bundle.
  sourcemap: { server: true },
  nitro: { experimental: { sourcemapMinify: false } },
});
