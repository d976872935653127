// The options that every bundler's entry takes.

/** How the compile step is set in a bundler. */
export interface PluginOptions {
  /** Names under which the package is installed, beside `workflow` and `ringback`. */
  readonly packages?: readonly string[];
  /**
   * What the code is built for. For `browser`, functions with directives throw, and what only they use is left out. Default: what the
   * tool says it builds for.
   */
  readonly target?: "server" | "browser";
  /** Whether the package stays outside of servers' bundles; its native parts do in any case. Default true. */
  readonly external?: boolean;
}
