// `ringback/resume`: callbacks over HTTP for workflows of `ringback/portable`. Neither an engine nor anything of Node's.

export type { ResumeRecord, ResumeSaving, ResumeStore } from "./core/resume-store.ts";
export { memoryResumeStore } from "./store/memory/portable.ts";
export type { ResumeReceipt } from "./styles/portable/resume/door.ts";
export { type Resumed, type ResumeHandler, type ResumeHandlerOptions, resumeHandler } from "./styles/portable/resume/handler.ts";
export type { ResumeRan, ResumeRunOptions } from "./styles/portable/resume/run.ts";
