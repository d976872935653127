// Prints one plain line, `N passed, N failed, N skipped`, from a JSON report of vitest. A file that failed before any of its tests ran
// counts as one failure.

import { readFileSync } from "node:fs";

const report = JSON.parse(readFileSync(process.argv[2], "utf8"));
const broken = report.testResults.filter(
  (file) => file.status === "failed" && !file.assertionResults.some((test) => test.status === "failed"),
);
const skipped = report.numPendingTests + report.numTodoTests;
console.log(`${report.numPassedTests} passed, ${report.numFailedTests + broken.length} failed, ${skipped} skipped`);
