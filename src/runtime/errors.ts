// What this copy has for `ringback/errors`: the classes to catch, and the codes to tell them apart by.

export * from "../core/errors.ts";
