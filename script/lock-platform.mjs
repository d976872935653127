// Completes package-lock.json where the registry that wrote it does not serve the binaries of every platform. npm leaves such optional
// packages out; then `npm ci` finds the lock file out of step, and other platforms would get no binary. An entry added here has the
// exact version that its parent asks for, and no checksum. Run it after every change of dependencies: npm run lock.

import { readFileSync, writeFileSync } from "node:fs";

const file = "package-lock.json";
const lock = JSON.parse(readFileSync(file, "utf8"));
const systems = ["aix", "android", "darwin", "freebsd", "linux", "netbsd", "openbsd", "openharmony", "sunos", "win32"];
const processors = ["arm", "arm64", "ia32", "loong64", "mips64el", "ppc64", "riscv64", "s390x", "wasm32", "x64"];

const added = Object.entries(lock.packages).flatMap(([path, { optionalDependencies = {}, dev }]) =>
  Object.entries(optionalDependencies).flatMap(([name, version]) => {
    if (isLocked(path, name)) return [];
    const beside = `node_modules/${name}`;
    const place = lock.packages[beside] === undefined ? beside : `${path}/${beside}`;
    const { os, cpu, libc } = platformOf(name);
    lock.packages[place] = {
      version,
      cpu: [cpu],
      ...(dev ? { dev } : {}),
      ...(libc ? { libc: [libc] } : {}),
      optional: true,
      ...(os ? { os: [os] } : {}),
    };
    return [`${name}@${version}`];
  }),
);
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)));
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
console.log(added.length === 0 ? "Nothing to add." : `Added ${added.join(", ")}.`);

/** Whether `name`, asked for by the package at `path`, has an entry where npm would look. */
function isLocked(path, name) {
  for (let at = path; ; at = at.slice(0, Math.max(0, at.lastIndexOf("/node_modules/")))) {
    if (lock.packages[`${at === "" ? "" : `${at}/`}node_modules/${name}`] !== undefined) return true;
    if (at === "") return false;
  }
}

/** What a binary's name says about where it runs: `…-linux-arm64-musl`. */
function platformOf(name) {
  const words = name.split("/").at(-1).split("-");
  const os = words.find((word) => systems.includes(word));
  const cpu = words.find((word) => processors.includes(word));
  if (cpu === undefined || (os === undefined && cpu !== "wasm32"))
    throw new Error(`${name} does not tell its platform: add it to package-lock.json by hand.`);
  const ending = words.at(-1);
  if (os !== "linux") return { os, cpu, libc: null };
  return { os, cpu, libc: ending.startsWith("musl") ? "musl" : ending.startsWith("gnu") ? "glibc" : null };
}
