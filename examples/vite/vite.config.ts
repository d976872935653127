import type { UserConfig } from "vite";
import { workflow } from "workflow/vite";

const config: UserConfig = {
  plugins: [workflow()],
  build: { ssr: "./order-app/server.ts", target: "node20", sourcemap: true },
};
export default config;
