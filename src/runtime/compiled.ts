// What this copy has for `ringback/compiled`: what the output of the compile step imports, and what loads it.

export * from "../styles/directives/compiled.ts";
export { goOn } from "../wiring.ts";
