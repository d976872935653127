// `ringback/workflow`: the same as `ringback/portable`, so that `awaitly/workflow` answers where the package is installed under that name.

export * from "./styles/portable/portable.ts";
