import { build } from "esbuild";
import { workflow } from "workflow/esbuild";

await build({
  entryPoints: ["./order-app/server.ts"],
  outdir: "dist",
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20",
  sourcemap: true,
  plugins: [workflow()],
});
