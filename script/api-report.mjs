// Writes what each entry of the package exports, with its types, to api-reports/<entry>.api.md; with --check it only compares, and fails
// where a committed report no longer says what the build says. Needs a build.

import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { Extractor, ExtractorConfig, ExtractorLogLevel } from "@microsoft/api-extractor";

const isCheck = process.argv.includes("--check");
const root = process.cwd();
const manifest = JSON.parse(readFileSync("package.json", "utf8"));
const scratch = mkdtempSync(join(tmpdir(), "api-report-"));
const compilerOptions = {
  target: "ES2022",
  lib: ["ES2023", "ESNext.Disposable"],
  module: "NodeNext",
  moduleResolution: "NodeNext",
  types: ["node"],
  strict: true,
  skipLibCheck: true,
};

let isStale = false;
for (const { types } of Object.values(manifest.exports)) {
  if (types === undefined) continue;
  if (!existsSync(types)) {
    console.log(`${types} is not there: build first, or take the entry out of package.json.`);
    isStale = true;
    process.exitCode = 1;
    continue;
  }
  const config = ExtractorConfig.prepare({
    configObject: {
      projectFolder: root,
      mainEntryPointFilePath: join(root, types),
      apiReport: {
        enabled: true,
        reportFileName: basename(types, ".d.ts"),
        reportFolder: join(root, "api-reports"),
        reportTempFolder: scratch,
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      compiler: { overrideTsconfig: { compilerOptions, files: [types] } },
      messages: {
        compilerMessageReporting: { default: { logLevel: ExtractorLogLevel.Error } },
        extractorMessageReporting: { default: { logLevel: ExtractorLogLevel.None } },
        tsdocMessageReporting: { default: { logLevel: ExtractorLogLevel.None } },
      },
    },
    configObjectFullPath: undefined,
    packageJsonFullPath: join(root, "package.json"),
  });
  const result = Extractor.invoke(config, { localBuild: !isCheck, messageCallback: quieten });
  if (result.apiReportChanged)
    console.log(`${config.reportFilePath.slice(root.length + 1)} ${isCheck ? "is not what the build exports" : "written"}`);
  isStale ||= !result.succeeded || result.apiReportChanged;
}
rmSync(scratch, { recursive: true });
if (isCheck && isStale) {
  console.log("The public API has changed. If that is meant: npm run api, and commit the reports.");
  process.exitCode = 1;
}

/** Keeps errors; drops the chatter. */
function quieten(message) {
  if (message.logLevel !== ExtractorLogLevel.Error) message.logLevel = ExtractorLogLevel.None;
}
