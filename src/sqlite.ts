// `ringback/sqlite`: keeps runs of `ringback/resume` in a SQLite file.

export { sqliteResumeStore } from "./store/sqlite/portable.ts";
