import { workflow } from "workflow/rspack";

export default {
  mode: "production",
  target: "node20",
  entry: { server: "./order-app/server.ts" },
  output: { filename: "[name].cjs" },
  devtool: "source-map",
  optimization: { minimize: false }, // the minifier moves what stack traces point at by a word
  module: {
    rules: [
      {
        test: /\.ts$/,
        loader: "builtin:swc-loader",
        options: { jsc: { parser: { syntax: "typescript" } }, env: { targets: { node: "20" } } },
        type: "javascript/auto",
      },
    ],
  },
  plugins: [workflow()],
};
