import type { ViteUserConfig } from "vitest/config";
import { workflow } from "workflow/vite";

const config: ViteUserConfig = {
  plugins: [workflow()],
  test: { include: ["test/**/*.test.mjs"] },
};
export default config;
