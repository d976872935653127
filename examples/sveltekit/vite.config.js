import adapter from "@sveltejs/adapter-node";
import { sveltekit } from "@sveltejs/kit/vite";
import { defineConfig } from "vite";
import { workflowPlugin } from "workflow/sveltekit";

export default defineConfig({
  build: { sourcemap: true },
  plugins: [sveltekit({ adapter: adapter() }), workflowPlugin()],
});
