// What must match what: error codes and their pages, the package's exports and the entry files, the root's names and their reasons,
// entries and their API reports, dependencies and the reasons for them, the lock file and the platforms.

import type { Project, Rule, Violation } from "./project.ts";
import { isNode, nameOf, type Node, type Source } from "./source.ts";

const errorFile = "src/core/errors.ts";
const errorPages = "docs/errors/";

export const errorPageRule: Rule = {
  name: "each error code has a page, and each page a code",
  check: (project) => {
    const codes = project.has(errorFile) ? codesOf(project.source(errorFile)) : [];
    const found: Violation[] = [];
    for (const { code, line } of codes) {
      const page = `${errorPages}${code}.md`;
      if (!project.has(page)) found.push({ file: errorFile, line, message: `${code} has no page: write ${page}` });
      else if (project.text(page).split("\n", 1)[0] !== `# ${code}`)
        found.push({ file: page, line: 1, message: `does not open with "# ${code}"` });
    }
    for (const file of project.paths(errorPages)) {
      const code = file.slice(errorPages.length).replace(/\.md$/, "");
      if (code !== "README" && !codes.some((each) => each.code === code))
        found.push({ file, line: 1, message: `no code ${code} in ${errorFile}` });
    }
    return found;
  },
};

function codesOf(source: Source): { readonly code: string; readonly line: number }[] {
  const declared = (source.program["body"] as readonly Node[]).map((node) => (isNode(node["declaration"]) ? node["declaration"] : node));
  const table = declared.find((node) => node.type === "TSInterfaceDeclaration" && nameOf(node["id"]) === "ErrorDetails");
  const members = isNode(table?.["body"]) ? (table["body"]["body"] as readonly Node[]) : [];
  return members.map((member) => ({ code: nameOf(member["key"]) ?? "", line: source.line(member.start) }));
}

interface Manifest {
  readonly exports?: Record<string, string | { readonly types?: string; readonly default?: string }>;
  readonly sideEffects?: readonly string[];
  readonly typesVersions?: { readonly "*": Record<string, readonly string[]> };
}
const manifestFile = "package.json";
const notEntries = new Set(["src/wiring.ts"]);

/** The entry files that stand in `src/`. */
function entriesOf(project: Project): string[] {
  return project.paths("src/").filter((path) => /^src\/[^/]+\.ts$/.test(path) && !notEntries.has(path));
}

export const exportsRule: Rule = {
  name: "the package's exports are its entry files",
  check: (project) => {
    const entries = entriesOf(project);
    if (entries.length === 0 || !project.has(manifestFile)) return [];
    const text = project.text(manifestFile).split("\n");
    const { exports = {}, sideEffects = [], typesVersions } = JSON.parse(project.text(manifestFile)) as Manifest;
    const found: Violation[] = [];
    const add = (needle: string, message: string): void => {
      found.push({ file: manifestFile, line: text.findIndex((line) => line.includes(`"${needle}"`)) + 1, message });
    };
    const promised = new Set<string>();
    for (const [name, target] of Object.entries(exports)) {
      if (name === "./package.json") continue;
      if (typeof target === "string") {
        add(name, `${name} must name "types" and "default"`);
        continue;
      }
      const [source, types] = [sourceOf(target.default, ".js"), sourceOf(target.types, ".d.ts")];
      // An entry that hands on the first copy's values has its types where these are declared, with their documentation.
      const own = source?.replace(/^src\//, "src/runtime/") ?? "";
      if (source === null || types !== (project.has(own) ? own : source))
        add(name, `${name}: "types" and "default" must be one dist/*.d.ts and dist/*.js, "types" from dist/runtime/ where it is there`);
      else if (!project.has(source)) add(name, `${name} promises ${source}, which does not exist`);
      if (Object.keys(target)[0] !== "types") add(name, `${name}: "types" must come first`);
      promised.add(source ?? "");
    }
    for (const file of entries) if (!promised.has(file)) found.push({ file, line: 1, message: `no export in ${manifestFile} leads here` });
    for (const [name, types] of Object.entries(typesVersions?.["*"] ?? {})) {
      const target = exports[`./${name}`];
      if (typeof target !== "object" || types.join() !== target.types)
        add(name, `"typesVersions" has other types for ${name} than "exports"`);
    }
    for (const file of sideEffects)
      if (!project.has(sourceOf(file, ".js") ?? "")) add(file, `"sideEffects" names ${file}, which nothing is compiled to`);
    return found;
  },
};

function sourceOf(target: string | undefined, ending: ".js" | ".d.ts"): string | null {
  return target?.startsWith("./dist/") === true && target.endsWith(ending) ? `src/${target.slice(7, -ending.length)}.ts` : null;
}

export const rootNameFile = "test/tidy/root-name.json";
const rootFile = "src/index.ts";
const rootLimit = 25;
/** Names that are here because it has them do not count. */
const theirs = "Workflow DevKit";

export const rootNameRule: Rule = {
  name: `the root exports at most ${rootLimit} values beside Workflow DevKit's, each with a reason to be there`,
  check: (project) => {
    if (!project.has(rootFile)) return [];
    const known = JSON.parse(project.text(rootNameFile)) as Record<string, string>;
    const { values, stars } = exportedValues(project.source(rootFile));
    const found: Violation[] = stars.map((line) => ({ file: rootFile, line, message: "`export *`: an entry names what it exports" }));
    for (const { name, line } of values)
      if (!(name in known)) found.push({ file: rootFile, line, message: `${name} has no reason in ${rootNameFile}` });
    const own = values.filter(({ name }) => known[name] !== theirs).length;
    if (own > rootLimit) found.push({ file: rootFile, line: 1, message: `${own} exported values, ${rootLimit} at most` });
    return found;
  },
};

/** What a module exports that is there at run time, and the lines of its `export *`. */
function exportedValues(source: Source): { readonly values: { readonly name: string; readonly line: number }[]; readonly stars: number[] } {
  const values: { name: string; line: number }[] = [];
  const stars: number[] = [];
  for (const node of source.program["body"] as readonly Node[]) {
    const line = source.line(node.start);
    if (node["exportKind"] === "type") continue;
    if (node.type === "ExportAllDeclaration") {
      if (isNode(node["exported"])) values.push({ name: nameOf(node["exported"]) ?? "", line });
      else stars.push(line);
    } else if (node.type === "ExportDefaultDeclaration") values.push({ name: "default", line });
    else if (node.type === "ExportNamedDeclaration") values.push(...namesOf(node).map((name) => ({ name, line })));
  }
  return { values, stars };
}

function namesOf(node: Node): string[] {
  const specifiers = node["specifiers"] as readonly Node[];
  const listed = specifiers.filter((each) => each["exportKind"] !== "type").map((each) => nameOf(each["exported"]) ?? "");
  const declaration = node["declaration"];
  if (!isNode(declaration) || declaration["declare"] === true || declaration.type.startsWith("TS")) return listed;
  const declared = Array.isArray(declaration["declarations"]) ? (declaration["declarations"] as readonly Node[]) : [declaration];
  return [...listed, ...declared.map((each) => nameOf(each["id"]) ?? "(a pattern)")];
}

export const apiReportRule: Rule = {
  name: "each entry's API report is committed, and no other",
  check: (project) => {
    const entries = entriesOf(project).map((file) => ({ file, report: `api-reports/${file.slice(4, -3)}.api.md` }));
    const missing = entries
      .filter(({ report }) => !project.has(report))
      .map(({ file, report }) => ({ file, line: 1, message: `${report} is missing: npm run api` }));
    const stale = project
      .paths("api-reports/")
      .filter((path) => path.endsWith(".api.md") && !entries.some(({ report }) => report === path));
    return [...missing, ...stale.map((file) => ({ file, line: 1, message: "reports on no entry" }))];
  },
};

const lockFile = "package-lock.json";

/** A lock file without a platform's binary fails `npm ci` there, and where the registry has it, everywhere. */
export const lockRule: Rule = {
  name: "the lock file has every optional package, whatever the platform",
  check: (project) => {
    if (!project.has(lockFile)) return [];
    const { packages } = JSON.parse(project.text(lockFile)) as {
      packages: Record<string, { optionalDependencies?: Record<string, string> }>;
    };
    const locked = new Set(Object.keys(packages).map((path) => path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length)));
    const wanted = Object.values(packages).flatMap((each) => Object.keys(each.optionalDependencies ?? {}));
    return wanted.flatMap((name) => (locked.has(name) ? [] : [{ file: lockFile, line: 1, message: `${name} is missing: npm run lock` }]));
  },
};

const dependencyFile = "docs/dependencies.md";

export const dependencyRule: Rule = {
  name: "each dependency has its reason written down",
  check: (project) => {
    if (!project.has(manifestFile)) return [];
    const text = project.text(manifestFile).split("\n");
    const reasons = project.has(dependencyFile) ? project.text(dependencyFile) : "";
    const { dependencies = {}, devDependencies = {} } = JSON.parse(project.text(manifestFile)) as Record<string, Record<string, string>>;
    const unnamed = Object.keys({ ...dependencies, ...devDependencies }).filter((name) => !reasons.includes(`\`${name}\``));
    return unnamed.map((name) => ({
      file: manifestFile,
      line: text.findIndex((line) => line.includes(`"${name}":`)) + 1,
      message: `${name} has no reason in ${dependencyFile}`,
    }));
  },
};
