import type { NextConfig } from "next";
import { withWorkflow } from "workflow/next";

const nextConfig: NextConfig = {
  // Stack traces in the author's files, to the column: `next start` under NODE_OPTIONS=--enable-source-maps.
  experimental: { serverSourceMaps: true, serverMinification: false },
};

export default withWorkflow(nextConfig);
