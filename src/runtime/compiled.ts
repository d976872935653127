// What this copy has for `ringback/compiled`: what the output of the compile step imports.

export * from "../styles/directives/compiled.ts";
