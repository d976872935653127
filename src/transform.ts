// `ringback/transform`: the compile step itself, for build tools that have no plugin here.

export { type Compiled, type Declared, type ModuleToCompile, type Place, compile, type Warning } from "./styles/directives/transform.ts";
