// What an app's container knows the module's own providers by. Copies of the package share them.

/** What the engine below `WorkflowEngine` is injected by: `@Inject(DURABLE_ENGINE) engine: Engine`. */
export const DURABLE_ENGINE: unique symbol = Symbol.for("ringback/nest-engine") as never;

/** The options as they were given, or as a factory made them. */
export const optionsToken: unique symbol = Symbol.for("ringback/nest-options") as never;
