import { defineConfig } from "rolldown";
import { workflow } from "workflow/rolldown";

export default defineConfig({
  input: "./order-app/server.ts",
  output: { dir: "dist", sourcemap: true },
  platform: "node",
  transform: { target: "node20" },
  plugins: [workflow()],
});
