// Node's own `process.nextTick`: imported before the engine.

export const native: typeof process.nextTick = process.nextTick;
