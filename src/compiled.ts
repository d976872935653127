// `ringback/compiled`: what the output of the compile step imports. Nobody else does.

import "./wiring.ts";

export * from "./styles/directives/compiled.ts";
