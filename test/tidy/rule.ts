// All rules of the codebase. Each has canaries in a `canary-*.ts`.

import type { Rule } from "./project.ts";
import { apiReportRule, dependencyRule, errorPageRule, exportsRule, lockRule, rootNameRule } from "./rule-document.ts";
import { awaitRule, globalRule, realmRule } from "./rule-global.ts";
import { invariantRule } from "./rule-invariant.ts";
import { cycleRule, layerRule, statusRule, wiringRule } from "./rule-layer.ts";
import { fileLengthRule, fileNameRule, functionLengthRule, headerRule, laterRule, machineRule } from "./rule-size.ts";

export const rules: readonly Rule[] = [
  layerRule,
  wiringRule,
  cycleRule,
  statusRule,
  globalRule,
  realmRule,
  awaitRule,
  fileLengthRule,
  functionLengthRule,
  fileNameRule,
  headerRule,
  laterRule,
  machineRule,
  errorPageRule,
  exportsRule,
  rootNameRule,
  apiReportRule,
  lockRule,
  dependencyRule,
  invariantRule,
];
