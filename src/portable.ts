// `ringback/portable`: workflows whose state is their caller's to keep. Neither an engine nor anything of Node's.

export * from "./styles/portable/portable.ts";
