import { workflow } from "workflow/webpack";

export default {
  mode: "production",
  target: "node20",
  entry: { server: "./order-app/server.ts" },
  output: { filename: "[name].cjs" },
  devtool: "source-map",
  module: { rules: [{ test: /\.ts$/, loader: "esbuild-loader", options: { target: "node20" } }] },
  plugins: [workflow()],
};
