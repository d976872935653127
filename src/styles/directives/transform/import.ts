// What a module imports: of the package itself, and of what workflow code must not touch.

/** Names that the package is installed under, unless its user says more. */
export const defaultPackages: readonly string[] = ["workflow", "ringback"];

/** Whether a specifier leads into one of the packages: to its root, or below. */
export function isRuntimeModule(specifier: string, packages: readonly string[]): boolean {
  return packages.some((name) => specifier === name || specifier.startsWith(`${name}/`));
}
