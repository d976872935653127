import esbuild from "rollup-plugin-esbuild";
import { workflow } from "workflow/rollup";

export default {
  input: "./order-app/server.ts",
  output: { dir: "dist", format: "es", sourcemap: true },
  external: /^node:/,
  plugins: [workflow(), esbuild({ target: "node20" })],
};
