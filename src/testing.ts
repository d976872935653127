// `ringback/testing`: time that tests move, when they may look, the store that is the oracle, and the laws every store must meet.

export { memoryStore } from "./store/memory/store.ts";
export * from "./testing/conformance.ts";
export * from "./testing/resume-conformance.ts";
export { createManualClock, type ManualClock } from "./testing/manual-clock.ts";
export { settled } from "./testing/settled.ts";
